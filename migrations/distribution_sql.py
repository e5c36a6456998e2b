"""SQL of a distributed database: functions that stand in for what triggers and foreign keys do on one PostgreSQL.

`migrations/distribution.py` makes them, and takes them away again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

AUDITED: Final = "app.audited"
"""The setting by which a transaction says that it writes the log itself."""
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

_RECORD: Final = """
CREATE OR REPLACE FUNCTION audit.record_distributed(changed text, before_rows jsonb[], after_rows jsonb[]) RETURNS void
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
        (coalesce(before_row, after_row) ->> 'id')::uuid,
        CASE WHEN before_row IS NULL THEN 'INSERT' WHEN after_row IS NULL THEN 'DELETE' ELSE 'UPDATE' END,
        before_shown,
        after_shown,
        nullif(current_setting('app.user_id', true), '')::uuid,
        nullif(current_setting('app.request_id', true), ''),
        clock_timestamp()
    FROM unnest(before_rows, after_rows) AS change (before_row, after_row),
        LATERAL (SELECT jsonb_object_agg(key, value) AS before_shown
                 FROM jsonb_each(before_row) WHERE key = ANY (shown)) AS before,
        LATERAL (SELECT jsonb_object_agg(key, value) AS after_shown
                 FROM jsonb_each(after_row) WHERE key = ANY (shown)) AS after
    WHERE (before_shown - 'updated_at') IS DISTINCT FROM (after_shown - 'updated_at');
END
$$"""


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


def following(name: str, table: str, references: Sequence[Reference], *, audited: bool) -> str:
    """A trigger function of what a table refers to: does to its rows what the foreign keys did on a deletion."""
    return "\n".join(
        (
            f"CREATE FUNCTION {name} RETURNS trigger",
            "LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$",
            "DECLARE",
            "    ids uuid[];",
            "    befores jsonb[];",
            "    afters jsonb[];",
            "BEGIN",
            f"    SET LOCAL {AUDITED} = 'on';",
            *(_follow(table, each, audited=audited) for each in references),
            "    RETURN NULL;",
            "END",
            "$$",
        )
    )


def _follow(table: str, reference: Reference, *, audited: bool) -> str:
    theirs = f"{reference.column} = OLD.{reference.target_column}"
    change = (
        f"DELETE FROM {table} WHERE {theirs}"  # noqa: S608  names of ours
        if reference.on_delete == "c"
        else f"UPDATE {table} SET {reference.column} = NULL WHERE {theirs}"  # noqa: S608
    )
    if not audited:
        return f"    {change};"
    return f"""
    SELECT array_agg(id ORDER BY id), array_agg(to_jsonb(row) ORDER BY id) INTO ids, befores
    FROM {table} row WHERE {theirs};
    IF ids IS NOT NULL THEN
        {change};
        SELECT array_agg(to_jsonb(row) ORDER BY id) INTO afters FROM {table} row WHERE id = ANY (ids);
        PERFORM audit.record_distributed('{table}', befores, coalesce(afters, array_fill(NULL::jsonb, ARRAY[cardinality(ids)])));
    END IF;"""  # noqa: S608, E501
