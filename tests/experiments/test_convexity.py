"""The study of chapter 2: one minimizer for every start, a certificate against the network."""

import json
from dataclasses import replace

import pytest
import torch

from d2lcompanion.data.digits import load_digits
from d2lcompanion.experiments.convexity import (
    EXPERIMENT,
    PRESETS,
    descend_rows,
    metrics,
    midpoint_losses,
    study,
)
from d2lcompanion.experiments.two_layer import TwoLayerNetwork, shuffled_order
from d2lcompanion.optimization.descent import first_order, gradient_descent, minimize
from d2lcompanion.optimization.logistic import softmax_regression
from d2lcompanion.optimization.objectives import quadratic
from d2lcompanion.training.presets import resolve
from d2lcompanion.training.results import metric_band, read_results
from d2lcompanion.training.runner import run_experiment
from d2lcompanion.training.settings import Settings

ROUNDING = ("loss_spread",)  # differences of numbers that are equal up to rounding


def measure(seed: int = 0, **changes: float):
    preset = replace(PRESETS["ci"], **changes)
    return study(load_digits(), preset, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def ci():
    return measure()


def test_rows_descend_as_each_does_by_itself():
    bowl = quadratic([1.0, 3.0])
    starts = torch.tensor([[1.0, 2.0], [-3.0, 0.5]], dtype=torch.float64)
    run = descend_rows(bowl, bowl.gradient, starts, lr=0.2, steps=7, every=3)
    assert run.curve_steps.tolist() == [0, 3, 6, 7]
    for i, start in enumerate(starts):
        alone = minimize(bowl, start, first_order(gradient_descent, lr=0.2), steps=7)
        torch.testing.assert_close(run.ends[i], alone.points[-1])
        torch.testing.assert_close(run.curves[:, i], alone.values[[0, 3, 6, 7]])
    assert descend_rows(bowl, bowl.gradient, starts, lr=0.2, steps=7).curve_steps.tolist() == [0, 7]
    for wrong in ({"steps": 0}, {"steps": 5, "every": 0}):
        with pytest.raises(ValueError, match="steps and every must be ≥ 1, got"):
            descend_rows(bowl, bowl.gradient, starts, lr=0.2, **wrong)


def test_midpoints_by_a_loop():
    data = load_digits().only(0, 1)
    network = TwoLayerNetwork.on(data, 3)
    theta = network.initial(2, torch.Generator().manual_seed(0))
    ours = midpoint_losses(network, theta, 2, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    for row in ours:
        order = shuffled_order(3, generator)
        for t, loss in zip(theta, row, strict=True):
            torch.testing.assert_close(loss, network.loss((t + network.permuted(t, order)) / 2))


def test_all_starts_end_at_the_minimizer(ci):
    data, preset = load_digits(), PRESETS["ci"]
    f = softmax_regression(data.features, data.labels, classes=10, ridge=preset.ridge)
    assert bool((ci.jensen_gaps > 0).all())
    assert ci.spread < 1e-7
    assert bool((ci.distance_bounds < 1e-6).all())
    distances = torch.cdist(ci.ends, ci.ends)
    sums = ci.distance_bounds[:, None] + ci.distance_bounds
    assert bool((distances <= sums).all())  # both are that near to one point
    torch.testing.assert_close(f(ci.ends), ci.losses)


def test_every_midpoint_is_higher(ci):
    assert bool((ci.excess > 0.1).all())
    assert ci.excess.shape == (20, 5)


def test_a_seed_repeats_and_another_ends_at_the_same_minimum(ci):
    again, other = measure(), measure(seed=1)
    assert metrics(again, PRESETS["ci"]) == metrics(ci, PRESETS["ci"])
    torch.testing.assert_close(other.losses, ci.losses, rtol=1e-12, atol=0)
    torch.testing.assert_close(other.ends, ci.ends, atol=1e-6, rtol=0)
    assert not torch.equal(other.network_losses, ci.network_losses)


def test_rows_may_be_split_over_processes(ci):
    """Halves of the rows, put together again, as `RunContext.map_rows` does."""
    result = study(
        load_digits(), PRESETS["ci"], generator=torch.Generator().manual_seed(0),
        map_rows=lambda function, rows: torch.cat([function(rows[:2]), function(rows[2:])]),
    )  # fmt: skip
    torch.testing.assert_close(result.ends, ci.ends)
    torch.testing.assert_close(result.network_losses, ci.network_losses, rtol=1e-6, atol=0)


def test_metrics_are_json(ci):
    values = metrics(ci, PRESETS["ci"])
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["logistic"]["condition_number"] == pytest.approx(26)
    assert values["network"]["share_above"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("ridge", 0.0), ("network_lr", -1.0), ("starts", 1), ("steps", 0), ("width", 1),
     ("networks", 1), ("network_steps", 0), ("permutations", 0)],
)  # fmt: skip
def test_presets_check_their_ranges(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be (> 0|≥ \d), got {value}"):
        replace(PRESETS["ci"], **{name: value})


def test_lower_precision_runs():
    overrides = {"steps": "5", "network_steps": "5", "permutations": "1"}
    result = run_experiment(
        EXPERIMENT, Settings(device="cpu", precision="fp32", overrides=overrides)
    )
    assert result.precision == "fp32"


# ------------------------------------------------------------------------------- committed results


@pytest.fixture(scope="module")
def committed() -> dict[str, list]:
    results = read_results(experiment="convexity")
    return {scale: [run for run in results if run.scale == scale] for scale in PRESETS}


def test_the_live_run_lies_in_the_committed_band(ci, committed):
    runs = committed["ci"]
    band = metric_band(runs, "network.midpoint")
    assert len(band.seeds) >= 5
    assert band.holds(float(ci.network_midpoints.mean()))
    assert runs[0].preset == resolve(PRESETS, Settings()).__dict__


def test_committed_ci_numbers_are_those_of_this_code(ci, committed):
    [seed0] = [run for run in committed["ci"] if run.seed == 0]
    for part, expected in metrics(ci, PRESETS["ci"]).items():
        for key, value in expected.items():
            if key not in ROUNDING:
                assert seed0.metrics[part][key] == pytest.approx(value, rel=1e-5), key


def test_the_committed_laptop_run_keeps_its_promises(committed):
    [run] = committed["laptop"]
    assert run.preset == PRESETS["laptop"].__dict__
    assert run.seconds < 15 * 60
    assert run.metric("logistic.weight_spread") < 1e-4
    assert run.metric("network.share_above") == 1
