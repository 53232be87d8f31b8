"""The study of chapter 3: published numbers, closed forms, bounds that hold at every scale."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from d2lcompanion.experiments import gradient_descent
from d2lcompanion.experiments.gradient_descent import (
    EXPERIMENT,
    PRESETS,
    GradientDescentStudy,
    Preset,
    half_life,
    load,
    metrics,
    study,
)
from d2lcompanion.experiments.least_squares import descend, solve
from d2lcompanion.optimization.descent import first_order, preconditioned
from d2lcompanion.training.presets import resolve
from d2lcompanion.training.results import metric_band, read_results
from d2lcompanion.training.runner import run_experiment
from d2lcompanion.training.settings import Settings, SettingsError

SMALL = {"laptop": {"steps": 300, "rate_steps": 600, "starts": 3}}
AIRFOIL = Path(__file__).resolve().parents[3] / "shared" / "data"


def measure(scale: str = "ci", seed: int = 0, **changes: int) -> GradientDescentStudy:
    preset = replace(PRESETS[scale], **changes)
    return study(
        load(preset),
        steps=preset.steps,
        rate_steps=preset.rate_steps,
        starts=preset.starts,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.fixture(scope="module")
def ci() -> GradientDescentStudy:
    return measure()


@pytest.fixture(scope="module")
def laptop() -> GradientDescentStudy:
    """The laptop's problem, with few steps."""
    return measure("laptop", **SMALL["laptop"])


def test_the_reference_numbers(ci):
    """shared/reference-results.md: κ = 470.08, optimum .24113, 6.7e-2 above it after 100 steps."""
    assert round(ci.problem.condition_number, 2) == 470.08
    assert round(ci.optimum, 5) == 0.24113
    assert float(f"{ci.gaps[100]:.1e}") == 6.7e-2


def test_the_measured_rate_is_the_predicted(ci):
    kappa = ci.problem.condition_number
    assert ci.predicted_rate == pytest.approx(((kappa - 1) / (kappa + 1)) ** 2, rel=1e-12)
    assert ci.measured_rate == pytest.approx(ci.predicted_rate, rel=1e-8)


@pytest.mark.parametrize("name", ["ci", "laptop"])
def test_the_bound_holds_and_is_attained(name, request):
    result = request.getfixturevalue(name)
    assert torch.all(result.gaps <= result.bounds * (1 + 1e-9))
    torch.testing.assert_close(result.worst_gaps, result.bounds, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", ["ci", "laptop"])
def test_newton_needs_one_step(name, request):
    result = request.getfixturevalue(name)
    assert result.newton_gap < 1e-18 * result.gaps[0]


@pytest.mark.parametrize("name", ["ci", "laptop"])
def test_the_diagonal_does_nothing_on_standardized_columns(name, request):
    same = request.getfixturevalue(name).standardized
    torch.testing.assert_close(same.preconditioned_gaps, same.gaps, rtol=1e-6, atol=0)
    assert same.preconditioned_condition_number == pytest.approx(same.condition_number, rel=1e-6)


@pytest.mark.parametrize("name", ["ci", "laptop"])
def test_the_diagonal_repairs_other_units(name, request):
    result = request.getfixturevalue(name)
    broken = result.rescaled
    assert broken.condition_number > 1e6 * result.problem.condition_number
    assert broken.gaps[-1] > 2 * result.gaps[-1]
    torch.testing.assert_close(broken.preconditioned_gaps, result.gaps, rtol=1e-6, atol=0)


def test_laptop_is_another_problem_than_ci(ci, laptop):
    assert laptop.problem.data.features.shape == (442, 64)
    assert laptop.problem.condition_number > 1e4 * ci.problem.condition_number
    assert laptop.optimum < ci.optimum
    assert laptop.gaps[-1] < 0.02 * laptop.bounds[-1]  # the data are kinder than the promise


def test_the_gpu_problem_can_be_solved():
    problem = solve(load(PRESETS["gpu"]))
    assert problem.data.features.shape == (442, 274)
    assert 8.4e12 < problem.condition_number < 8.42e12


def test_a_seed_repeats_and_changes_the_random_starts_alone(ci):
    again, other = measure(), measure(seed=1)
    assert metrics(again) == metrics(ci)
    assert not torch.equal(other.random_gaps, ci.random_gaps)
    assert torch.equal(other.gaps, ci.gaps)
    assert torch.all(ci.random_gaps < ci.random_start_gaps)


def test_printed_digits_do_not_depend_on_threads(ci):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))  # 2 where it was 1, and the other way round
        other = metrics(measure())
    finally:
        torch.set_num_threads(threads)
    assert _rounded(other) == _rounded(metrics(ci))


