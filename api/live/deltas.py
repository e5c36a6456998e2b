"""What a change stream says of an update, applied to the document before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

_ABSENT: Final = object()


def paths_of(description: Mapping[str, Any]) -> list[str]:
    """The dotted paths of what an update touched."""
    truncated = [each["field"] for each in description.get("truncatedArrays") or ()]
    return [*(description.get("updatedFields") or ()), *(description.get("removedFields") or ()), *truncated]


def applied(before: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    """The document after an update (`updateDescription`). The one before stays as it is, and they share the rest."""
    after: Any = before
    for each in description.get("truncatedArrays") or ():
        after = _changed(after, each["field"].split("."), partial(_shortened, each["newSize"]))
    for path, value in (description.get("updatedFields") or {}).items():
        after = _changed(after, path.split("."), partial(_replaced, value))
    for path in description.get("removedFields") or ():
        after = _changed(after, path.split("."), partial(_replaced, _ABSENT))
    return {**after}


def _shortened(size: int, array: Any) -> Any:
    return array[:size]


def _replaced(value: Any, _: Any) -> Any:
    return value


def _changed(container: Any, path: Sequence[str], change: Callable[[Any], Any]) -> Any:
    """A copy of a container with another value at a path below it. What lies on the way and isn't there is made."""
    name, *rest = path
    if isinstance(container, list):
        index, array = int(name), [*container]
        array += [None] * (index + 1 - len(array))
        new = _changed(array[index], rest, change) if rest else change(array[index])
        array[index] = None if new is _ABSENT else new
        return array
    document = {**container} if isinstance(container, Mapping) else {}
    new = _changed(document.get(name), rest, change) if rest else change(document.get(name))
    if new is _ABSENT:
        document.pop(name, None)
    else:
        document[name] = new
    return document
