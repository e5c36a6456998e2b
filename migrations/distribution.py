"""Takes a migrated database on a Citus coordinator to the layout that `models/distribution.py` declares, and back.

Each step is one transaction, and noted in `shared.distribution` with the statements that undo it: so a run that was
killed goes on where it ended. Tables can be read meanwhile, but for moments; who writes to one waits while its rows
move.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from migrations import distribution_sql as functions
from migrations.connection import LOCK_KEY
from migrations.distribution_sql import Reference
from migrations.errors import MigrationError
from migrations.roles import APPLICATION_ROLE
from models import Base
from models.distribution import DISTRIBUTED, Distributed

NO_CITUS: Final = (
    "this database has no Citus, so there is nothing to distribute its tables to: connect to a coordinator's database, "
    "where CREATE EXTENSION citus was run"
)
JOURNAL: Final = "shared.distribution"
_MAKE_JOURNAL: Final = (
    f"CREATE TABLE IF NOT EXISTS {JOURNAL} (place integer GENERATED ALWAYS AS IDENTITY, step text PRIMARY KEY, "
    "undo text[] NOT NULL, at timestamptz NOT NULL DEFAULT now())",
    f"COMMENT ON TABLE {JOURNAL} IS 'Steps of fashion-wallet migrate distribute, and what undoes them'",
    f"GRANT SELECT ON {JOURNAL} TO PUBLIC",
)
_POLICIES: Final = """
    SELECT p.polname::text AS name, c.oid::regclass::text AS "table", pg_get_expr(p.polqual, p.polrelid) AS using,
           pg_get_expr(p.polwithcheck, p.polrelid) AS checked
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname || '.' || c.relname = ANY (:tables) ORDER BY 2, 1
"""
_REFERENCES: Final = """
    SELECT k.conname::text AS name, pg_get_constraintdef(k.oid) AS definition, a.attname::text AS "column",
           k.confrelid::regclass::text AS target, b.attname::text AS target_column, k.confdeltype::text AS on_delete
    FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
    WHERE k.contype = 'f' AND k.conrelid = CAST(:table AS regclass) ORDER BY k.oid
"""
"""In their order, which is that of their triggers."""
_ROLE: Final = sa.text("SELECT count(*) FROM pg_roles WHERE rolname = :role")
_COMMENTS: Final = """
    SELECT format('COMMENT ON %s IS %L', CASE WHEN d.objsubid = 0 THEN 'TABLE ' || d.objoid::regclass
        ELSE format('COLUMN %s.%I', d.objoid::regclass, a.attname) END, d.description)
    FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid = CAST(:table AS regclass) ORDER BY d.objsubid
"""
_UNKNOWN_TO_WORKERS: Final = """
    SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'shared'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_object o WHERE o.classid = 'pg_proc'::regclass AND o.objid = p.oid)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY 1
"""
_ARGUMENTS: Final = """
    SELECT array_remove(string_to_array(encode(tgargs, 'escape'), '\\000'), '') FROM pg_trigger
    WHERE tgrelid = CAST(:table AS regclass) AND tgfoid = 'audit.record_change()'::regprocedure
"""
_END_SESSIONS: Final = f"""
    SELECT CASE WHEN count(pg_terminate_backend(pid)) > 0 THEN pg_sleep(3) END
    FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name NOT LIKE 'citus%'
    AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
                    AND (classid, objid) = ({LOCK_KEY >> 32}, {LOCK_KEY & 0xFFFFFFFF}))
