#!/usr/bin/env bash
# Run by the PostgreSQL image, once, on an empty volume. The API's role owns its database and is no superuser; the
# superuser keeps no password, so that it can only be reached from inside the container.
set -euo pipefail
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv database POSTGRES_DB
\getenv password POSTGRES_PASSWORD
CREATE ROLE fashion_wallet LOGIN PASSWORD :'password';
ALTER DATABASE :"database" OWNER TO fashion_wallet;
ALTER ROLE CURRENT_USER PASSWORD NULL;
SQL