def _rounded(value: object) -> object:
    """Six digits of every number; Newton's gap is rounding error and left out."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items() if k != "newton_gap"}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return f"{value:.6g}" if isinstance(value, float) else value


def test_metrics_are_json_and_curves_are_thinned(laptop):
    values = metrics(laptop)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    curves = values["curves"]
    assert len({len(curve) for curve in curves.values()}) == 1
    assert 20 <= len(curves["step"]) <= 42
    assert curves["step"][0] == 0
    assert curves["step"][-1] == 300
    assert curves["gap"][-1] == values["gap"] == float(laptop.gaps[-1])


def test_half_lives():
    assert half_life(0.5) == 1
    assert half_life(0.5**0.1) == pytest.approx(10)
    assert half_life(1.0) is half_life(1.2) is None
    with pytest.raises(ValueError, match="rate must be > 0, got 0"):
        half_life(0)


def test_a_lower_precision_is_measured_and_stays_above():
    """In float32 descent stops at rounding; the gap is still measured in float64."""
    data = load(PRESETS["ci"])
    single = study(
        data, steps=100, starts=2, rate_steps=8000,
        generator=torch.Generator().manual_seed(0), dtype=torch.float32,
    )  # fmt: skip
    assert float(single.gaps[-1]) == pytest.approx(0.0666573, rel=1e-3)
    assert single.gaps.dtype == torch.float64
    assert single.measured_rate == pytest.approx(single.predicted_rate, rel=1e-3)


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("starts", 0), ("rate_steps", 7)])
def test_numbers_out_of_range_are_named(name, value):
    numbers = {"steps": 5, "starts": 2, "rate_steps": 8} | {name: value}
    with pytest.raises(ValueError, match=rf"{name} must be ≥ \d, got {value}"):
        study(load(PRESETS["ci"]), generator=torch.Generator(), **numbers)


@pytest.mark.parametrize(("name", "value"), [("degree", 0), ("steps", 0), ("starts", 1)])
def test_presets_check_their_ranges(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be ≥ \d, got {value}"):
        replace(PRESETS["ci"], **{name: value})


def test_the_notebook_reads_as_the_contract_says(monkeypatch):
    monkeypatch.setenv("D2LC_SET", "steps=7,starts=3")
    preset = resolve(PRESETS, Settings.from_environment())
    assert preset == Preset("diabetes", 1, 7, 4000, 3)


def test_airfoil_is_read_where_it_is(monkeypatch, tmp_path):
    preset = replace(PRESETS["ci"], dataset="airfoil")
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="d2lc data fetch airfoil"):
        load(preset)
    if not (AIRFOIL / "airfoil_self_noise.dat").is_file():
        pytest.skip("no shared/data/airfoil_self_noise.dat")
    monkeypatch.setenv("D2LC_DATA_DIR", str(AIRFOIL))
    problem = solve(load(preset))
    assert problem.data.features.shape == (1500, 5)


def test_the_command_and_the_notebook_share_their_numbers(ci):
    result = run_experiment(EXPERIMENT, Settings(device="cpu"))
    assert _rounded(result.metrics) == _rounded(metrics(ci))
    assert result.precision == "fp64"


def test_bf16_products_reach_the_study():
    overrides = {"steps": "20", "rate_steps": "40", "starts": "2"}
    settings = Settings(device="cpu", precision="bf16", overrides=overrides)
    low = run_experiment(EXPERIMENT, settings).metrics
    full = run_experiment(EXPERIMENT, replace(settings, precision="fp64")).metrics
    assert low["gap"] == pytest.approx(full["gap"], rel=0.5)
    assert low["gap"] != pytest.approx(full["gap"], rel=1e-4)
    assert low["condition_number"] == full["condition_number"]


def test_an_unknown_key_is_named():
    with pytest.raises(SettingsError, match=r"dataset \(diabetes\|airfoil\), degree \(int\)"):
        run_experiment(EXPERIMENT, Settings(overrides={"step": "3"}))


def test_preconditioning_by_hand_is_the_studys(ci):
    """The rescaled curve is what `descend` gives with the Hessian's diagonal, step for step."""
    problem = solve(gradient_descent.in_other_units(load(PRESETS["ci"])))
    diagonal = problem.data.features.square().mean(0)
    method = first_order(preconditioned, lr=ci.problem.lr, diagonal=diagonal)
    _, gaps = descend(problem, torch.zeros(10), method, steps=100)
    torch.testing.assert_close(gaps, ci.rescaled.preconditioned_gaps, rtol=1e-8, atol=0)


# ------------------------------------------------------------------------------- committed results


@pytest.fixture(scope="module")
def committed() -> dict[str, list]:
    results = read_results(experiment="gradient-descent")
    return {scale: [run for run in results if run.scale == scale] for scale in PRESETS}


def test_the_live_run_lies_in_the_committed_band(ci, committed):
    runs = committed["ci"]
    band = metric_band(runs, "random_starts.gap_mean")
    assert len(band.seeds) >= 5
    assert band.holds(float(ci.random_gaps.mean()))
    assert runs[0].preset == resolve(PRESETS, Settings()).__dict__


def test_committed_ci_numbers_are_those_of_this_code(ci, committed):
    [seed0] = [run for run in committed["ci"] if run.seed == 0]
    _assert_close(seed0.metrics, metrics(ci))


def _assert_close(measured: object, expected: object) -> None:
    """Equal up to what CPUs differ in; Newton's gap is rounding error and left out."""
    if isinstance(expected, dict):
        assert measured.keys() == expected.keys()
        for key in expected.keys() - {"newton_gap"}:
            _assert_close(measured[key], expected[key])
    elif isinstance(expected, str):
        assert measured == expected
    else:
        assert measured == pytest.approx(expected, rel=1e-7)


def test_the_committed_laptop_run_keeps_its_promises(committed):
    [run] = committed["laptop"]
    assert run.preset == PRESETS["laptop"].__dict__
    assert run.seconds < 15 * 60
    assert run.metric("gap") < run.metric("bound")
    assert run.metric("worst_start_gap") == pytest.approx(run.metric("bound"), rel=1e-8)
    assert run.metric("half_life.measured") == pytest.approx(
        run.metric("half_life.predicted"), rel=0.05
    )
    problem = solve(load(PRESETS["laptop"]))
    assert run.metric("condition_number") == pytest.approx(problem.condition_number, rel=1e-6)
