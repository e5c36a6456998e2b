"""SQL of a distributed database: functions that stand in for what triggers and foreign keys do on one PostgreSQL.

`migrations/distribution.py` makes them, and takes them away again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

AUDITED: Final = "app.audited"
"""The setting by which a transaction says that it writes the log itself."""
DISTRIBUTED: Final = "app.distributed"
"""The setting by which each session of a distributed database knows that it is one."""
REFUSED: Final = "57P03"
"""What a shard raises where nobody says so: `cannot_connect_now`, after which this API connects anew and looks again at
what it is connected to."""

_REFUSAL: Final = f"""
    IF TG_TABLE_NAME ~ '_[0-9]+$' THEN  -- a shard: the log is on another node
        IF current_setting('{AUDITED}', true) IS DISTINCT FROM 'on' THEN
            RAISE EXCEPTION '%.% is distributed, and this change is not written to the audit log',
                TG_TABLE_SCHEMA, regexp_replace(TG_TABLE_NAME, '_[0-9]+$', '')
                USING ERRCODE = '{REFUSED}', HINT = 'Change it through the API; a process that has run since before '
                    'the database was distributed knows it after its next connection.';
        END IF;
        RETURN NULL;
    END IF;"""

TWO_PHASES: Final = "audit.two_phases"
"""An empty table that Citus manages. Whoever deletes nothing from it commits in two phases. Else a coordinator that
dies between the workers' commit and its own would lose the entries of the log."""

LANGUAGE_IS_KNOWN: Final = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM run_command_on_workers('SELECT shared.search_language()') WHERE NOT success) THEN
        RAISE EXCEPTION 'a worker lacks the text search configuration %', shared.search_language()
            USING HINT = 'Make it on each worker, as it is here.';
    END IF;
END
$$"""
"""Raises where a worker hasn't got it. Citus has passed it on, unless it was there before the extension."""

COMMIT: Final = f"""
CREATE FUNCTION audit.commit_in_two_phases() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    DELETE FROM {TWO_PHASES};
    RETURN NULL;
END
$$"""  # noqa: S608  of constants

ACT_AS: Final = """
CREATE FUNCTION shared.act_as(role text, user_id text, viewer_role text, request_id text, reference text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- workers are told of SET LOCAL, and not of set_config()
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE format('SET LOCAL app.user_id = %L', user_id);
    EXECUTE format('SET LOCAL app.role = %L', viewer_role);
    EXECUTE format('SET LOCAL app.request_id = %L', request_id);
    EXECUTE format('SET LOCAL app.reference = %L', reference);
END
$$"""

ALLOW: Final = f"""
CREATE FUNCTION audit.allow_writes(allowed boolean) RETURNS void
LANGUAGE plpgsql SET citus.propagate_set_commands = 'local' AS $$
BEGIN
    -- workers are told of SET LOCAL, and not of set_config()
    IF allowed THEN
        SET LOCAL {AUDITED} = 'on';
    ELSE
        SET LOCAL {AUDITED} = 'off';
    END IF;
END
$$"""

ROWS: Final = """
CREATE FUNCTION audit.distributed_rows(changed text, shard_key text, ids uuid[], shard_keys uuid[]) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = '' AS $$
DECLARE
    found record;
    found_rows jsonb := '{}';
BEGIN
    -- the JSON is made here, as triggers make it: in the time zone of this session, which workers know nothing of
    FOR found IN EXECUTE format('SELECT * FROM %s WHERE id = ANY ($1) AND %I = ANY ($2)',
        changed::pg_catalog.regclass, shard_key) USING ids, shard_keys
    LOOP
        found_rows := found_rows || jsonb_build_object(found.id::text, to_jsonb(found));
    END LOOP;
    RETURN found_rows;
END
$$"""
"""Whole rows of a distributed table, by their id."""

BEGIN: Final = """
CREATE FUNCTION audit.begin_change(changed text, shard_key text, ids uuid[], shard_keys uuid[]) RETURNS text
LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    before_rows jsonb := '{}';
BEGIN
    IF cardinality(ids) > 0 THEN
        before_rows := audit.distributed_rows(changed, shard_key, ids, shard_keys);
    END IF;
    PERFORM audit.allow_writes(true);
    RETURN before_rows;
END
$$"""
"""Shards take changes from now on. Returns the rows with these ids, which should be locked, as they are."""

END: Final = """
CREATE FUNCTION audit.end_change(changed text, shard_key text, ids uuid[], shard_keys uuid[], before_rows text)
RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    after_rows jsonb := audit.distributed_rows(changed, shard_key, ids, shard_keys);
BEGIN
    PERFORM audit.allow_writes(false);
    PERFORM audit.record_distributed(changed, ids, before_rows::jsonb, after_rows);
END
$$"""
"""Shards refuse changes again, and the log has those of the rows with these ids."""

