"""Deletes expired sessions and keys, and history that is older than the settings allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.designs.revision_store import revisions
from api.fields.context import Context
from api.idempotency.sweeping import sweep
from api.reconcile.report import Progress, Report
from api.stores.postgres.engine import postgres_engine
from models import AuditEntry, IdempotencyKey, Session


async def sweep_expired(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Delete expired sessions with their refresh tokens, and expired idempotency keys."""
    lifetime = timedelta(seconds=context.settings.idempotency_key_lifetime)
    async with context.stores.sessions() as session:
        report.expired_sessions.found = (
            await session.scalar(select(func.count()).where(Session.expires_at < func.now())) or 0
        )
        report.expired_idempotency_keys.found = (
            await session.scalar(select(func.count()).where(IdempotencyKey.created_at < func.now() - lifetime)) or 0
        )
    if repair:
        sessions, keys = await sweep(context.stores, context.settings, batch)
        report.expired_sessions.repaired, report.expired_idempotency_keys.repaired = sessions, keys
        progress("expired", sessions + keys, None)
    for tally in (report.expired_sessions, report.expired_idempotency_keys):
        tally.remaining = max(0, tally.found - tally.repaired)


async def forget_history(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Delete audit entries and design revisions that are older than AUDIT_RETENTION and REVISION_RETENTION.

    Only the owner of the tables can delete from the log, which is the user of MIGRATION_DATABASE_URL, if that is set.
    """
    settings = context.settings
    if settings.audit_retention:
        tally, engine = report.expired_audit_entries, context.stores.engine
        if settings.migration_database_url is not None:
            engine = postgres_engine(settings.for_migrations)
        try:
            old = AuditEntry.at < func.now() - timedelta(seconds=settings.audit_retention)
            async with engine.connect() as connection:
                tally.found = await connection.scalar(select(func.count()).where(old)) or 0
            while repair and (removed := await _forget_entries(engine, old, batch)):
                tally.repaired += removed
                progress("audit log", tally.repaired, tally.found)
        finally:
            if engine is not context.stores.engine:
                await engine.dispose()
        tally.remaining = max(0, tally.found - tally.repaired)
    if settings.revision_retention:
        tally, kept = report.expired_revisions, revisions(context.stores)
        past = {"at": {"$lt": datetime.now(UTC) - timedelta(seconds=settings.revision_retention)}}
        tally.found = await kept.count_documents(past)
        while repair and (found := await kept.find(past, {"_id": True}).limit(batch).to_list()):
            removed = (await kept.delete_many({"_id": {"$in": [each["_id"] for each in found]}})).deleted_count
            tally.repaired += removed
            progress("revisions", tally.repaired, tally.found)
        tally.remaining = max(0, tally.found - tally.repaired)


async def _forget_entries(engine: AsyncEngine, old: ColumnElement[bool], batch: int) -> int:
    chosen = select(AuditEntry.id).where(old).limit(batch)
    async with engine.begin() as connection:
        return (await connection.execute(delete(AuditEntry).where(AuditEntry.id.in_(chosen)))).rowcount
