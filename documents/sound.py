"""Parts of designs without what is odd in them: as they read, and as they can be stored again.

What a part doesn't know stays in it. What it knows and can't take is left out, or gets its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from documents.base import Part, part_of
from documents.design import Layer, Metadata, is_uuid

UNNAMED: Final = "Unnamed"
"""What the copy of a design is called that has no name."""
LONGEST_NAME: Final = 255
NO_TYPE: Final = "silhouette"
"""What a layer of no known type reads as."""
_NONE: Final = object()
_CONFIG: Final = ConfigDict(coerce_numbers_to_str=True)


def sound_layers(stored: Any, *, name: str = "") -> list[dict[str, Any]]:
    """The layers of a stored design, as they read. `name` and a number is the id of one that has none."""
    layers = [layer for layer in (stored if isinstance(stored, list) else ()) if isinstance(layer, dict)]
    return [sound_layer(layer, f"{name}{index}" if name else "") for index, layer in enumerate(layers)]


def sound_content(design: Mapping[str, Any]) -> dict[str, Any]:
    """What a design shows, to be stored again."""
    return {
        "layers": sound_layers(design.get("layers"), name="layer-"),
        "metadata": sound_metadata(design.get("metadata")),
    }


def sound_name(design: Mapping[str, Any]) -> str | None:
    """The name of a stored design, None where none is stored."""
    name = design.get("name")
    return name if isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME else None


def sound_avatar(design: Mapping[str, Any]) -> str | None:
    """The avatar of a stored design."""
    key = design.get("avatarId")
    return key if is_uuid(key) else None


def sound_layer(stored: Mapping[str, Any], id: str = "") -> dict[str, Any]:
    """One layer, as it reads."""
    found = _sound(Layer, stored, {"id": id, "type": NO_TYPE})
    assert found is not None
    return found


def sound_metadata(stored: Any) -> dict[str, Any]:
    """The metadata of a stored design, as they read."""
    return (_sound(Metadata, stored, {}) if isinstance(stored, dict) else None) or {}


def shown_id(layer: Any) -> str:
    """The id of a stored layer, as clients know it."""
    id = layer.get("id") if isinstance(layer, dict) else None
    if isinstance(id, float) and id.is_integer():
        id = int(id)
    return "" if id is None or isinstance(id, (bool, list, dict, bytes)) else str(id)


def _sound(part: type[Part], stored: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any] | None:
    """The part; None where something in it must be there and isn't."""
    try:
        part.model_validate(stored)
    except ValidationError:
        pass
    else:
        return {**stored}
    sound = {**stored}
    for name, field in part.model_fields.items():
        key = field.alias or name
        value = _taken(part, name, stored.get(key))
        if value is _NONE and field.is_required():
            value = required.get(key, _NONE)
            if value is _NONE:
                return None
        if value is not _NONE:
            sound[key] = value
        elif field.is_required() or field.default is None:
            sound.pop(key, None)
        else:
            default = field.get_default(call_default_factory=True)
            sound[key] = default.model_dump(by_alias=True) if isinstance(default, Part) else default
    return sound


def _taken(part: type[Part], name: str, value: Any) -> Any:
    """What the field takes of a value."""
    if value is None:
        return _NONE
    inner, items, adapter = _field(part, name)
    if inner is not None:
        found = _sound(inner, value, {}) if isinstance(value, dict) else None
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
    """The part that a field is, whether it is a list, and what validates it, or its items."""
    field = part.model_fields[name]
    accepted: Any = field.annotation
    items = get_origin(accepted) is list
    if items:
        (accepted,) = get_args(accepted)
    elif field.metadata:
        accepted = Annotated[accepted, *field.metadata]
    inner = part_of(accepted)
    # a part has a configuration of its own
    return inner, items, TypeAdapter(Any if inner is not None else accepted, config=_CONFIG)
