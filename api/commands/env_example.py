"""The text of `.env.example`: every setting with its meaning and default."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from api.config.settings import PRODUCTION_DEFAULTS, Settings

HEADER = """\
# Every setting of Fashion Wallet, with its default. Copy this file to `.env` and change what you need;
# variables of the environment win over it. Times are in seconds.
# Made by `fashion-wallet config --output .env.example`.
"""


def env_example() -> str:
    """`# meaning` and `# NAME=default` for each setting. Commented out, since some defaults depend on ENVIRONMENT."""
    parts = [HEADER]
    for name, field in Settings.model_fields.items():
        note = f" (in production: {_text(PRODUCTION_DEFAULTS[name])})" if name in PRODUCTION_DEFAULTS else ""
        parts.append(f"# {field.description}{note}\n# {name.upper()}={_text(field.get_default())}\n")
    return "\n".join(parts)


def _text(value: Any) -> str:
    """As it is written in the environment."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value)
