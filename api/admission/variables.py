"""The size of variables, checked before they are coerced: coercion takes some 50 us for each input object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.admission.refusals import TooComplex, require
from api.config.settings import Settings


def require_variables(variables: Mapping[str, Any], settings: Settings) -> None:
    """Count the values (objects, list items, texts, numbers) and the longest list, until a limit is passed.

    Raises TooComplex.
    """
    maximum, longest = settings.max_variable_values, settings.max_list_items
    count, objects = len(variables), 0
    pending: list[Any] = [value for value in variables.values() if isinstance(value, (dict, list))]
    while pending and count <= maximum:
        value = pending.pop()
        size = len(value)
        if isinstance(value, list) and size > longest:
            raise TooComplex("A list is too long", "max_list_items", longest, size)
        if isinstance(value, dict):
            objects += 1
        count += size
        if count <= maximum:
            parts = value.values() if isinstance(value, dict) else value
            pending.extend([part for part in parts if isinstance(part, (dict, list))])
    require("The variables have too many objects", "max_input_objects", settings.max_input_objects, objects)
    if count > maximum:
        raise TooComplex("The variables have too many values", "max_variable_values", maximum, maximum + 1)
