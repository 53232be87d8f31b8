"""The cost of suppression: that sides agree, and what the recorded runs show."""

import json
from pathlib import Path

import pytest
import torch

from d2lcompanion.experiments.suppression_cost import COUNTS, EXPERIMENT, Preset, crowd, run, sides
from tests.experiments.contexts import context

RESULTS = sorted((Path(__file__).parents[2] / "results/suppression-cost").glob("ci-*.json"))


def test_the_three_hard_ones_keep_the_same_boxes():
    boxes, scores = crowd(400, torch.Generator().manual_seed(0))
    kept = {name: side(boxes, scores) for name, side in sides().items()}
    assert kept["ours"].tolist() == kept["torchvision"].tolist() == kept["d2l"].tolist()
    assert 0.2 < 1 - len(kept["ours"]) / 400 < 0.4
    assert kept["soft"].scores.max() == scores.max()


def test_the_experiment_runs():
    metrics = run(Preset((20, 60), rounds=2), context())
    assert metrics["equal"] is True
    assert {len(values) for values in metrics["seconds"].values()} == {2}
    for column in EXPERIMENT.columns:
        assert metrics[column.key] > 0
    with pytest.raises(ValueError, match="rounds must be ≥ 1, got 0"):
        Preset((20, 60), rounds=0)


def test_recorded_runs_agree():
    """A loop of calls is slowest; compiled code is ahead for few boxes, and not for many."""
    runs = [json.loads(path.read_text(encoding="utf-8"))["metrics"] for path in RESULTS]
    assert len(runs) >= 3
    for r in runs:
        assert r["counts"] == list(COUNTS)
        assert r["equal"]
        seconds = r["seconds"]
        assert seconds["torchvision"][0] < seconds["ours"][0]
        assert all(d > 8 * o for d, o in zip(seconds["d2l"][2:], seconds["ours"][2:], strict=True))
        assert r["per_torchvision"] < 1.2