_RECORD: Final = """
CREATE FUNCTION audit.record_distributed(changed text, ids uuid[], before_rows jsonb, after_rows jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    shown text[] := CASE changed {columns} END;
BEGIN
    -- the trigger does it on a table that isn't distributed yet
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = changed::pg_catalog.regclass) THEN
        RETURN;
    END IF;
    INSERT INTO audit.audit_log (table_name, record_id, operation, old_values, new_values, actor_id, request_id, at)
    SELECT
        changed,
        id,
        CASE WHEN before_shown IS NULL THEN 'INSERT' WHEN after_shown IS NULL THEN 'DELETE' ELSE 'UPDATE' END,
        before_shown,
        after_shown,
        nullif(current_setting('app.user_id', true), '')::uuid,
        nullif(current_setting('app.request_id', true), ''),
        clock_timestamp()
    FROM unnest(ids) WITH ORDINALITY AS each (id, place),
        LATERAL (SELECT jsonb_object_agg(key, value) AS before_shown
                 FROM jsonb_each(before_rows -> id::text) WHERE key = ANY (shown)) AS before,
        LATERAL (SELECT jsonb_object_agg(key, value) AS after_shown
                 FROM jsonb_each(after_rows -> id::text) WHERE key = ANY (shown)) AS after
    WHERE (before_shown - 'updated_at') IS DISTINCT FROM (after_shown - 'updated_at')
    ORDER BY place;
END
$$"""

WRITING: Final = {
    "audit.allow_writes(boolean)": ALLOW,
    "audit.distributed_rows(text, text, uuid[], uuid[])": ROWS,
    "audit.begin_change(text, text, uuid[], uuid[])": BEGIN,
    "audit.end_change(text, text, uuid[], uuid[], text)": END,
}
"""What writes to audited tables call, by signature, with `record_distributed` besides."""
RECORD: Final = "audit.record_distributed(text, uuid[], jsonb, jsonb)"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of a table that is to be distributed. `on_delete` is PostgreSQL's letter: c for CASCADE, n for
    SET NULL."""

    name: str
    definition: str
    column: str
    target: str
    target_column: str
    on_delete: str


def on_workers(statement: str) -> str:
    """Run a statement about a role on each worker. Raises where it fails on one.

    No worker passes it on to others, which would run it at the same time, and fail.
    """
    return f"""
DO $$
BEGIN
    IF EXISTS (SELECT FROM run_command_on_workers($each$
        DO $alone$ BEGIN SET LOCAL citus.enable_alter_role_propagation = off; {statement}; END $alone$
    $each$) WHERE NOT success) THEN
        RAISE EXCEPTION 'a worker has not run: {statement}';
    END IF;
END
$$"""


def refusing(record_change: str) -> str:
    """The audit log's trigger function, so that on a shard it refuses what nobody writes to the log."""
    head, begin, rest = record_change.partition("\nBEGIN\n")
    assert begin, record_change
    return f"{head}\nBEGIN{_REFUSAL}\n{rest}"


def recording(columns: Mapping[str, Sequence[str]]) -> str:
    """The function by which the API writes the log. `columns` are those that entries show, by table."""
    listed = " ".join(
        f"WHEN '{table}' THEN ARRAY[{', '.join(repr(name) for name in names)}]" for table, names in columns.items()
    )
    return _RECORD.replace("{columns}", listed)


def following(name: str, table: str, references: Sequence[Reference], *, shard_key: str, audited: bool) -> list[str]:
    """A trigger function of what a table refers to, which does to its rows what the foreign keys did on a deletion, and
    the function that this calls.

    Citus takes what a function does for several statements, which workers are told to commit together, where that
    function was called by a statement. A trigger isn't.
    """
    inner = f"{name}_of"
    body = "\n".join(_follow(table, each, shard_key, audited=audited) for each in references)
    target = references[0].target_column
    return [
        f"""
CREATE FUNCTION {inner}(gone uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    owner uuid;
    found uuid[];
    befores text;
BEGIN{body}
END
$$""",
        f"""
CREATE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM {inner}(OLD.{target});
    RETURN NULL;
END
$$""",
    ]


def _follow(table: str, reference: Reference, shard_key: str, *, audited: bool) -> str:
    theirs = f"{reference.column} = gone"
    change = (
        f"DELETE FROM {table} WHERE {theirs}"  # noqa: S608  names of ours
        if reference.on_delete == "c"
        else f"UPDATE {table} SET {reference.column} = NULL WHERE {theirs}"  # noqa: S608
    )
    if not audited:
        return f"\n    {change};"
    # by owner, since only the rows of one shard can be locked
    return f"""
    FOR owner IN SELECT DISTINCT {shard_key} FROM {table} WHERE {theirs} ORDER BY 1 LOOP
        SELECT array_agg(locked.id ORDER BY locked.id) INTO found FROM (
            SELECT id FROM {table} WHERE {theirs} AND {shard_key} = owner FOR UPDATE
        ) locked;
        CONTINUE WHEN found IS NULL;
        befores := audit.begin_change('{table}', '{shard_key}', found, ARRAY[owner]);
        {change} AND {shard_key} = owner AND id = ANY (found);
        PERFORM audit.end_change('{table}', '{shard_key}', found, ARRAY[owner], befores);
    END LOOP;"""  # noqa: S608
