"""The study of chapter 4 against the exact floor, and what a seed decides."""

import json
from dataclasses import replace

import pytest
import torch

from d2lcompanion.experiments import stochastic_noise_floor
from d2lcompanion.experiments.stochastic_noise_floor import (
    EXPERIMENT,
    PRESETS,
    NoiseFloorStudy,
    Preset,
    draw_rows,
    load,
    metrics,
    streams,
    study,
)
from d2lcompanion.optimization.stochastic import sample_indices
from d2lcompanion.training.results import metric_band, read_results
from d2lcompanion.training.runner import run_experiment
from d2lcompanion.training.settings import Settings


def measure(seed: int = 0, **changes) -> NoiseFloorStudy:
    preset = replace(PRESETS["ci"], **changes)
    return study(
        load(preset),
        rates=preset.rates,
        seeds=preset.seeds,
        relaxations=preset.relaxations,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.fixture(scope="module")
def ci() -> NoiseFloorStudy:
    return measure()


def error(floors: torch.Tensor) -> torch.Tensor:
    return floors.std(1) / floors.shape[1] ** 0.5


def test_the_measured_floors_are_the_exact_ones(ci):
    distance = (ci.floors.mean(1) - ci.predicted).abs()
    assert torch.all(distance < 4 * error(ci.floors) + 0.02 * ci.predicted)


def test_small_rates_follow_the_quarter_rule(ci):
    assert ci.predicted[-1] == pytest.approx(float(ci.lrs[-1]) * ci.variance / 4, rel=0.01)
    slope = ci.slope(ci.floors)
    assert abs(slope.mean - ci.slope(ci.predicted).mean) < 4 * slope.error
    assert ci.slope(ci.predicted).error == 0
    assert 1.0 < ci.slope(ci.predicted).mean < 1.05


def test_reshuffling_is_lower_and_steeper(ci):
    assert torch.all(ci.reshuffled.mean(1)[3:] < ci.floors.mean(1)[3:])
    assert ci.reshuffled[-1].mean() < ci.floors[-1].mean() / 5
    assert ci.slope(ci.reshuffled).mean > 1.7


def test_slopes_of_exact_powers(ci):
    for power in (1.0, 2.5):
        exact = 7 * ci.lrs**power
        assert ci.slope(exact).mean == pytest.approx(power)
        several = exact[:, None] * torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
        assert ci.slope(several).mean == pytest.approx(power)
        assert ci.slope(several).error == pytest.approx(0, abs=1e-12)


def test_rates_halve_down_from_half_the_edge(ci):
    assert ci.lrs[0] == ci.edge / 2
    torch.testing.assert_close(ci.lrs[1:], ci.lrs[:-1] / 2)
    assert ci.small.tolist() == [False] * 3 + [True] * 4
    assert all(steps % (3 * 442) == 0 for steps in ci.steps)
    assert 0.142 < ci.edge < 0.144 < 2 / ci.problem.smoothness


def test_a_seed_repeats_and_another_differs():
    small = {"rates": 6, "seeds": 2, "relaxations": 0.5}
    first, again, other = measure(**small), measure(**small), measure(1, **small)
    assert metrics(first) == metrics(again)
    assert not torch.equal(first.floors, other.floors)
    assert torch.equal(first.predicted, other.predicted)


def test_streams_do_not_depend_on_their_number():
    few, many = (streams(runs, torch.Generator().manual_seed(3)) for runs in (2, 5))
    rows = [draw_rows(g, 9, 4, replacement=False) for g in (few, many)]
    assert rows[0].shape == (2, 4, 1)
    assert torch.equal(rows[0], rows[1][:2])
    alone = sample_indices(9, 4, replacement=False,
                           generator=streams(1, torch.Generator().manual_seed(3))[0])  # fmt: skip
    assert torch.equal(rows[0][0], alone)


def test_whole_epochs_may_be_drawn_in_pieces():
    whole, pieces = (streams(2, torch.Generator().manual_seed(0)) for _ in range(2))
    expected = draw_rows(whole, 5, 20, replacement=False)
    halves = [draw_rows(pieces, 5, 10, replacement=False) for _ in range(2)]
    assert torch.equal(torch.cat(halves, 1), expected)


def test_a_chunk_is_only_a_matter_of_memory(monkeypatch, ci):
    monkeypatch.setattr(stochastic_noise_floor, "CHUNK", 442)
    small = {"rates": 6, "seeds": 2, "relaxations": 1.0}
    pieces = measure(**small)
    monkeypatch.undo()
    torch.testing.assert_close(pieces.floors, measure(**small).floors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"degree": 0}, "degree must be ≥ 1, got 0"),
        ({"rates": 5}, "rates must be ≥ 6, got 5"),
        ({"seeds": 1}, "seeds must be ≥ 2, got 1"),
        ({"relaxations": 0.0}, "relaxations must be > 0 and finite, got 0.0"),
    ],
)
def test_bad_presets_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PRESETS["ci"], **change)


def test_divergence_is_an_error_that_names_the_rate(monkeypatch):
    monkeypatch.setattr(stochastic_noise_floor, "mean_square_edge", lambda features: 4.0)
    with pytest.raises(ValueError, match="rate 2: diverged by step 442: run "):
        measure(rates=6, seeds=2, relaxations=1.0)


def test_the_runner_runs_it():
    preset = {"rates": "6", "seeds": "3", "relaxations": "0.5"}
    result = run_experiment(EXPERIMENT, Settings(device="cpu", overrides=preset))
    assert result.metric("seeds") == 3
    assert json.loads(json.dumps(result.metrics, allow_nan=False)) == result.metrics
    for column in EXPERIMENT.columns:
        assert format(result.metric(column.key), column.format)


def test_committed_results_agree(ci):
    results = [run for run in read_results(experiment=EXPERIMENT.name) if run.scale == "ci"]
    assert sorted(run.seed for run in results) == [0, 1, 2, 3, 4]
    for key in ("slope.measured.mean", "slope.reshuffled.mean", "smallest.floor"):
        value = results[0].metric(key)
        assert metric_band(results, key).holds(value)
    assert results[0].metric("smallest.floor") == pytest.approx(float(ci.floors[-1].mean()))


def test_other_data_sets_can_be_asked_for():
    assert load(Preset("diabetes", 2, 6, 2, 1.0)).features.shape == (442, 64)
