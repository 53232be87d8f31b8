"""Settings from flags and from the environment: what is allowed, and what the errors say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lcompanion.training.settings import (
    DEVICES,
    PRECISIONS,
    SCALES,
    Settings,
    SettingsError,
    parse_assignments,
    split_assignments,
)


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environment({}) == Settings("ci", "auto", "auto", 1, 0, {})


def test_every_variable_is_read():
    environ = {
        "D2LC_SCALE": "gpu",
        "D2LC_DEVICE": "cuda",
        "D2LC_PRECISION": "bf16",
        "D2LC_DEVICES": "4",
        "D2LC_SEED": "7",
        "D2LC_SET": "steps=200,sizes=1,2,rate=1e-3",
        "HOME": "/anywhere",
    }
    overrides = {"steps": "200", "sizes": "1,2", "rate": "1e-3"}
    assert Settings.from_environment(environ) == Settings("gpu", "cuda", "bf16", 4, 7, overrides)


def test_an_empty_variable_counts_as_absent():
    assert Settings.from_environment({"D2LC_SCALE": " ", "D2LC_SET": ""}) == Settings()


def test_the_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("D2LC_SEED", "41")
    assert Settings.from_environment().seed == 41


@pytest.mark.parametrize("name", ["D2LC_DATA_DIR", "D2LC_RESULTS_DIR"])
def test_variables_of_other_modules_are_known(name):
    assert Settings.from_environment({name: "/somewhere"}) == Settings()


def test_a_misspelt_variable_is_an_error_that_lists_the_allowed():
    with pytest.raises(SettingsError, match=r"D2LC_SCAEL='gpu'.*D2LC_SCALE.*D2LC_SEED"):
        Settings.from_environment({"D2LC_SCAEL": "gpu"})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"D2LC_SCALE": "huge"}, "scale must be one of ci, laptop, gpu, got 'huge'"),
        ({"D2LC_DEVICE": "tpu"}, "device must be one of auto, cpu, .*, got 'tpu'"),
        ({"D2LC_PRECISION": "fp8"}, "precision must be one of auto, fp64, .*, got 'fp8'"),
        ({"D2LC_DEVICES": "0"}, "devices must be a whole number ≥ 1, got 0"),
        ({"D2LC_DEVICES": "two"}, "D2LC_DEVICES must be a whole number, got 'two'"),
        ({"D2LC_SEED": "-1"}, "seed must be a whole number ≥ 0, got -1"),
        ({"D2LC_SEED": "4294967296"}, "seed must be ≤ 4294967295, got 4294967296"),
        ({"D2LC_SEED": "1.5"}, "D2LC_SEED must be a whole number, got '1.5'"),
        ({"D2LC_SET": "steps"}, "must look like key=value, got 'steps'"),
        ({"D2LC_SET": "=3"}, "must look like key=value, got '=3'"),
        ({"D2LC_SET": "a=1,a=2"}, "a is set twice: '1' and '2'"),
    ],
)
def test_a_bad_value_is_named(environ, message):
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment(environ)


def test_the_largest_seed_is_one_that_everybody_takes():
    seed = Settings(seed=2**32 - 1).seed
    torch.Generator().manual_seed(seed)
    np.random.RandomState(seed)
    with pytest.raises(ValueError, match="between 0 and"):
        np.random.RandomState(seed + 1)


@pytest.mark.parametrize("seed", [True, 1.0, "1", None])
def test_a_seed_of_another_type_is_refused(seed):
    with pytest.raises(SettingsError, match="seed"):
        Settings(seed=seed)


def test_assignments_are_split_at_the_commas_before_a_key():
    assert split_assignments("a=1,2,b=x,c=") == ["a=1,2", "b=x", "c="]


def test_an_assignment_keeps_what_follows_the_first_equals_sign():
    assert parse_assignments([" a = b=c "]) == {"a": "b=c"}


values = st.text(st.characters(categories=["L", "N"]), min_size=1)


@given(
    settings=st.builds(
        Settings,
        scale=st.sampled_from(SCALES),
        device=st.sampled_from(DEVICES),
        precision=st.sampled_from(PRECISIONS),
        devices=st.integers(1, 64),
        seed=st.integers(0, 2**32 - 1),
        overrides=st.dictionaries(values, values, max_size=3),
    )
)
def test_arguments_say_the_settings_completely(settings):
    """Parsed as the command line does, the flags give the same settings back."""
    flags = settings.arguments()
    pairs = list(zip(flags[::2], flags[1::2], strict=True))
    chosen = {flag[2:]: value for flag, value in pairs if flag != "--set"}
    for name in ("devices", "seed"):
        if name in chosen:
            chosen[name] = int(chosen[name])
    overrides = parse_assignments(value for flag, value in pairs if flag == "--set")
    assert Settings(**chosen, overrides=overrides) == settings


def test_arguments_spell_python_values_as_set_reads_them():
    settings = Settings(overrides={"sizes": (1, 2), "shuffle": True, "rate": 0.5})
    flags = ["--set", "sizes=1,2", "--set", "shuffle=true", "--set", "rate=0.5"]
    assert settings.arguments()[6:] == flags


def test_scale_device_and_seed_are_always_said():
    """A recorded command must not change its meaning with the defaults."""
    assert Settings().arguments() == ["--scale", "ci", "--device", "auto", "--seed", "0"]
