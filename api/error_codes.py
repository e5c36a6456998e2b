"""The codes of errors, each with what it means to a client: the whole list, here and nowhere else."""

from __future__ import annotations

from enum import Enum

import strawberry


@strawberry.enum(
    description="What `extensions.code` says of an error at the top level of a response. More may come: take one that "
    "you don't know for INTERNAL."
)
class ErrorCode(Enum):
    ACCESS_TOKEN_EXPIRED = strawberry.enum_value(
        "ACCESS_TOKEN_EXPIRED",
        description="The time of the access token has run out: refresh the session, and send the request again.",
    )
    BAD_CURSOR = strawberry.enum_value(
        "BAD_CURSOR",
        description="A cursor was not made by this list, or with another filter or order: begin again without one.",
    )
    BAD_ID = strawberry.enum_value(
        "BAD_ID", description="An id is none that this API has given, or one of another type."
    )
    BAD_IDEMPOTENCY_KEY = strawberry.enum_value(
        "BAD_IDEMPOTENCY_KEY",
        description="The header Idempotency-Key is not a key, or the request is none that can be kept for one.",
    )
    BAD_REQUEST = strawberry.enum_value(
        "BAD_REQUEST",
        description="This is no GraphQL request over HTTP: its method, a header, its body or what is in that.",
    )
    BAD_USER_INPUT = strawberry.enum_value(
        "BAD_USER_INPUT", description="An argument is not what it should be, beyond its type; the message says why."
    )
    BAD_VARIABLES = strawberry.enum_value(
        "BAD_VARIABLES", description="The variables are not what the operation says that they are."
    )
    CONFLICT = strawberry.enum_value(
        "CONFLICT",
        description="Another change at the same moment came in the way, and nothing was done: send the request again.",
    )
    DOCUMENT_NOT_TRUSTED = strawberry.enum_value(
        "DOCUMENT_NOT_TRUSTED", description="Only registered documents are run here, and this is none of them."
    )
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="The account that is signed in may not do this.")
    GRAPHQL_PARSE_FAILED = strawberry.enum_value(
        "GRAPHQL_PARSE_FAILED",
        description="The document breaks the rules of the language GraphQL; `locations` says where.",
    )
    GRAPHQL_VALIDATION_FAILED = strawberry.enum_value(
        "GRAPHQL_VALIDATION_FAILED",
        description="The document does not go together with the schema; `locations` says where.",
    )
    IDEMPOTENCY_INTERRUPTED = strawberry.enum_value(
        "IDEMPOTENCY_INTERRUPTED",
        description="The mutation with this Idempotency-Key has changed something, and its answer is lost: read "
        "what is there, and use a new key for what is left to do.",
    )
    IDEMPOTENCY_IN_PROGRESS = strawberry.enum_value(
        "IDEMPOTENCY_IN_PROGRESS",
        description="A request with this Idempotency-Key is still running: send it again a little later.",
    )
    IDEMPOTENCY_KEY_REUSED = strawberry.enum_value(
        "IDEMPOTENCY_KEY_REUSED",
        description="This Idempotency-Key came with another request before: a new request needs a new key.",
    )
    INTERNAL = strawberry.enum_value(
        "INTERNAL", description="A failure of the server's own; `extensions.requestId` finds it in the log."
    )
    INVALID_ACCESS_TOKEN = strawberry.enum_value(
        "INVALID_ACCESS_TOKEN",
        description="The access token is none of this API, or its session has ended: refresh the session, or sign in.",
    )
    OPERATION_RESOLUTION_FAILURE = strawberry.enum_value(
        "OPERATION_RESOLUTION_FAILURE",
        description="The document has no operation of this name, or several and none is named.",
    )
    OVERLOADED = strawberry.enum_value(
        "OVERLOADED",
        description="The server has more to do than it can do in time, and has done nothing of this request: send it "
        "again after the seconds of `extensions.retryAfter`.",
    )
    PERSISTED_QUERY_NOT_FOUND = strawberry.enum_value(
        "PERSISTED_QUERY_NOT_FOUND",
        description="No document is known by this id or hash: send its text, with the hash if it is to be kept.",
    )
    PERSISTED_QUERY_NOT_SUPPORTED = strawberry.enum_value(
        "PERSISTED_QUERY_NOT_SUPPORTED", description="Hashes of clients are not kept here: send texts without them."
    )
    RATE_LIMITED = strawberry.enum_value(
        "RATE_LIMITED",
        description="Too much at once, or again and again: come again after the seconds of `extensions.retryAfter`.",
    )
    RESUME_TOKEN_EXPIRED = strawberry.enum_value(
        "RESUME_TOKEN_EXPIRED",
        description="Too much has changed since the resume token: read anew, and subscribe without it.",
    )
    STORE_UNAVAILABLE = strawberry.enum_value(
        "STORE_UNAVAILABLE",
        description="The store that `extensions.store` names does not answer; trying again later may help. What needs "
        "only the other one is answered.",
    )
    TIMEOUT = strawberry.enum_value(
        "TIMEOUT",
        description="The operation, or what a store did for it, took longer than `extensions.limit` lets it, and was "
        "ended. A mutation may have changed something.",
    )
    TOO_COMPLEX = strawberry.enum_value(
        "TOO_COMPLEX",
        description="More than a limit allows: `extensions` has its name (`limit`), its value (`maximum`) and what was "
        "asked for (`value`).",
    )
    TOO_SLOW = strawberry.enum_value(
        "TOO_SLOW",
        description="The events of a subscription are taken too slowly: subscribe again with the last resume token.",
    )
    UNAUTHENTICATED = strawberry.enum_value(
        "UNAUTHENTICATED",
        description="This needs somebody who is signed in, and the request came without an access token.",
    )


