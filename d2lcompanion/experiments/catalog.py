"""All experiments, found by looking: a module of this package with an `EXPERIMENT` is one.

No list is kept, so that adding a module adds an experiment and deleting it removes one.
A module without `run` is a building block that experiments share.
"""

import difflib
import importlib
import pkgutil
from typing import Any

import d2lcompanion.experiments
from d2lcompanion.training.experiment import Experiment
from d2lcompanion.training.settings import SettingsError


def experiments() -> dict[str, Experiment[Any]]:
    """Name → experiment, sorted by name.

    Raises:
        TypeError: if a module with `run` has no `EXPERIMENT`.
        ValueError: if two modules use one name.
    """
    found: dict[str, Experiment[Any]] = {}
    for module_info in pkgutil.iter_modules(d2lcompanion.experiments.__path__):
        module = importlib.import_module(f"d2lcompanion.experiments.{module_info.name}")
        experiment = getattr(module, "EXPERIMENT", None)
        if experiment is None and not hasattr(module, "run"):
            continue
        if not isinstance(experiment, Experiment):
            raise TypeError(f"{module.__name__} must define EXPERIMENT, an Experiment")
        if experiment.name in found:
            raise ValueError(
                f"{module.__name__}: the name {experiment.name!r} is taken"
            )
        found[experiment.name] = experiment
    return dict(sorted(found.items()))


def find(name: str) -> Experiment[Any]:
    """The experiment of that name.

    Raises:
        SettingsError: if there is none; lists all, the closest first.
    """
    known = experiments()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise SettingsError(
            f"no experiment {name!r}; {meant}there is: {', '.join(known)}"
        )
    return known[name]
