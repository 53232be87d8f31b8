"""Ways of tuning: what each may change, what is shared, and what recorded runs agree on."""

import json
from pathlib import Path
from statistics import mean

import pytest
import torch

from d2lcompanion.experiments import image_transfer, transfer_methods
from d2lcompanion.experiments.image_classification import accuracy
from d2lcompanion.experiments.image_transfer import (
    EXPERIMENT,
    PAIRS,
    PRESETS,
    Preset,
    clothes,
    compare_methods,
    draw_parts,
    run,
)
from d2lcompanion.experiments.photo_patches import PatchPreset
from d2lcompanion.experiments.transfer_methods import (
    BODY,
    METHODS,
    adapt,
    choose_rate,
    pretrain,
    with_old_head,
)
from d2lcompanion.vision.fine_tuning import count_parameters
from tests.experiments.contexts import context

RESULTS = sorted((Path(__file__).parents[2] / "results/fine-tuning").glob("ci-*.json"))
SHORT = {"steps": 6, "batch_size": 8, "seed": 0}


@pytest.fixture(scope="module")
def task():
    return clothes("subset", "near")


@pytest.fixture(scope="module")
def source(task):
    return pretrain(task.old, 6, channels=4, steps=60, seed=0)


def values(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_the_two_tasks_share_no_class_and_labels_count_from_zero(task):
    for old, new in PAIRS.values():
        assert sorted((*old, *new)) == list(range(10))
    assert task.old.labels.unique().tolist() == list(range(6))
    assert task.new_test.labels.unique().tolist() == list(range(4))
    assert len(task.old.labels) + len(task.new.labels) == 8000


def test_more_labels_include_the_fewer_and_validation_is_apart(task):
    few, more = (draw_parts(task, count, 20, 3) for count in (5, 10))
    assert few["train"].labels.bincount().tolist() == [5] * 4
    assert more["train"].images[:20].equal(few["train"].images)
    assert few["validation"].images.equal(more["validation"].images)
    both = torch.cat([more["train"].images, more["validation"].images]).flatten(1)
    assert len(both.unique(dim=0)) == 4 * 30
    with pytest.raises(ValueError, match=r"labels \+ validation must be ≤ 800, got 790 \+ 20"):
        draw_parts(task, 790, 20, 3)


CHANGES = {
    "probe": ("head",),
    "partial": ("hidden", "head"),
    "full": (*BODY, "head"),
    "groups": (*BODY, "head"),
    "lp_ft": (*BODY, "head"),
    "lora": ("head",),
}


@pytest.mark.parametrize("method", CHANGES)
def test_a_method_changes_its_parts_and_nothing_else(task, source, method):
    before = values(source)
    parts = draw_parts(task, 5, 20, 0)
    net = adapt(source, method, parts["train"], 4, rate=1e-2, **SHORT)
    assert all(before[name].equal(value) for name, value in source.state_dict().items())
    after = {name.replace("base.", ""): value for name, value in net.state_dict().items()}
    changed = {
        name.split(".")[0]
        for name, value in before.items()
        if name.startswith(BODY) and not after[name].equal(value)
    } | {"head"}
    assert changed == set(CHANGES[method])


def test_scratch_starts_elsewhere_and_the_unknown_is_refused(task, source):
    parts = draw_parts(task, 5, 20, 0)
    net = adapt(source, "scratch", parts["train"], 4, rate=1e-8, **SHORT)
    assert not torch.allclose(net.conv1.weight, source.conv1.weight, atol=1e-3)
    with pytest.raises(ValueError, match=r"method must be one of scratch, probe.*got 'magic'"):
        adapt(source, "magic", parts["train"], 4, rate=0.1, **SHORT)


def test_groups_move_the_body_less(task, source):
    parts = draw_parts(task, 5, 20, 0)
    far = {}
    for method in ("full", "groups"):
        net = adapt(source, method, parts["train"], 4, rate=1e-2, **SHORT)
        far[method] = float((net.conv2.weight - source.conv2.weight).detach().norm())
    assert 0.05 * far["full"] < far["groups"] < 0.3 * far["full"]


def test_the_old_head_on_a_probed_body_is_the_old_network(task, source):
    parts = draw_parts(task, 5, 20, 0)
    net = adapt(source, "probe", parts["train"], 4, rate=1e-2, **SHORT)
    old = with_old_head(net, source)
    assert old(task.old_test.images[:9]).equal(source(task.old_test.images[:9]))
    assert net.head.out_features == 4
    adapted = adapt(source, "lora", parts["train"], 4, rate=1e-2, **SHORT)
    forgotten = with_old_head(adapted, source)(task.old_test.images[:9])
    assert not torch.allclose(forgotten, source(task.old_test.images[:9]), atol=1e-4)


def test_the_rate_is_chosen_by_validation_images_alone(task, source, monkeypatch):
    """Nets named by their rates; validation likes the one in the middle, the test another."""
    liked = {"validation": {0.1: 0.5, 0.2: 0.9, 0.3: 0.9}, "test": {0.1: 0.7, 0.2: 0.2, 0.3: 0.9}}
    parts = draw_parts(task, 5, 20, 0)

    def score(net, images, _labels):
        part = "validation" if images is parts["validation"].images else "test"
        return liked[part].get(getattr(net, "rate", None), 0.0)

    def stub(source, *_, rate, **__):
        net = transfer_methods.small_network(2, 4, torch.Generator())
        net.rate = rate
        return net

    monkeypatch.setattr(transfer_methods, "accuracy", score)
    monkeypatch.setattr(transfer_methods, "adapt", stub)
    tried = choose_rate(source, "full", parts, 4, (0.3, 0.1, 0.2), **SHORT)
    assert (tried.rate, tried.accuracy, tried.by_rate) == (0.2, 0.2, [0.7, 0.2, 0.9])


def test_every_method_is_compared_and_counts_are_right(task, source):
    preset = Preset("subset", 4, 10, (2,), 5, steps=2, rates=(1e-2,))
    found = compare_methods(preset, task, source, 2, 0)
    assert tuple(found) == METHODS
    total = count_parameters(adapt(source, "full", draw_parts(task, 2, 5, 0)["train"], 4,
                                   rate=1e-2, **SHORT)).total  # fmt: skip
    assert found["full"].trained == found["groups"].trained == total
    assert found["probe"].trained == 64 * 4 + 4
    assert found["lora"].trained == 4 * (8 + 36) + 4 * (64 + 392) + 260
    assert found["probe"].old_accuracy == accuracy(source, *task.old_test)


def test_a_run_at_small_size(monkeypatch):
    monkeypatch.setattr(image_transfer, "METHODS", ("probe",))
    monkeypatch.setattr(
        image_transfer, "compare_on_patches", lambda *_: {"labels_1": {"efficientnet": 1.0}}
    )
    preset = Preset("subset", 2, 3, (1,), 2, steps=2, batch_size=4, rates=(1e-2,))
    found = run(preset, context())
    assert set(found) == {"labels", "rates", "far", "near", "patches", "hot_dogs"}
    assert set(found["far"]["labels_1"]) == {"probe"}


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="steps must be ≥ 2, got 1"):
        Preset("subset", 8, 10, (5,), 10, steps=1)
    with pytest.raises(ValueError, match="labels must be one or more positive numbers"):
        Preset("subset", 8, 10, (), 10, steps=2)
    with pytest.raises(ValueError, match="side must be ≥ 32, got 16"):
        PatchPreset(side=16)


