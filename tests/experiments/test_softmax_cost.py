"""The cost of the full softmax: operations as torch counts them, and the line by NumPy."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from d2lcompanion.experiments import softmax_cost
from d2lcompanion.experiments.softmax_cost import (
    PRESETS,
    Preset,
    fit,
    measure,
    prepare,
    products,
    step,
)
from d2lcompanion.training.experiment import RunContext
from d2lcompanion.training.progress import silent
from d2lcompanion.training.settings import Settings

CPU = torch.device("cpu")


def tasks(sizes=(50, 100), batch_size=16):
    generator = torch.Generator().manual_seed(0)
    options = {"dim": 8, "window": 2, "batch_size": batch_size}
    return prepare(sizes, device=CPU, generator=generator, **options)


def test_the_products_are_what_torch_counts():
    for size, task in tasks().items():
        with FlopCounterMode(display=False) as counter:
            step(task)
        assert counter.get_total_flops() == products(size, 8, 16) == 6 * 16 * size * 8


def test_every_size_is_measured_in_every_round():
    made = tasks()
    seconds = measure(made, 3)
    assert set(seconds) == set(made) == {50, 100}
    assert all(len(times) == 3 and min(times) > 0 for times in seconds.values())
    for size, task in made.items():
        assert task.center_vectors.shape == (size, 8)
        assert int(task.batch.contexts.max()) < size


def test_the_line_against_numpy():
    sizes, seconds = [1, 2, 4, 8], [2.0, 3.5, 8.0, 15.0]
    line = fit(sizes, seconds)
    slope, intercept = np.polyfit(sizes, seconds, 1)
    assert line.slope == pytest.approx(slope)
    assert line.intercept == pytest.approx(intercept)
    assert line.r_squared == pytest.approx(np.corrcoef(sizes, seconds)[0, 1] ** 2)


def test_a_run_gives_numbers():
    context = RunContext(Settings(), CPU, torch.float32, torch.Generator(), silent, None)
    found = softmax_cost.run(Preset((50, 200), 8, 2, 16, 3), context)
    assert found["sizes"] == [50, 200]
    assert found["gflops"] > 0
    for low, middle, high in zip(found["fastest"], found["medians"], found["slowest"], strict=True):
        assert low <= middle <= high


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match=r"sizes must be two or more, each ≥ 2, got \(5,\)"):
        Preset((5,), 8, 2, 16, 3)
    with pytest.raises(ValueError, match="rounds must be ≥ 1, got 0"):
        Preset((5, 6), 8, 2, 16, 0)
    with pytest.raises(ValueError, match="words of the corpus, got 9000000"):
        tasks((50, 9_000_000))
    assert max(PRESETS["ci"].sizes) == 16_000
