"""What errors of MongoDB mean: which ones are nobody's fault, so that a request may be repeated.

All other errors are bugs of this program, or rules of the collection that the writing code has to handle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pymongo import errors

Meaning = Literal["unavailable", "conflict", "late"]
"""`unavailable`: it may work later. `conflict`: another transaction was faster, nothing was done, and it may work at
once. `late`: the server has ended the command, since it took too long."""

WRITE_CONFLICT: Final = 112

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml, and what services answer beside it
UNAVAILABLE: Final[Mapping[int, str]] = {
    6: "HostUnreachable",
    7: "HostNotFound",
    18: "AuthenticationFailed",
    24: "LockTimeout",
    43: "CursorNotFound",
    46: "LockBusy",
    63: "StaleShardVersion",
    64: "WriteConcernTimeout",
    70: "ShardNotFound",
    79: "UnknownReplWriteConcern",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    94: "NotYetInitialized",
    100: "UnsatisfiableWriteConcern",
    117: "ConflictingOperationInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    145: "PooledConnectionsDropped",
    149: "NoConfigPrimary",
    150: "StaleEpoch",
    175: "QueryPlanKilled",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    208: "TooManyLocks",
    216: "ElectionInProgress",
    237: "CursorKilled",
    239: "SnapshotTooOld",
    246: "SnapshotUnavailable",
    249: "StaleDbVersion",
    250: "StaleChunkHistory",
    251: "NoSuchTransaction",
    261: "TooManyLogicalSessions",
    262: "ExceededTimeLimit",
    264: "TooManyFilesOpen",
    272: "MigrationConflict",
    279: "ClientDisconnect",
    290: "TransactionExceededLifetimeLimitSeconds",
    303: "SplitHorizonChange",
    314: "ObjectIsBusy",
    317: "ConnectionPoolExpired",
    355: "InterruptedDueToStorageChange",
    363: "RetryableTransactionInProgress",
    365: "TemporarilyUnavailable",
    371: "UserWritesBlocked",
    384: "ConnectionError",
    391: "ReauthenticationRequired",
    402: "ResourceExhausted",
    406: "MigrationBlockingOperationCoordinatorCleaningUp",
    407: "PooledConnectionAcquisitionExceededTimeLimit",
    412: "UpdatesStillPending",
    433: "AdmissionQueueOverflow",
    449: "RateLimitExceeded",
    450: "PooledConnectionAcquisitionRejected",
    453: "InterruptedDueToReshardingCriticalSection",
    462: "IngressRequestRateLimitExceeded",
    8000: "AtlasError",
    9001: "SocketException",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    12586: "BackgroundOperationInProgressForDatabase",
    12587: "BackgroundOperationInProgressForNamespace",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
    16500: "Cosmos DB: more requests than were paid for",
    46841: "ClientMarkedKilled",
    56846: "ConfigServerUnreachable",
    91331: "RetriableRemoteCommandFailure",
}
CONFLICT: Final[Mapping[int, str]] = {WRITE_CONFLICT: "WriteConflict"}
LATE: Final[Mapping[int, str]] = {50: "MaxTimeMSExpired"}

_LABELS: Final = ("TransientTransactionError", "RetryableWriteError", "RetryableError", "SystemOverloadedError")
"""Labels by which a server says that a command may be repeated, whatever its code is."""
_BULK: Final = (errors.BulkWriteError, errors.ClientBulkWriteException)
_UNREACHABLE: Final = (
    errors.ConnectionFailure,
    errors.ConfigurationError,  # the URI was read at the start: it is DNS's, or a server that is too old
    errors.ProtocolError,
    errors.WTimeoutError,
)


def meaning(error: BaseException) -> Meaning | None:
    """What an error of the driver means. Its causes aren't looked at."""
    if not isinstance(error, errors.PyMongoError):
        return None
    codes = set(_codes(error))
    if codes & CONFLICT.keys():
        return "conflict"
    if codes & LATE.keys():
        return "late"
    if isinstance(error, _UNREACHABLE) or error.timeout or codes & UNAVAILABLE.keys():
        return "unavailable"
    return "unavailable" if any(map(error.has_error_label, _LABELS)) else None


def _codes(error: errors.PyMongoError) -> Iterator[int]:
    """The codes of the error, or of each failed write in a bulk."""
    if isinstance(error, errors.OperationFailure) and error.code is not None:
        yield error.code
    if isinstance(error, _BULK):
        details: Mapping[str, Any] = error.details or {}
        for each in (*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())):
            yield each.get("code", 0)
