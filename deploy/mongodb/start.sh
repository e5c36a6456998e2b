#!/usr/bin/env bash
# MongoDB as a replica set with users. That needs a key file, by which members know each other; there is only this
# one, so the key is a new one at every start and nobody's secret. Only mongod's own user may read it.
set -euo pipefail
umask 077
head -c 756 /dev/urandom | base64 --wrap=0 > /tmp/keyfile
chmod 400 /tmp/keyfile
chown mongodb:mongodb /tmp/keyfile
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /tmp/keyfile --bind_ip_all
