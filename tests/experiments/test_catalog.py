"""The catalog finds every module with an experiment, and says so when a name is wrong."""

import sys
from collections.abc import Callable

import pytest

import d2lcompanion.experiments
from d2lcompanion.experiments.catalog import experiments, find
from d2lcompanion.training.settings import SettingsError

TINY = """
from d2lcompanion.training.experiment import Experiment, Text

def run(preset, context):
    return {}

scales = ("ci", "laptop", "gpu")
EXPERIMENT = Experiment(
    NAME, Text("Tiny", "小"), "optimization/tiny", dict.fromkeys(scales), dict.fromkeys(scales, ""),
    run, (),
)
"""


@pytest.fixture
def add_module(monkeypatch, tmp_path) -> Callable[[str, str], None]:
    """A package of experiments that is empty at first."""
    monkeypatch.setattr(d2lcompanion.experiments, "__path__", [str(tmp_path)])

    def add(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.setitem(sys.modules, f"d2lcompanion.experiments.{name}", None)
        monkeypatch.delitem(sys.modules, f"d2lcompanion.experiments.{name}")

    return add


def test_real_experiments_have_chapters_and_titles():
    for name, experiment in experiments().items():
        assert experiment.name == name
        assert find(name) is experiment
        assert experiment.chapter.count("/") == 1
        assert experiment.title.en
        assert experiment.title.zh


def test_experiments_are_found_and_sorted(add_module):
    add_module("tiny_one", TINY.replace("NAME", "'z-tiny'"))
    add_module("tiny_two", TINY.replace("NAME", "'a-tiny'"))
    assert list(experiments()) == ["a-tiny", "z-tiny"]
    assert find("z-tiny").name == "z-tiny"


def test_an_unknown_name_lists_all_and_guesses(add_module):
    add_module("tiny_three", TINY.replace("NAME", "'tiny'"))
    with pytest.raises(SettingsError, match=r"no experiment 'tin'; did you mean tiny\? there is"):
        find("tin")
    with pytest.raises(SettingsError, match=r"no experiment 'xyz'; there is: tiny$"):
        find("xyz")


def test_a_module_with_run_must_have_an_experiment(add_module):
    add_module("forgotten", "def run(preset, context): ...\n")
    with pytest.raises(TypeError, match=r"experiments\.forgotten must define EXPERIMENT"):
        experiments()


def test_a_building_block_is_passed_over(add_module):
    add_module("block", "SIZE = 3\n")
    assert experiments() == {}


def test_a_name_is_used_once(add_module):
    add_module("tiny_four", TINY.replace("NAME", "'tiny'"))
    add_module("tiny_five", TINY.replace("NAME", "'tiny'"))
    with pytest.raises(ValueError, match="the name 'tiny' is taken"):
        experiments()
