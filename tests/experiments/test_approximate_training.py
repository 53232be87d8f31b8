"""The four objectives, their costs and the PMI check: autograd, brute force, known optima."""

import math
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from d2lcompanion.experiments import (
    approximate_cost,
    approximate_training,
    optimal_scores,
    shifted_pmi,
)
from d2lcompanion.experiments.approximate_steps import STEPS, operations
from d2lcompanion.experiments.skip_gram_objectives import as_pairs, objectives
from d2lcompanion.experiments.word_windows import Corpus, prepare
from d2lcompanion.text.negative_sampling import optimal_score
from d2lcompanion.text.noise import noise_distribution
from d2lcompanion.training.experiment import RunContext
from d2lcompanion.training.progress import silent
from d2lcompanion.training.settings import Settings

CPU = torch.device("cpu")
PRESET = approximate_training.Preset(120, 8, 2, 1, 256, negatives=3, rates=(0.03,))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return prepare(120, 2, seed=0)


def context() -> RunContext:
    generator = torch.Generator().manual_seed(0)
    return RunContext(Settings(), CPU, torch.float32, generator, silent, None)


def test_pairs_are_those_of_a_slow_loop(corpus):
    part = corpus.test.rows(torch.arange(20))
    expected = [
        (int(c), int(o))
        for c, row, there in zip(*part, strict=True)
        for o, yes in zip(row, there, strict=True)
        if yes
    ]
    centers, contexts = as_pairs(*part)
    assert list(zip(centers.tolist(), contexts.tolist(), strict=True)) == expected


@pytest.mark.parametrize("name", ["full", "hierarchical", "nce", "negative"])
def test_every_objective_is_judged_by_a_law_that_sums_to_one(corpus, name):
    """Ask for each word in turn: the probabilities of one center add up to 1."""
    objective = objectives(corpus, 3, seed=0)[name]
    tables = torch.randn(2, 120, 8, generator=torch.Generator().manual_seed(1)).double()
    words = torch.arange(120)
    total = 0.0
    for word in words:
        window = torch.tensor([7]), word.view(1, 1), torch.ones(1, 1, dtype=torch.bool)
        value = objective.model.log_likelihood(
            window[0], window[1], *tables, mask=window[2], reduction="mean"
        )
        total += float(value.exp())
    assert total == pytest.approx(1)


def test_the_gradients_lead_uphill(corpus):
    """A small step along each gradient raises the likelihood that judges it, on that batch."""
    batch = corpus.train.rows(torch.arange(2000))
    for name, objective in objectives(corpus, 20, seed=0).items():
        tables = list(0.1 * torch.randn(2, 120, 8, generator=torch.Generator().manual_seed(1)))

        def value(objective=objective, tables=tables):
            found = objective.model.log_likelihood(
                *batch[:2], *tables, mask=batch[2], reduction="mean"
            )
            return float(found)

        before = value()
        for _ in range(100):
            up = objective.model.gradients(*batch[:2], *tables, mask=batch[2], reduction="mean")
            for table, part in zip(tables, up, strict=True):
                table += 5 * part
        assert value() > before + 0.02, name


def test_a_run_gives_numbers_and_the_order_of_a_good_training():
    found = approximate_training.run(PRESET, context())
    for name in ("full", "hierarchical", "nce", "negative"):
        assert found[name]["test_loss"] < math.log(120)
        assert 0 < found[name]["shared"] <= 5
    assert found["full"]["raw_test_loss"] == found["full"]["test_loss"]
    assert found["negative"]["raw_test_loss"] > found["negative"]["test_loss"]
    assert "frequency" not in found["hierarchical"]


def test_shared_neighbors_of_known_tables():
    rows = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    assert approximate_training.shared_neighbors(rows, 3 * rows) == 5
    chance = approximate_training.shared_neighbors(
        rows, torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
    )
    assert chance < 2.5


def test_the_cost_is_what_torch_counts():
    """Its counter sees two of the three products: the outer one is elementwise."""
    preset = approximate_cost.Preset((50, 200), 8, 2, 16, negatives=3, rounds=2)
    generator = torch.Generator().manual_seed(0)
    tasks = approximate_cost.prepare(preset, device=CPU, generator=generator)
    for task in tasks.values():
        counted = {}
        for name, step in STEPS.items():
            with FlopCounterMode(display=False) as counter:
                step(task, generator)
            counted[name] = counter.get_total_flops()
        work = operations(task)
        assert counted["full"] == work["full"]
        assert 3 * counted["negative"] == 2 * work["negative"]
        longest = task.tree.mask.shape[1]
        assert counted["hierarchical"] == 4 * len(task.centers) * longest * 8
    found = approximate_cost.run(preset, context())
    for low, mean in zip(found["entropy_bits"], found["path"], strict=True):
        assert low <= mean < low + 1
    assert min(*found["full"], *found["alias"], found["ratio"]["negative"]) > 0


def test_the_fit_reaches_the_optimum_and_its_loss():
    pairs = optimal_scores.count(12, 3, seed=0)
    found = optimal_scores.free(pairs, 0.75, 2, iterations=600, seed=0)
    assert found["rms"] < 1e-2 < found["wrong_rms"]
    assert 0 <= found["gap"] < 1e-5
    noise = noise_distribution(pairs.word, 0.75)
    best = optimal_score(pairs.joint, pairs.word[:, None], noise, 2)
    same = optimal_scores.distance(best, best, pairs.joint > 0)
    assert same.rms == 0
    assert same.correlation == pytest.approx(1)
    low = optimal_scores.by_dimension(pairs, (2, 12), iterations=300, seed=0)
    assert low[2].correlation < low[12].correlation
    assert optimal_scores.normalizers(pairs, 5, iterations=600, seed=0)["log_z"] < 0.05


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="negatives must be ≥ 1, got 0"):
        replace(PRESET, negatives=0)
    with pytest.raises(ValueError, match=r"rates must be one or more positive numbers, got \(\)"):
        replace(PRESET, rates=())
    with pytest.raises(ValueError, match=r"dims must be whole numbers ≥ 1, got \(0,\)"):
        replace(shifted_pmi.PRESETS["ci"], dims=(0,))
    with pytest.raises(ValueError, match=r"sizes must be two or more, each ≥ 2, got \(5,\)"):
        replace(approximate_cost.PRESETS["ci"], sizes=(5,))