"""  # noqa: S608  numbers of ours
"""They tell workers nothing of who acts, and API processes among them know nothing of workers. The run itself goes on,
with the connection that holds its lock. Reads that were under way are sent again as they were: they have some seconds
before tables move."""

Statements = tuple[list[str], list[str]]
"""What a step does, and what undoes it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction. `statements` are worked out when it begins, from what the database has."""

    name: str
    statements: Callable[[sa.Connection], Statements]


def has_citus(connection: sa.Connection) -> bool:
    """Whether this database has the extension."""
    return bool(_value(connection, "SELECT count(*) FROM pg_extension WHERE extname = 'citus'"))


def require_coordinator(connection: sa.Connection) -> None:
    """Raise MigrationError where tables can't be distributed."""
    if not has_citus(connection):
        raise MigrationError(NO_CITUS)
    if _value(connection, "SELECT groupid FROM pg_dist_local_group"):
        raise MigrationError("this is a worker of a Citus cluster: connect to the coordinator")
    if not _value(connection, "SELECT count(*) FROM pg_dist_node WHERE groupid = 0"):
        raise MigrationError("the workers don't know the coordinator: run SELECT citus_set_coordinator_host('<host>')")
    if not _value(connection, "SELECT count(*) FROM pg_dist_node WHERE groupid > 0 AND isactive AND shouldhaveshards"):
        raise MigrationError("the cluster has no worker yet: run SELECT citus_add_node('<host>', 5432)")


def is_distributed(connection: sa.Connection) -> bool:
    """Whether any step was done and not undone."""
    there = connection.scalar(sa.text("SELECT to_regclass(:journal)"), {"journal": JOURNAL}) is not None
    return there and bool(_value(connection, f"SELECT count(*) FROM {JOURNAL}"))  # noqa: S608  a constant


def pending(connection: sa.Connection) -> list[Step]:
    """The steps that are not done yet, in their order."""
    done: set[str] = set()
    if connection.scalar(sa.text("SELECT to_regclass(:journal)"), {"journal": JOURNAL}) is not None:
        done = set(connection.scalars(sa.text(f"SELECT step FROM {JOURNAL}")))  # noqa: S608
    return [step for step in _steps() if step.name not in done]


def planned(connection: sa.Connection, steps: Sequence[Step]) -> list[str]:
    """The steps, and their statements as far as they can be known before the steps ahead of them are done."""
    lines = []
    for step in steps:
        forward, _ = step.statements(connection)
        lines += [f"-- {step.name}", *(f"{statement.strip()};" for statement in forward)]
    return lines


def undoing(connection: sa.Connection) -> list[str]:
    """The steps that were done, the last one first, and the statements that undo them."""
    if not is_distributed(connection):
        return []
    rows = connection.execute(sa.text(f"SELECT step, undo FROM {JOURNAL} ORDER BY place DESC"))  # noqa: S608
    return [line for row in rows for line in (f"-- undo: {row.step}", *(f"{each.strip()};" for each in row.undo))]


def do(connection: sa.Connection, step: Step) -> None:
    """Do a step and note it, in the transaction that is running."""
    for statement in _MAKE_JOURNAL:
        connection.exec_driver_sql(statement)
    forward, undo = step.statements(connection)
    for statement in forward:
        _execute(connection, statement)
    connection.execute(
        sa.text(f"INSERT INTO {JOURNAL} (step, undo) VALUES (:step, CAST(:undo AS text[]))"),  # noqa: S608
        {"step": step.name, "undo": undo},
    )


def undo_last(connection: sa.Connection) -> str | None:
    """Undo the last step that was done, in the transaction that is running; None where there is none left."""
    if not is_distributed(connection):
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {JOURNAL}")
        return None
    row = connection.execute(
        sa.text(f"SELECT step, undo FROM {JOURNAL} ORDER BY place DESC LIMIT 1")  # noqa: S608
    ).one()
    for statement in row.undo:
        _execute(connection, statement)
    connection.execute(sa.text(f"DELETE FROM {JOURNAL} WHERE step = :step"), {"step": row.step})  # noqa: S608
    return str(row.step)


def _steps() -> Iterator[Step]:
    yield Step("workers learn the functions of statements", _functions)
    yield Step("workers have the language of search", lambda _: ([functions.LANGUAGE_IS_KNOWN], []))
    yield Step("what writes the audit log commits in two phases", _two_phases)
    yield Step("the audit log is written by the API where no trigger can", _audit)
    yield Step("policies of row-level security do without sub-selects", _policies)
    yield Step("workers learn what transactions say of who acts", _settings)
    yield Step("sessions from before are ended on the way back", lambda _: ([], [_END_SESSIONS]))
    yield Step("whoever connects knows that tables are distributed, or will be", _known)
    yield Step("sessions from before are ended", lambda _: ([_END_SESSIONS], []))
    for table, placement in DISTRIBUTED.items():
        yield from _steps_of(table, placement)