@strawberry.enum(
    description="What the `code` of an error in a mutation's payload says. More may come: show the message of one that "
    "you don't know."
)
class MutationErrorCode(Enum):
    EMAIL_TAKEN = strawberry.enum_value(
        "EMAIL_TAKEN", description="There is an account with this email already; a deleted account keeps its email."
    )
    EMPTY = strawberry.enum_value("EMPTY", description="The design has no layers, and a published one must have some.")
    INVALID = strawberry.enum_value(
        "INVALID", description="The part of the input at `path` is not what it should be; the message says why."
    )
    INVALID_CREDENTIALS = strawberry.enum_value(
        "INVALID_CREDENTIALS",
        description="The email or the password is wrong, or the account may not sign in: which of them is not told.",
    )
    INVALID_REFRESH_TOKEN = strawberry.enum_value(
        "INVALID_REFRESH_TOKEN",
        description="The refresh token is unknown, or its session has ended: sign in again.",
    )
    ITEM_INACTIVE = strawberry.enum_value(
        "ITEM_INACTIVE", description="The catalog item of the layer at `path` is no longer offered."
    )
    LAST_ADMIN = strawberry.enum_value(
        "LAST_ADMIN", description="The account is the last active admin: make somebody else one first."
    )
    LAYER_TYPE = strawberry.enum_value(
        "LAYER_TYPE", description="The catalog item of the layer at `path` is of another type than the layer."
    )
    NOT_DELETED = strawberry.enum_value("NOT_DELETED", description="What should be restored is not deleted.")
    NOT_FOUND = strawberry.enum_value(
        "NOT_FOUND", description="What the input refers to isn't there, or not for the viewer to see or to change."
    )
    OPERATION_UNFINISHED = strawberry.enum_value(
        "OPERATION_UNFINISHED",
        description="An earlier deletion or restoration of the account has been interrupted: it must be finished "
        "first, by sending it again or by `fashion-wallet reconcile --repair`.",
    )
    OWNER_DELETED = strawberry.enum_value(
        "OWNER_DELETED", description="The owner's account is deleted, and must be restored first."
    )
    OWN_ACCOUNT = strawberry.enum_value(
        "OWN_ACCOUNT", description="Nobody can do this to their own account: ask another admin."
    )
    PREMIUM_REQUIRED = strawberry.enum_value(
        "PREMIUM_REQUIRED",
        description="The catalog item of the layer at `path` is for premium accounts, and the design's owner has none.",
    )
    REFRESH_TOKEN_USED = strawberry.enum_value(
        "REFRESH_TOKEN_USED",
        description="The refresh token was exchanged a moment ago: use the tokens that this exchange gave.",
    )
    STALE = strawberry.enum_value(
        "STALE",
        description="The object has changed since the client read it; the payload has it as it is now.",
    )
    VERSION_CONFLICT = strawberry.enum_value(
        "VERSION_CONFLICT",
        description="The design has changed since the version that the client saw; `current` is it as it is now.",
    )
