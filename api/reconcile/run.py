"""A whole run, in the order in which one thing depends on another."""

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
"""Rows or documents that are looked at together."""

# what is left of an operation would look like orphans, so operations come first
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
    """Look at everything, and repair what can be, where told to.

    May run beside the API and beside itself, be interrupted and be repeated: each batch stands for itself, and each
    repair is conditional on what it repairs.
    """
    report, request_id = Report(), f"reconcile-{uuid_utils.uuid7()}"
    context = Context(stores, settings, request_id, DOMAINS, Auth(settings), SYSTEM)
    for step in STEPS:
        await step(context, report, repair=repair, batch=batch, progress=progress)
    counts = {name: tally.found for name, tally in report.kinds().items() if tally.found}
    repaired = sum(tally.repaired for tally in report.kinds().values())
    logger.info("reconciled", repair=repair, problems=report.problems, repaired=repaired, **counts)
    return report
