"""What has expired and only takes up room."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select

from api import claims
from api.context import Context
from api.reconcile.report import Progress, Report
from models import IdempotencyKey, Session


async def sweep_expired(context: Context, report: Report, *, repair: bool, batch: int, progress: Progress) -> None:
    """Sessions that have ended by themselves, with their refresh tokens, and idempotency keys."""
    lifetime = timedelta(seconds=context.settings.idempotency_key_lifetime)
    ended = Session.expires_at < func.now()
    async with context.stores.sessions() as session:
        report.expired_sessions.found = await session.scalar(select(func.count()).where(ended)) or 0
        report.expired_idempotency_keys.found = (
            await session.scalar(select(func.count()).where(IdempotencyKey.created_at < func.now() - lifetime)) or 0
        )
    if repair:
        while swept := await claims.sweep(context.stores, lifetime, batch):
            report.expired_idempotency_keys.repaired += swept
            progress("expired", report.expired_idempotency_keys.repaired, None)
        chosen = select(Session.id).where(ended).limit(batch).with_for_update(skip_locked=True)
        statement = delete(Session).where(Session.id.in_(chosen)).returning(Session.id)
        while True:
            async with context.stores.sessions.begin() as session:
                options = {"synchronize_session": False}
                number = len((await session.scalars(statement, execution_options=options)).all())
            if not number:
                break
            report.expired_sessions.repaired += number
            progress("expired", report.expired_sessions.repaired, None)
    for tally in (report.expired_sessions, report.expired_idempotency_keys):
        tally.remaining = max(0, tally.found - tally.repaired)
