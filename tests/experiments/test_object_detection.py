"""The detector's experiment: what is kept apart, what is shared, and what five runs say."""

import json
import warnings
from pathlib import Path

import pytest
import torch

from d2lcompanion.data import registry
from d2lcompanion.data.cutouts import load_coins
from d2lcompanion.experiments.detector_training import (
    Pictures,
    Recipe,
    all_targets,
    anchor_errors,
    evaluate,
    scene_parts,
    scenes,
    train_detector,
    truths,
)
from d2lcompanion.experiments.object_detection import (
    EXPERIMENT,
    PRESETS,
    Preset,
    config_of,
    load,
    recipe_of,
    run,
)
from d2lcompanion.vision.ssd import SSD, SSDConfig
from tests.data.test_bananas import make_zip
from tests.experiments.contexts import context

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from d2l import torch as d2l

RESULTS = sorted((Path(__file__).parents[2] / "results/object-detection").glob("ci-*.json"))
TINY = Preset("scenes", 12, 6, (4, 6, 8, 8), steps=3, batch_size=4)


@pytest.mark.parametrize("seed", range(3))
def test_no_coin_boot_or_surface_is_in_both_parts(seed):
    train, test = scene_parts("train", seed), scene_parts("test", seed)
    assert [len(x) for x in train.objects] == [16, 200]
    assert [len(x) for x in test.objects] == [8, 200]
    for ours, theirs in zip(train.objects, test.objects, strict=True):
        keys = [{c.pixels.numpy().tobytes() for c in part} for part in (ours, theirs)]
        assert not keys[0] & keys[1]
    assert len({s.data_ptr() for s in (*train.surfaces, *test.surfaces)}) == 5
    coins = {c.pixels.numpy().tobytes() for c in (*train.objects[0], *test.objects[0])}
    assert coins == {c.pixels.numpy().tobytes() for c in load_coins()}


def test_seeds_and_parts_draw_differently():
    pictures = [scenes(part, 2, seed).images for part in ("train", "test") for seed in (0, 1)]
    assert all(not torch.equal(a, b) for k, a in enumerate(pictures) for b in pictures[:k])
    assert torch.equal(pictures[0], scenes("train", 2, 0).images)


def test_truths_leave_padding_out():
    labels = torch.tensor([[[1, 0, 0, 1, 1], [-1, -1, -1, -1, -1]], [[-1.0] * 5] * 2])
    first, second = truths(labels)
    assert first.boxes.tolist() == [[0, 0, 1, 1]]
    assert first.classes.tolist() == [1]
    assert second.boxes.shape == (0, 4)


def test_a_run_depends_on_its_seed_only():
    train = load(TINY, "train", 0)
    ends = [
        train_detector(config_of(TINY), train, recipe_of(TINY, "hard", seed)).losses
        for seed in (0, 0, 1)
    ]
    assert ends[0].shape == (3, 2)
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


@pytest.mark.parametrize("training", [True, False])
def test_targets_leave_the_mode_of_the_model_and_its_statistics(training):
    pictures = scenes("train", 3, 0)
    model = SSD(config_of(TINY), torch.Generator().manual_seed(0)).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    all_targets(model, pictures)
    assert [part.training for part in model.modules()] == [training] * len(list(model.modules()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_variants_change_what_they_name():
    assert recipe_of(TINY, "focal", 0).negatives == "focal"
    assert recipe_of(TINY, "one_size", 0) == recipe_of(TINY, "hard", 0)
    assert config_of(TINY, "one_size").sizes != config_of(TINY).sizes


def test_the_two_numbers_of_d2l_are_d2l_s():
    """Its `cls_eval` and `bbox_eval` are not in the package: the same sums, from its targets."""
    pictures = scenes("test", 5, 0, None)
    config = SSDConfig(1, 2, (4, 6, 8, 8))
    model = train_detector(config, pictures, Recipe(2, 2)).model
    said = model(pictures.images)
    single = pictures.labels[:, :1]  # padding takes anchors in d2l
    offsets, mask, classes = d2l.multibox_target(said.anchors[None], single)
    wrong = float((said.logits.argmax(-1) != classes).float().mean())
    away = float(((offsets - said.offsets.detach().flatten(1)) * mask).abs().mean())
    found = anchor_errors(model, Pictures(pictures.images, single))
    assert found == pytest.approx((wrong, away), rel=1e-4)


def test_the_experiment_runs_and_its_columns_are_there():
    metrics = run(TINY, context())
    for column in EXPERIMENT.columns:
        value = metrics
        for key in column.key.split("."):
            value = value[key]
        assert 0 <= value <= 1
    assert set(TINY.variants) <= set(metrics)


def test_bananas_run_from_their_zip_and_are_missed_without_it(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.DATA_DIR_VARIABLE, str(tmp_path))
    tiny = Preset("bananas", 3, 3, (4, 4, 4, 6, 8), steps=2, batch_size=2, variants=("hard",))
    with pytest.raises(FileNotFoundError, match="d2lc data fetch banana-detection"):
        run(tiny, context())
    make_zip(tmp_path / "banana-detection.zip")
    metrics = run(tiny, context())
    assert "crowded" not in metrics
    assert 0 <= metrics["hard"]["ap"] <= 1
    assert PRESETS["gpu"].pictures == "bananas"


def test_an_evaluation_needs_no_gradient():
    pictures = scenes("test", 3, 0)
    model = train_detector(config_of(TINY), pictures, Recipe(2, 2)).model
    assert 0 <= evaluate(model, pictures).mean <= 1
    assert all(p.grad is not None for p in model.parameters())


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="steps must be ≥ 2, got 1"):
        Preset("scenes", 1, 1, (4,), steps=1, batch_size=2)
    with pytest.raises(ValueError, match="rate must be > 0, got 0"):
        Preset("scenes", 1, 1, (4,), steps=2, batch_size=2, rate=0)
    for variants in ((), ("all",), ("hard", "soft")):
        with pytest.raises(ValueError, match="variants must begin with hard"):
            Preset("scenes", 1, 1, (4,), steps=2, batch_size=2, variants=variants)


def test_what_five_recorded_runs_agree_on():
    """Mining beats all negatives and one size of anchors; soft-NMS trades AP50 for AP."""
    runs = [json.loads(path.read_text(encoding="utf-8"))["metrics"] for path in RESULTS]
    assert len(runs) == 5
    for r in runs:
        assert r["hard"]["ap50"] > 0.93
        assert r["hard"]["ap"] > r["focal"]["ap"] > r["all"]["ap"]
        assert r["hard"]["ap"] > r["one_size"]["ap"] + 0.05
        assert r["soft"]["ap"] > r["hard"]["ap"]
        assert r["soft"]["ap50"] < r["hard"]["ap50"]
        assert r["crowded"]["ap"] < r["hard"]["ap"] - 0.15
        assert r["hard"]["train_ap"] > r["hard"]["ap"] + 0.1
