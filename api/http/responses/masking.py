"""Messages of graphql-core without the values in them, since a client may have sent a secret in the wrong place.

The client finds the value by the error's locations; for variables, the message names the path.
"""

from __future__ import annotations

import re
from typing import Final

_REPLACEMENTS: Final = tuple(
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        # a message of Strawberry's that names Python types
        (
            r"Expected value of type '[^']*', found null\. (Argument|Field) '([^']*)' .*",
            r"\1 '\2' can be left out, but not be null.",
        ),
        (r"Value '.*' does not exist in '(\w+)' enum\.", r"The value does not exist in '\1' enum."),
        (r"(cannot represent [\w -]*value): .*?( Did you mean the enum values? [^?]{1,400}\?)?\Z", r"\1.\2"),
        (r", but encountered error '.*", "."),
        (r", found: .*", "."),
        (r" Found: .*", ""),
        (r"\A(Syntax Error: .*?\b(?:Name|Int|Float|String|BlockString)) '.*", r"\1."),
        (r"\A(Syntax Error: .*? escape sequence): .*", r"\1."),
    )
)


def without_values(message: str) -> str:
    """The message without its quotes from the request: literals, variables, words of an invalid document."""
    for pattern, replacement in _REPLACEMENTS:
        message = pattern.sub(replacement, message, count=1)
    return message
