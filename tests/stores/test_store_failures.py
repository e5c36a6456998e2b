"""What the errors of both drivers mean to clients: every code that they know, with its class, so that somebody decides
on those that a new driver brings."""

from __future__ import annotations

from typing import Any, Final

import asyncpg
import pymongo.errors
import pytest
from asyncpg.exceptions import _base
from pymongo import helpers_shared
from sqlalchemy.exc import DBAPIError

import documents.failures
import models.failures
from api.errors import as_app_error

_MESSAGES: Final[dict[str, type]] = getattr(_base.PostgresMessageMeta, "_message_map")  # noqa: B009  stubs lack it
UNAVAILABLE: Final = ("STORE_UNAVAILABLE", "PostgreSQL")
CONFLICT: Final = ("CONFLICT", None)
LATE: Final = ("TIMEOUT", "PostgreSQL")

SQLSTATES: Final = {
    UNAVAILABLE: """
        08000 08001 08003 08004 08006 08007 08P01
        25006 25P03 25P04
        28000 28P01
        3D000
        40003
        53000 53100 53200 53300 53400
        55P03
        57000 57P01 57P02 57P03 57P04 57P05
        58000 58030 58P01 58P02 58P03
        72000
    """,
    CONFLICT: "40000 40001 40P01",
    LATE: "57014",
    None: """
        01000 01003 01004 01006 01007 01008 0100C 01P01 02000 02001 03000 09000 0A000 0B000 0F000 0F001 0L000 0LP01
        0P000 0Z000 0Z002 10608 20000 21000
        22000 22001 22002 22003 22004 22005 22007 22008 22009 2200B 2200C 2200D 2200F 2200G 2200H 2200L 2200M 2200N
        2200S 2200T 22010 22011 22012 22013 22014 22015 22016 22018 22019 2201B 2201E 2201F 2201G 2201W 2201X 22021
        22022 22023 22024 22025 22026 22027 2202E 2202G 2202H 22030 22031 22032 22033 22034 22035 22036 22037 22038
        22039 2203A 2203B 2203C 2203D 2203E 2203F 2203G 22P01 22P02 22P03 22P04 22P05 22P06
        23000 23001 23502 23503 23505 23514 23P01 24000
        25000 25001 25002 25003 25004 25005 25007 25008 25P01 25P02
        26000 27000 2B000 2BP01 2D000 2F000 2F002 2F003 2F004 2F005 34000 38000 38001 38002 38003 38004
        39000 39001 39004 39P01 39P02 39P03 3B000 3B001 3F000 40002
        42000 42501 42601 42602 42611 42622 42701 42702 42703 42704 42710 42712 42723 42725 42803 42804 42809 42830
        42846 42883 42939 42P01 42P02 42P03 42P04 42P05 42P06 42P07 42P08 42P09 42P10 42P11 42P12 42P13 42P14 42P15
        42P16 42P17 42P18 42P19 42P20 42P21 42P22 428C9 44000
        54000 54001 54011 54023 55000 55006 55P02 55P04
        F0000 F0001
        HV000 HV001 HV002 HV004 HV005 HV006 HV007 HV008 HV009 HV00A HV00B HV00C HV00D HV00J HV00K HV00L HV00M HV00N
        HV00P HV00Q HV00R HV010 HV014 HV021 HV024 HV090 HV091
        P0000 P0001 P0002 P0003 P0004 XX000 XX001 XX002
    """,
}
"""Every SQLSTATE that asyncpg knows. What is None is a bug of ours, or told by whoever wrote."""
LOST: Final = "08000 08001 08003 08004 08006 08007 08P01 25P03 25P04 57P01 57P02 57P03 57P04 57P05"
"""After which the connection is lost, whether or not its end has been seen."""
LOST_BY_ERRORS: Final = "25P03 25P04 57P03 57P04 57P05"
"""Those where that isn't fatal: of the others, a coordinator of Citus tells of the connections that it has itself."""


def told(error: BaseException) -> tuple[str, Any] | None:
    """What a client is told: the code, and the store."""
    known = as_app_error(error)
    return None if known is None else (known.extensions["code"], known.extensions.get("store"))