def _steps_of(table: str, placement: Distributed) -> Iterator[Step]:
    name = table.partition(".")[2]
    columns = ", ".join(placement.key)
    key, new = f"pk_{name}", f"pk_{name}_distributed"

    def references(connection: sa.Connection) -> Statements:
        found = [Reference(**row) for row in _rows(connection, _REFERENCES, table=table)]
        return _without_references(table, found, placement)

    def distribute(connection: sa.Connection) -> Statements:
        move = f"SELECT create_distributed_table('{table}', '{placement.by}', colocate_with => 'none')"
        moving = [
            "SET LOCAL citus.propagate_set_commands = 'local'",
            "SET LOCAL citus.enable_unsafe_triggers = on",  # they look at nothing but their row
            f"SET LOCAL {functions.AUDITED} = 'on'",
        ]
        comments = list(connection.scalars(sa.text(_COMMENTS), {"table": table}))  # which a table loses on its way back
        return [*moving, move], [*moving, f"SELECT undistribute_table('{table}')", *comments]

    if Base.metadata.tables[table].foreign_keys:
        yield Step(f"{table}: foreign keys give way to triggers", references)
    if len(placement.key) > 1:
        index = f"CREATE UNIQUE INDEX {new} ON {table} ({columns})"
        yield Step(
            f"{table}: an index for the primary key",
            lambda _: ([index], [f"DROP INDEX IF EXISTS {table.partition('.')[0]}.{new}"]),
        )
        drop = f"ALTER TABLE {table} DROP CONSTRAINT {key}, ADD CONSTRAINT {key} PRIMARY KEY"
        yield Step(
            f"{table}: the primary key contains {placement.by}",
            lambda _: ([f"{drop} USING INDEX {new}"], [f"{drop} (id)"]),
        )
    yield Step(f"{table}: rows are spread by {placement.by}", distribute)
    yield Step(
        f"{table}: the coordinator's own copy is gone",
        lambda _: ([f"SELECT truncate_local_data_after_distributing_table('{table}')"], []),
    )


def _database(connection: sa.Connection) -> str:
    return str(_value(connection, "SELECT quote_ident(current_database())"))


def _known(connection: sa.Connection) -> Statements:
    database = _database(connection)
    return [f"ALTER DATABASE {database} SET {functions.DISTRIBUTED} = 'on'"], [
        f"ALTER DATABASE {database} RESET {functions.DISTRIBUTED}"
    ]


def _settings(connection: sa.Connection) -> Statements:
    database = _database(connection)
    setting, local = "citus.propagate_set_commands", "SET LOCAL citus.propagate_set_commands = 'local'"
    forward = [f"ALTER DATABASE {database} SET {setting} = 'local'", local, functions.ACT_AS]
    undo = ["DROP FUNCTION shared.act_as", f"ALTER DATABASE {database} RESET {setting}"]
    if connection.scalar(_ROLE, {"role": APPLICATION_ROLE}):
        # A transaction asks workers as the role that it has taken on. On the coordinator it may log in, too, though
        # nobody does: whenever a node is added, Citus makes the role on all nodes what it is there.
        for words, statements in (("LOGIN", forward), ("NOLOGIN", undo)):
            change = f"ALTER ROLE {APPLICATION_ROLE} {words}"
            # the workers first, which commit at once: else they would wait for what this transaction has them do
            statements += [functions.on_workers(change), change]
    return forward, undo


def _functions(connection: sa.Connection) -> Statements:
    unknown = connection.scalars(sa.text(_UNKNOWN_TO_WORKERS)).all()
    return [f"SELECT create_distributed_function('{each}')" for each in unknown], []


def _two_phases(_: sa.Connection) -> Statements:
    table, log, trigger = functions.TWO_PHASES, "audit.audit_log", "trg_audit_log_two_phases"
    return [
        f"CREATE TABLE {table} (nothing integer)",
        f"SELECT citus_add_local_table_to_metadata('{table}')",
        functions.COMMIT,
        "REVOKE ALL ON FUNCTION audit.commit_in_two_phases() FROM PUBLIC",
        f"CREATE TRIGGER {trigger} AFTER INSERT ON {log} FOR EACH STATEMENT "
        "EXECUTE FUNCTION audit.commit_in_two_phases()",
    ], [f"DROP TRIGGER {trigger} ON {log}", "DROP FUNCTION audit.commit_in_two_phases()", f"DROP TABLE {table}"]


