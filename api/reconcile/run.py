"""A run of `reconcile`: all checks, in the order of their dependencies."""

from __future__ import annotations

from typing import Final

import uuid_utils

from api.accounts.auth import Auth
from api.config.settings import Settings
from api.fields.context import Context
from api.log import logger
from api.reconcile.designs import check_designs
from api.reconcile.expiry import forget_history, sweep_expired
from api.reconcile.odd_values import find_odd_values
from api.reconcile.report import Progress, Report
from api.reconcile.users import finish_operations, return_designs, sweep_avatars
from api.rights.viewer import SYSTEM
from api.schema import DOMAINS
from api.stores.stores import Stores

BATCH: Final = 1000
"""Rows or documents in a batch."""

# operations come first, since unfinished ones would look like orphans
STEPS: Final = (
    finish_operations,
    return_designs,
    sweep_avatars,
    check_designs,
    find_odd_values,
    sweep_expired,
    forget_history,
)


async def reconcile(
    stores: Stores,
    settings: Settings,
    *,
    repair: bool,
    batch: int = BATCH,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Check everything, and repair what can be repaired if that is asked for.

    It may run beside the API and beside another run, be interrupted and be repeated: each batch is independent, and
    each repair is conditional on what it repairs.
    """
    report, request_id = Report(), f"reconcile-{uuid_utils.uuid7()}"
    context = Context(stores, settings, request_id, DOMAINS, Auth(settings), SYSTEM)
    for step in STEPS:
        await step(context, report, repair=repair, batch=batch, progress=progress)
    counts = {name: tally.found for name, tally in report.kinds().items() if tally.found}
    repaired = sum(tally.repaired for tally in report.kinds().values())
    logger.info("reconciled", repair=repair, problems=report.problems, repaired=repaired, **counts)
    return report