def of_state(state: str, severity: str = "ERROR", message: str = "it said so") -> asyncpg.PostgresError:
    fields = {"C": state, "M": message, "S": severity, "V": severity}
    error: asyncpg.PostgresError = _base.PostgresError.new(fields)
    return error


def test_every_sqlstate_has_its_class() -> None:
    known = {state for state in _MESSAGES if len(state) == 5}
    stated = {state: meaning for meaning, states in SQLSTATES.items() for state in states.split()}
    assert {state: told(of_state(state)) for state in known} == {state: stated.get(state) for state in known}
    assert known - stated.keys() == set()
    assert stated.keys() - known == {"58P03"} - known


@pytest.mark.parametrize(("severity", "lost"), [("FATAL", LOST), ("PANIC", LOST), ("ERROR", LOST_BY_ERRORS)])
def test_connections_are_dropped_that_the_server_ends(severity: str, lost: str) -> None:
    known = [state for state in _MESSAGES if state is not None]
    ends = {state for state in known if models.failures.ends_connection(of_state(state, severity))}
    assert ends == set(lost.split())


@pytest.mark.parametrize(
    ("message", "meaning", "lost"),
    [
        # a worker is lost, which the coordinator goes on without
        ("server closed the connection unexpectedly\n\tThis probably means", UNAVAILABLE, False),
        ("could not receive data from server: Connection reset by peer", UNAVAILABLE, False),
        ("could not send data to server: Broken pipe", UNAVAILABLE, False),
        ("no connection to the server", UNAVAILABLE, False),
        ("failure on connection marked as essential: 127.0.0.1:5432", UNAVAILABLE, False),
        ("postmaster was shut down, exiting", UNAVAILABLE, True),
        ("cache lookup failed for relation 1", None, False),
    ],
)
def test_a_coordinator_says_of_lost_nodes_what_it_says_of_bugs(message: str, meaning: object, lost: bool) -> None:
    error = of_state("XX000", message=message)
    assert told(error) == meaning
    assert models.failures.ends_connection(error) is lost
    assert told(of_state("XX001", message=message)) is None


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (of_state("0A000"), None),
        (asyncpg.InvalidCachedStatementError("a column's type has changed"), CONFLICT),
        # what asyncpg says on a connection whose server has said goodbye while it was idle
        (asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"), UNAVAILABLE),
        (asyncpg.TargetServerAttributeNotMatched("no server is read-write"), UNAVAILABLE),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), None),
        (ConnectionResetError(), UNAVAILABLE),
        (TimeoutError(), UNAVAILABLE),
        (DBAPIError("SELECT 1", None, Exception("closed"), connection_invalidated=True), UNAVAILABLE),
        (DBAPIError("SELECT 1", None, Exception("a bug")), None),
        (LookupError("a bug"), None),
    ],
)
def test_what_has_no_sqlstate(error: BaseException, meaning: object) -> None:
    assert told(error) == meaning


MONGODB_UNAVAILABLE: Final = ("STORE_UNAVAILABLE", "MongoDB")
MONGODB_LATE: Final = ("TIMEOUT", "MongoDB")

CODES: Final = {
    MONGODB_UNAVAILABLE: """
        6 7 18 24 43 46 63 64 70 79 89 91 94 100 117 133 134 145 149 150 175 189 202 208 216 237 239 246 249 250 251
        261 262 264 272 279 290 303 314 317 355 363 365 371 384 391 402 406 407 412 433 449 450 453 462 8000 9001 10058
        10107 11600 11601 11602 12586 12587 13388 13435 13436 14031 16500 46841 56846 91331
    """,
    CONFLICT: "112",
    MONGODB_LATE: "50",
    None: """
        1 2 3 4 8 9 11 13 14 15 16 20 22 26 27 28 48 52 53 59 61 65 66 67 68 72 73 85 86 96 101 115 121 125 136 139 143
        146 166 167 168 195 197 206 222 224 225 238 241 242 256 257 260 263 267 276 280 286 291 292 301 322 323 324 334
        358 359 361 372 376 378 388 10334 11000 11001 16755 17124 17262 17280 28769 31082 40324 40413 40414 40415 50768
    """,
}
"""MongoDB's codes that a client can meet, and those of services that speak its protocol."""