def test_columns_are_metrics_of_every_scale():
    for preset in PRESETS.values():
        assert 10 in preset.labels
        assert 5 in preset.patches.labels
    assert {c.key.split(".")[0] for c in EXPERIMENT.columns} <= {*PAIRS, "patches"}


def test_what_five_recorded_runs_agree_on():
    """Near tasks gain with few labels, far ones do not; groups of rates forget less; photos."""
    runs = [json.loads(path.read_text(encoding="utf-8"))["metrics"] for path in RESULTS]
    assert len(runs) == 5

    def gain(pair, count, method):
        part = f"labels_{count}"
        return mean(
            found[pair][part][method]["accuracy"] - found[pair][part]["scratch"]["accuracy"]
            for found in runs
        )

    for method in ("partial", "full", "groups", "lp_ft", "lora"):
        assert gain("near", 5, method) > 0.01
        assert abs(gain("near", 50, method)) < 0.03
        assert gain("far", 10, method) < 0.03
    for found in runs:
        assert (
            found["far"]["labels_10"]["probe"]["accuracy"]
            < 0.9 * (found["far"]["labels_10"]["scratch"]["accuracy"])
        )
        assert found["near"]["before"] == found["near"]["labels_10"]["probe"]["old_accuracy"]
        patches = found["patches"]["labels_5"]
        assert patches["efficientnet"] > patches["scratch"] > patches["pixels"]
    kept = {
        method: mean(found["near"]["labels_10"][method]["old_accuracy"] for found in runs)
        for method in ("full", "groups", "lora")
    }
    assert kept["full"] < min(kept["groups"], kept["lora"]) - 0.05