def _audit(connection: sa.Connection) -> Statements:
    before = str(_value(connection, "SELECT pg_get_functiondef('audit.record_change()'::regprocedure)"))
    columns = {
        table: list(connection.scalar(sa.text(_ARGUMENTS), {"table": table}) or ())
        for table, placement in DISTRIBUTED.items()
        if placement.audited
    }
    names = ", ".join((*functions.WRITING, functions.RECORD))
    forward = [functions.refusing(before), functions.recording(columns), *functions.WRITING.values()]
    forward.append(f"REVOKE ALL ON FUNCTION {names} FROM PUBLIC")
    forward += [f"GRANT EXECUTE ON FUNCTION {names} TO {role}" for role in _writers(connection)]
    return forward, [before, f"DROP FUNCTION {names}"]


def _writers(connection: sa.Connection) -> list[str]:
    """The roles that may change audited tables."""
    tables = [table for table, placement in DISTRIBUTED.items() if placement.audited]
    found = connection.scalars(
        sa.text(
            "SELECT DISTINCT quote_ident(grantee::regrole::text) FROM unnest(CAST(:tables AS text[])) named "
            "JOIN pg_class c ON c.oid = CAST(named AS regclass), aclexplode(c.relacl) "
            "WHERE privilege_type = 'UPDATE' AND grantee <> 0 ORDER BY 1"
        ),
        {"tables": tables},
    )
    return list(found)


def _policies(connection: sa.Connection) -> Statements:
    forward, undo = [], []
    for row in _rows(connection, _POLICIES, tables=[*DISTRIBUTED]):
        alter = f"ALTER POLICY {row['name']} ON {row['table']}"
        rules = [("USING", row["using"]), ("WITH CHECK", row["checked"])]
        forward.append(" ".join((alter, *(f"{word} ({_plain(rule)})" for word, rule in rules if rule))))
        undo.append(" ".join((alter, *(f"{word} ({rule})" for word, rule in rules if rule))))
    return forward, undo


def _plain(rule: str) -> str:
    """A rule whose sub-selects, which were there to be evaluated once a statement, are what they select."""
    return re.sub(r'( AS "?\w+"?)\)', ")", rule.replace("( SELECT ", "( "))


def _without_references(table: str, references: Sequence[Reference], placement: Distributed) -> Statements:
    name, forward, undo = table.replace(".", "_"), [], []
    for target in sorted({each.target for each in references}):
        those = [each for each in references if each.target == target]
        # triggers are fired by name: this one after the target's own entry in the log, as with foreign keys
        function, trigger = f"shared.follow_{name}", f"trg_{target.partition('.')[2]}_{name}"
        forward += [f"ALTER TABLE {table} DROP CONSTRAINT {each.name}" for each in those]
        forward += functions.following(function, table, those, shard_key=placement.by, audited=placement.audited)
        forward += [
            f"REVOKE ALL ON FUNCTION {function}(), {function}_of(uuid) FROM PUBLIC",
            f"CREATE TRIGGER {trigger} AFTER DELETE ON {target} FOR EACH ROW EXECUTE FUNCTION {function}()",
        ]
        undo += [f"DROP TRIGGER {trigger} ON {target}", f"DROP FUNCTION {function}(), {function}_of(uuid)"]
        undo += [f"ALTER TABLE {table} ADD CONSTRAINT {each.name} {each.definition}" for each in those]
    return forward, undo


def _execute(connection: sa.Connection, statement: str) -> None:
    # straight to the driver: a percent sign or a colon in a function is nobody's parameter
    connection.exec_driver_sql(statement)


def _rows(connection: sa.Connection, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.text(statement), parameters).mappings()]


def _value(connection: sa.Connection, statement: str) -> Any:
    return connection.scalar(sa.text(statement))
