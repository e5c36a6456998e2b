"""Which column types of the original service can become the ones of this application, and how."""

from __future__ import annotations

import re
from typing import Final

UUID: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def conversion(name: str, found: str, category: str, wanted: str, zone: str = "UTC") -> tuple[str, str | None] | None:
    """The USING expression that turns a column of type `found` into `wanted`, and the values that don't fit.

    Those values are given as a condition, None where all fit. It is None alone where no conversion keeps the meaning.

    Types are as PostgreSQL's format_type writes them, `category` is pg_type.typcategory, `name` the quoted column,
    `zone` the time zone of timestamps without one.
    """
    textual = category in ("S", "E")  # strings and enums
    if wanted == "text" and textual:
        return f"{name}::text", None
    if (length := re.fullmatch(r"character varying\((\d+)\)", wanted)) and textual:
        return f"{name}::text", f"length({name}::text) > {length[1]}"
    if wanted == "timestamp with time zone" and re.match(r"timestamp\b", found):
        quoted = zone.replace("'", "''")
        return (f"{name} AT TIME ZONE '{quoted}'" if found.endswith("without time zone") else name), None
    if wanted == "uuid" and textual:
        return f"{name}::text::uuid", f"{name}::text !~* '{UUID}'"
    if wanted == "jsonb" and (found == "json" or textual):
        return f"{name}::text::jsonb", None
    if wanted == "integer" and category == "N":
        return f"{name}::integer", f"{name} <> trunc({name}::numeric) OR abs({name}::numeric) > 2147483647"
    return None
