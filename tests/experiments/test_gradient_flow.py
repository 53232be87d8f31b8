"""The study behind *Optimization and deep learning*, at ci size and smaller."""

import json
import math
from dataclasses import replace

import pytest
import torch

from d2lcompanion.data.digits import load_digit_images
from d2lcompanion.experiments.gradient_flow import (
    EXPERIMENT,
    LEARNING_RATES,
    PRESETS,
    GradientFlowStudy,
    factor_per_layer,
    metrics,
    starting_norms,
    study,
    train,
)
from d2lcompanion.optimization.deep_gradients import RELU, SIGMOID, gaussian_weights
from d2lcompanion.training.presets import resolve
from d2lcompanion.training.results import metric_band, read_results
from d2lcompanion.training.runner import run_experiment
from d2lcompanion.training.settings import Settings

SMALL = {"depth": 6, "width": 16, "rows": 64, "networks": 3, "trained_depth": 3,
         "trained_rows": 32, "steps": 3}  # fmt: skip


def measure(seed: int = 0, **changes: int) -> GradientFlowStudy:
    preset = replace(PRESETS["ci"], **changes)
    return study(preset, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def ci() -> GradientFlowStudy:
    return measure()


def network(activation, depth: int = 4) -> list[torch.Tensor]:
    return gaussian_weights(
        [64, *[16] * depth, 10],
        gain=activation.gain,
        generator=torch.Generator().manual_seed(0),
    )


def test_sigmoid_vanishes_and_relu_does_not(ci):
    sigmoid, relu = ci.flows["sigmoid"], ci.flows["ReLU"]
    assert sigmoid.factor < 0.25
    assert sigmoid.factor == pytest.approx(sigmoid.predicted_factor, rel=0.03)
    assert relu.factor == pytest.approx(1, abs=0.08)
    assert (sigmoid.norms[:, 1] < 1e-10 * sigmoid.norms[:, -2]).all()
    assert sigmoid.norms.shape == (10, 21)


def test_only_relu_trains(ci):
    assert ci.flows["sigmoid"].best_loss == pytest.approx(ci.label_entropy, abs=1e-6)
    assert ci.flows["ReLU"].best_loss < 0.05
    assert ci.flows["ReLU"].best_lr == LEARNING_RATES[2] == pytest.approx(0.1)
    labels = load_digit_images(rows=128).labels
    shares = torch.stack([(labels == k).double().mean() for k in range(10)])
    assert ci.label_entropy == pytest.approx(-float((shares * shares.log()).sum()))


@pytest.mark.parametrize("activation", [SIGMOID, RELU], ids=lambda a: a.name)
def test_norms_and_training_are_those_of_torch(activation):
    digits = load_digit_images(rows=40)
    weights = network(activation)
    leaves = [w.clone().requires_grad_() for w in weights]
    optimizer = torch.optim.SGD(leaves, lr=0.1)

    def loss() -> torch.Tensor:
        h = digits.images
        for w in leaves[:-1]:
            h = activation.value(h @ w.T)
        return torch.nn.functional.cross_entropy(h @ leaves[-1].T, digits.labels)

    expected = torch.stack([g.norm() for g in torch.autograd.grad(loss(), leaves)])
    torch.testing.assert_close(starting_norms(weights, *digits[:2], activation), expected)
    for _ in range(5):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    final = train(weights, *digits[:2], activation, lr=0.1, steps=5)
    assert final == pytest.approx(float(loss()), rel=1e-10)


def test_a_run_that_diverged_is_null_and_never_the_best(ci):
    losses = torch.tensor([0.5, math.nan, 0.2, math.inf, 2.3, 0.3, math.nan], dtype=torch.float64)
    flow = ci.flows["ReLU"]._replace(final_losses=losses)
    assert (flow.best_loss, flow.best_lr) == (0.2, LEARNING_RATES[2])
    values = metrics(replace(ci, flows={"ReLU": flow, "sigmoid": flow}))
    assert values["relu"]["final_losses"] == [0.5, None, 0.2, None, 2.3, 0.3, None]
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_the_factor_is_a_geometric_mean():
    norms = torch.tensor([[9.0, 1.0, 2.0, 4.0, 9.0], [9.0, 4.0, 4.0, 4.0, 9.0]])
    assert factor_per_layer(norms) == pytest.approx(math.sqrt(0.5 * 1.0))
    with pytest.raises(ValueError, match=r"norms must be \[networks, ≥ 4\], got \[2, 3\]"):
        factor_per_layer(norms[:, :3])


def test_width_steadies_the_gradient():
    narrow, wide = (
        measure(width=width, networks=30, rows=32, depth=10, steps=1, trained_depth=1)
        for width in (16, 128)
    )
    assert narrow.flows["ReLU"].scatter > 1.5 * wide.flows["ReLU"].scatter


def test_a_seed_repeats():
    assert metrics(measure(**SMALL)) == metrics(measure(**SMALL))
    assert metrics(measure(**SMALL)) != metrics(measure(seed=1, **SMALL))


@pytest.mark.parametrize(("name", "value"), [("depth", 2), ("networks", 1), ("steps", 0)])
def test_presets_check_their_ranges(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be ≥ \d, got {value}"):
        replace(PRESETS["ci"], **{name: value})


def test_the_command_and_the_notebook_share_their_numbers():
    settings = Settings(device="cpu", overrides={k: str(v) for k, v in SMALL.items()})
    result = run_experiment(EXPERIMENT, settings)
    assert result.metrics == metrics(measure(**SMALL))
    assert result.precision == "fp64"


# ------------------------------------------------------------------------------- committed results


def test_the_live_run_lies_in_the_committed_band(ci):
    runs = [run for run in read_results(experiment="gradient-flow") if run.scale == "ci"]
    assert runs[0].preset == resolve(PRESETS, Settings()).__dict__
    for key, flow in (("sigmoid.factor", "sigmoid"), ("relu.factor", "ReLU")):
        band = metric_band(runs, key)
        assert len(band.seeds) >= 5
        assert band.holds(ci.flows[flow].factor)
    [seed0] = [run for run in runs if run.seed == 0]
    for name in ("sigmoid", "relu"):
        flow = ci.flows["ReLU" if name == "relu" else name]
        assert seed0.metric(f"{name}.factor") == pytest.approx(flow.factor, rel=1e-7)
        assert seed0.metric(f"{name}.best_loss") == pytest.approx(flow.best_loss, rel=1e-3)


def test_the_committed_laptop_run_is_deeper_and_steadier():
    results = read_results(experiment="gradient-flow")
    [laptop] = [run for run in results if run.scale == "laptop"]
    assert laptop.preset == PRESETS["laptop"].__dict__
    assert laptop.metric("sigmoid.factor") < 0.25
    assert laptop.metric("sigmoid.first_over_last") < -25
    assert laptop.metric("relu.factor") == pytest.approx(1, abs=0.03)
    assert laptop.metric("sigmoid.best_loss") == pytest.approx(
        laptop.metric("label_entropy"), abs=1e-6
    )
