"""Why somebody can't follow changes, or no longer."""

from __future__ import annotations

from api.error_codes import ErrorCode
from api.errors import AppError, RateLimited


class ResumeTokenExpired(AppError):
    """What followed the token is no longer there to be told, or too much."""

    code = ErrorCode.RESUME_TOKEN_EXPIRED

    def __init__(self) -> None:
        super().__init__("Too much has changed since this resume token: read anew, and subscribe without it.")


class TooFarBehind(AppError):
    """A follower takes less than there is."""

    code = ErrorCode.TOO_SLOW

    def __init__(self) -> None:
        super().__init__("Events are taken too slowly: subscribe again with the last resume token.")


class TooManySubscriptions(RateLimited):
    """The account, the address or the process has as many subscriptions as it may have."""

    def __init__(self, setting: str) -> None:
        super().__init__(1)
        self.message = f"There are as many subscriptions as there may be ({setting}); try again later."
