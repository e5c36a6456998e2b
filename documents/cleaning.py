"""Parts of stored designs, cleaned of odd values: as clients see them, and as they can be stored again.

Fields that this program doesn't know stay. A known field with a value that it can't hold is left out, or gets its
default.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from documents.base import Part, part_of
from documents.design import Layer, Metadata, is_uuid

UNNAMED: Final = "Unnamed"
"""The name of a copy whose original has none."""
LONGEST_NAME: Final = 255
NO_TYPE: Final = "silhouette"
"""The type that a layer with an unknown one is shown with."""
_NONE: Final = object()
_CONFIG: Final = ConfigDict(coerce_numbers_to_str=True)


def clean_layers(stored: Any, *, name: str = "") -> list[dict[str, Any]]:
    """The layers of a stored design, as clients see them. A layer without an id gets one of `name` and a number."""
    layers = [layer for layer in (stored if isinstance(stored, list) else ()) if isinstance(layer, dict)]
    return [clean_layer(layer, f"{name}{index}" if name else "") for index, layer in enumerate(layers)]


def clean_content(design: Mapping[str, Any]) -> dict[str, Any]:
    """The layers and the metadata of a design, to be stored again."""
    return {
        "layers": clean_layers(design.get("layers"), name="layer-"),
        "metadata": clean_metadata(design.get("metadata")),
    }


def clean_name(design: Mapping[str, Any]) -> str | None:
    """The name of a stored design; None where it has none that could be stored."""
    name = design.get("name")
    return name if isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME else None


def clean_avatar(design: Mapping[str, Any]) -> str | None:
    """The key of a stored design's avatar; None where it is no UUID."""
    key = design.get("avatarId")
    return key if is_uuid(key) else None


def clean_layer(stored: Mapping[str, Any], id: str = "") -> dict[str, Any]:
    """One layer, as clients see it."""
    found = _clean(Layer, stored, {"id": id, "type": NO_TYPE})
    assert found is not None
    return found


def clean_metadata(stored: Any) -> dict[str, Any]:
    """The metadata of a stored design, as clients see them."""
    return (_clean(Metadata, stored, {}) if isinstance(stored, dict) else None) or {}


def shown_id(layer: Any) -> str:
    """The id of a stored layer, as clients know it."""
    id = layer.get("id") if isinstance(layer, dict) else None
    if isinstance(id, float) and id.is_integer():
        id = int(id)
    return "" if id is None or isinstance(id, (bool, list, dict, bytes)) else str(id)


def _clean(part: type[Part], stored: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cleaned part; None where a required value is missing and has no default."""
    try:
        part.model_validate(stored)
    except ValidationError:
        pass
    else:
        return {**stored}
    cleaned = {**stored}
    for name, field in part.model_fields.items():
        key = field.alias or name
        value = _taken(part, name, stored.get(key))
        if value is _NONE and field.is_required():
            value = required.get(key, _NONE)
            if value is _NONE:
                return None
        if value is not _NONE:
            cleaned[key] = value
        elif field.is_required() or field.default is None:
            cleaned.pop(key, None)
        else:
            default = field.get_default(call_default_factory=True)
            cleaned[key] = default.model_dump(by_alias=True) if isinstance(default, Part) else default
    return cleaned


def _taken(part: type[Part], name: str, value: Any) -> Any:
    """The value as the field can hold it, or `_NONE`."""
    if value is None:
        return _NONE
    inner, items, adapter = _field(part, name)
    if inner is not None:
        found = _clean(inner, value, {}) if isinstance(value, dict) else None
        return _NONE if found is None else found
    if items:
        taken = [_validated(adapter, item) for item in (value if isinstance(value, list) else ())]
        return [item for item in taken if item is not _NONE]
    return _validated(adapter, value)


def _validated(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return _NONE


@lru_cache(maxsize=256)
def _field(part: type[Part], name: str) -> tuple[type[Part] | None, bool, TypeAdapter[Any]]:
    """The part that a field holds (if any), whether it is a list, and the validator of its value or items."""
    field = part.model_fields[name]
    accepted: Any = field.annotation
    items = get_origin(accepted) is list
    if items:
        (accepted,) = get_args(accepted)
    elif field.metadata:
        accepted = Annotated[accepted, *field.metadata]
    inner = part_of(accepted)
    # parts bring a configuration of their own
    return inner, items, TypeAdapter(Any if inner is not None else accepted, config=_CONFIG)