def test_every_code_of_mongodb_has_its_class() -> None:
    stated = {int(code): meaning for meaning, codes in CODES.items() for code in codes.split()}
    found = {code: told(pymongo.errors.OperationFailure("it said so", code)) for code in stated}
    assert found == stated
    assert stated.keys() >= documents.failures.UNAVAILABLE.keys()
    assert {code for code, meaning in stated.items() if meaning == MONGODB_UNAVAILABLE} >= (
        helpers_shared._RETRYABLE_ERROR_CODES
        | helpers_shared._NOT_PRIMARY_CODES
        | {helpers_shared._REAUTHENTICATION_REQUIRED_CODE, helpers_shared._AUTHENTICATION_FAILURE_CODE}
    )


KINDS: Final = {
    MONGODB_UNAVAILABLE: """
        AutoReconnect ConfigurationError ConnectionFailure CursorNotFound InvalidURI NetworkTimeout
        NotPrimaryError ProtocolError ServerSelectionTimeoutError WaitQueueTimeoutError WTimeoutError
        _OperationCancelled
    """,
    MONGODB_LATE: "ExecutionTimeout",
    None: """
        BulkWriteError ClientBulkWriteException CollectionInvalid DuplicateKeyError
        EncryptedCollectionError EncryptionError InvalidName InvalidOperation OperationFailure PyMongoError
        WriteConcernError WriteError
    """,
}
"""pymongo's kinds of errors, as it makes them where the server gives no code."""
ARGUMENTS: Final[dict[str, tuple[Any, ...]]] = {
    "CursorNotFound": ("it said so", 43),
    "ExecutionTimeout": ("it said so", 50),
    "WTimeoutError": ("it said so", 64),
    "BulkWriteError": ({},),
    "ClientBulkWriteException": ({}, False),
    "EncryptionError": (Exception(),),
    "EncryptedCollectionError": (Exception(), {}),
    "WaitQueueTimeoutError": ("it said so",),
}


def test_every_kind_of_error_of_pymongo_has_its_class() -> None:
    kinds = {
        name: kind
        for name, kind in vars(pymongo.errors).items()
        if isinstance(kind, type) and issubclass(kind, pymongo.errors.PyMongoError)
    }
    found = {name: told(kind(*ARGUMENTS.get(name, ("it said so",)))) for name, kind in kinds.items()}
    assert found == {name: meaning for meaning, names in KINDS.items() for name in names.split()}


@pytest.mark.parametrize(
    "label", ["TransientTransactionError", "RetryableWriteError", "RetryableError", "SystemOverloadedError"]
)
def test_a_server_s_label_says_that_it_may_be_tried_again_whatever_the_code(label: str) -> None:
    details = {"errorLabels": [label]}
    assert told(pymongo.errors.OperationFailure("it said so", 99999, details)) == MONGODB_UNAVAILABLE
    assert told(pymongo.errors.OperationFailure("it said so", 99999)) is None
    assert told(pymongo.errors.OperationFailure("it said so", 112, details)) == CONFLICT


@pytest.mark.parametrize(
    ("details", "meaning"),
    [
        ({"writeErrors": [{"code": 11000}]}, None),
        ({"writeErrors": [{"code": 11000}, {"code": 11602}]}, MONGODB_UNAVAILABLE),
        ({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}, MONGODB_UNAVAILABLE),
        ({"writeErrors": [{"code": 112}]}, CONFLICT),
        ({"writeErrors": [], "writeConcernErrors": [{"code": 64}, {"code": 50}]}, MONGODB_LATE),
    ],
)
def test_a_bulk_means_what_its_writes_mean(details: Any, meaning: object) -> None:
    assert told(pymongo.errors.BulkWriteError(details)) == meaning
