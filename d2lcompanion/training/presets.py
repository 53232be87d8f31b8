"""A preset is a frozen dataclass, one for each scale; a reader may change single values of it."""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from d2lcompanion.training.settings import Settings, SettingsError

P = TypeVar("P")
BOOLEANS = {"true": True, "false": False}


def resolve(presets: Mapping[str, P], settings: Settings) -> P:
    """The preset of the chosen scale, with the overrides applied.

    Types come from the dataclass's annotations: int, float, bool, str, Literal, tuple,
    and `| None`. Text is parsed ("200", "1e-3", "true", "1,2,3", "none"); other values
    must have the type already. The preset's own `__post_init__` checks ranges.

    Args:
        presets: scale → an instance of a frozen dataclass.
        settings: gives the scale and the overrides.
    Raises:
        SettingsError: if there is no preset for the scale, or a key or a value does not
            fit; the message names key, value and the allowed keys with their types.
    """
    if settings.scale not in presets:
        raise SettingsError(
            f"scale must be one of {', '.join(presets)}, got {settings.scale!r}"
        )
    preset = presets[settings.scale]
    annotations = preset_types(preset)
    changes = {}
    for key, value in settings.overrides.items():
        if key not in annotations:
            raise SettingsError(
                f"unknown key {key}={value}; allowed: {describe_keys(preset)}"
            )
        try:
            changes[key] = _parse(value, annotations[key])
        except ValueError:
            raise SettingsError(
                f"{key} must be {_type_name(annotations[key])}, got {value!r}; "
                f"allowed: {describe_keys(preset)}"
            ) from None
    try:
        return dataclasses.replace(preset, **changes)  # type: ignore[type-var]
    except ValueError as error:  # a range check of the preset itself
        raise SettingsError(str(error)) from error


def preset_types(preset: object) -> dict[str, Any]:
    """Key → annotation, in the order of the dataclass.

    Raises:
        TypeError: if the preset is not an instance of a dataclass.
    """
    if not dataclasses.is_dataclass(preset) or isinstance(preset, type):
        raise TypeError(f"a preset must be an instance of a dataclass, got {preset!r}")
    hints = get_type_hints(type(preset))
    return {entry.name: hints[entry.name] for entry in dataclasses.fields(preset)}


def describe_keys(preset: object) -> str:
    """ "steps (int), dataset (diabetes|airfoil)": what `--set` accepts."""
    return ", ".join(
        f"{key} ({_type_name(kind)})" for key, kind in preset_types(preset).items()
    )


def describe_values(preset: object) -> str:
    """ "steps=100, dataset=diabetes": what the preset does."""
    return ", ".join(f"{key}={getattr(preset, key)}" for key in preset_types(preset))


def _parse(value: object, kind: Any) -> object:
    """The value as the annotated type.

    Raises:
        ValueError: if it does not fit.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _choose(value, arguments)
    if origin in (Union, types.UnionType):
        return _parse_union(value, arguments)
    if origin is tuple:
        return _parse_tuple(value, arguments)
    if kind is str and isinstance(value, str):
        return value
    if kind is bool:
        return _choose(
            BOOLEANS.get(value.lower()) if isinstance(value, str) else value,
            (True, False),
        )
    if kind is int and isinstance(value, str):
        return int(value)
    if (
        kind is float
        and isinstance(value, str | int | float)
        and not isinstance(value, bool)
    ):
        return _finite(float(value))
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(value)


def _choose(value: object, choices: tuple[object, ...]) -> object:
    """The choice that the value is, or that it spells."""
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
        if isinstance(value, str) and value == str(choice):
            return choice
    raise ValueError(value)


def _parse_union(value: object, kinds: tuple[Any, ...]) -> object:
    """The first of the types that takes the value; "none" is None where None is allowed."""
    if type(None) in kinds and (value is None or value == "none"):
        return None
    for kind in kinds:
        if kind is not type(None):
            try:
                return _parse(value, kind)
            except ValueError:
                continue
    raise ValueError(value)


def _parse_tuple(value: object, kinds: tuple[Any, ...]) -> object:
    """ "1,2" as tuple[int, ...] or as tuple[int, int]; empty text is the empty tuple."""
    if isinstance(value, str):
        items: object = value.split(",") if value else ()
    else:
        items = value
    if not isinstance(items, tuple | list):
        raise ValueError(value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    # strict: another number of items is a ValueError
    return tuple(_parse(item, kind) for item, kind in zip(items, kinds, strict=True))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _type_name(kind: Any) -> str:
    """int, diabetes|airfoil, tuple[int, ...], int|none."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "|".join(str(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        return "|".join(_type_name(part) for part in arguments)
    if kind is type(None):
        return "none"
    if kind is bool:
        return "|".join(BOOLEANS)
    return kind.__name__ if isinstance(kind, type) and origin is None else str(kind)
