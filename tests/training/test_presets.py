"""Overrides of presets: every type, and errors that name key, value and what is allowed."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2lcompanion.training.presets import describe_keys, describe_values, resolve
from d2lcompanion.training.settings import Settings, SettingsError


@dataclass(frozen=True)
class Preset:
    steps: int = 10
    rate: float = 0.1
    shuffle: bool = False
    name: str = "a"
    rule: Literal["sgd", "adam"] = "sgd"
    sizes: tuple[int, ...] = (1, 2)
    betas: tuple[float, float] = (0.9, 0.999)
    limit: int | None = None
    depth: Literal[2, 4] = field(default=2)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be ≥ 1, got {self.steps}")


PRESETS = {"ci": Preset(), "laptop": Preset(steps=100)}


def override(**overrides: object) -> Preset:
    return resolve(PRESETS, Settings(overrides=overrides))


def test_the_scale_chooses_the_preset():
    assert resolve(PRESETS, Settings("laptop")).steps == 100


def test_a_scale_without_preset_is_an_error():
    with pytest.raises(SettingsError, match="scale must be one of ci, laptop, got 'gpu'"):
        resolve(PRESETS, Settings("gpu"))


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("steps", "200", 200),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("shuffle", "true", True),
        ("shuffle", "False", False),
        ("name", "b=c", "b=c"),
        ("name", "", ""),
        ("rule", "adam", "adam"),
        ("sizes", "3,4,5", (3, 4, 5)),
        ("sizes", "", ()),
        ("betas", "0.5,1", (0.5, 1.0)),
        ("limit", "7", 7),
        ("limit", "none", None),
        ("depth", "4", 4),
    ],
)
def test_text_becomes_the_annotated_type(key, text, value):
    result = getattr(override(**{key: text}), key)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 5),
        ("rate", 1),
        ("shuffle", True),
        ("rule", "adam"),
        ("sizes", [3]),
        ("limit", None),
    ],
)
def test_values_of_the_right_type_pass(key, value):
    expected = (3,) if key == "sizes" else value
    assert getattr(override(**{key: value}), key) == expected


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("steps", "1.5", "int"),
        ("steps", "ten", "int"),
        ("steps", 1.0, "int"),
        ("steps", True, "int"),
        ("rate", "fast", "float"),
        ("rate", "nan", "float"),
        ("rate", "inf", "float"),
        ("rate", False, "float"),
        ("shuffle", "yes", r"true\|false"),
        ("shuffle", 1, r"true\|false"),
        ("name", 3, "str"),
        ("rule", "lion", r"sgd\|adam"),
        ("sizes", "1,x", "tuple"),
        ("sizes", 3, "tuple"),
        ("sizes", 0, "tuple"),
        ("sizes", None, "tuple"),
        ("betas", "0.9", "tuple"),
        ("limit", "some", r"int\|none"),
        ("depth", "3", r"2\|4"),
    ],
)
def test_a_wrong_type_names_key_value_and_type(key, value, kind):
    with pytest.raises(
        SettingsError, match=rf"{key} must be {kind}.*got {value!r}; allowed: steps"
    ):
        override(**{key: value})


def test_an_unknown_key_names_the_allowed_keys_and_types():
    with pytest.raises(SettingsError, match=r"unknown key stesp=3; allowed: steps \(int\), rate"):
        override(stesp="3")


def test_the_presets_own_check_becomes_a_settings_error():
    with pytest.raises(SettingsError, match="steps must be ≥ 1, got 0"):
        override(steps="0")


def test_descriptions_list_every_key():
    keys = describe_keys(Preset())
    assert keys.startswith("steps (int), rate (float), shuffle (true|false), name (str)")
    assert "rule (sgd|adam)" in keys
    assert "limit (int|none)" in keys
    assert describe_values(Preset()).startswith("steps=10, rate=0.1, shuffle=False")


@pytest.mark.parametrize("preset", [Preset, {"steps": 3}])
def test_a_preset_must_be_an_instance_of_a_dataclass(preset):
    with pytest.raises(TypeError, match="instance of a dataclass"):
        describe_keys(preset)


@given(steps=st.integers(1), rate=st.floats(allow_nan=False, allow_infinity=False))
def test_what_settings_write_presets_read(steps, rate):
    """Python values → flags → text → the same values."""
    flags = Settings(overrides={"steps": steps, "rate": rate}).arguments()
    overrides = dict(flag.split("=") for flag in flags if "=" in flag)
    preset = override(**overrides)
    assert (preset.steps, preset.rate) == (steps, rate)
