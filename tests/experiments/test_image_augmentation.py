"""The comparison: what is shared between recipes, and what augmentation and mirrors do."""

import json
from pathlib import Path

import pytest
import torch

from d2lcompanion.data.digits import load_digit_images
from d2lcompanion.experiments.augmented_training import (
    CLOTHING,
    DIGITS,
    compare,
    keeps_labels,
    train_with,
)
from d2lcompanion.experiments.image_augmentation import (
    EXPERIMENT,
    PRESETS,
    Preset,
    clothing,
    digits,
)

RESULTS = sorted((Path(__file__).parents[2] / "results/image-augmentation").glob("ci-*.json"))
SHORT = {"channels": 2, "steps": 8, "batch_size": 16, "seed": 0}


def test_a_split_shares_no_image_and_has_so_many_of_each_class():
    split = digits(10, 3)
    assert split.labels.bincount().tolist() == [10] * 10
    assert len(split.images) + len(split.test_images) == 1797
    both = torch.cat([split.images, split.test_images]).flatten(1)
    same = load_digit_images(standardized=False).images.unique(dim=0)
    assert len(both.unique(dim=0)) == len(same)
    assert 0 <= both.min() <= both.max() <= 1
    few = clothing("subset", 4, 1)
    assert few.labels.bincount().tolist() == [4] * 10
    assert few.test_images.shape == (2000, 1, 28, 28)
    assert not few.images.equal(clothing("subset", 4, 2).images)


@pytest.mark.parametrize("name", CLOTHING)
def test_every_recipe_gives_images_and_labels_that_sum_to_one(name):
    split = clothing("subset", 2, 0)
    images, labels = CLOTHING[name](split.images, split.labels, torch.Generator().manual_seed(0))
    assert images.shape == split.images.shape
    assert 0 <= images.min() <= images.max() <= 1.00001
    if labels.ndim == 2:
        torch.testing.assert_close(labels.sum(1), torch.ones(20))
    else:
        assert labels.equal(split.labels)
    assert images.equal(split.images) == (name == "none")


def test_recipes_share_weights_and_batches():
    """A recipe that draws and changes nothing ends where none ends."""

    def idle(images, generator):
        torch.rand(7, generator=generator)
        return images

    split = digits(3, 0)
    ends = compare({"none": DIGITS["none"], "idle": keeps_labels(idle)}, split, **SHORT)
    same = [trained._replace(images_per_second=0.0) for trained in ends.values()]
    assert same[0] == same[1]
    assert train_with(DIGITS["mirror"], split, **SHORT).class_accuracy != same[0].class_accuracy


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="steps must be ≥ 1, got 0"):
        Preset("subset", (20,), digits=10, channels=8, steps=0, batch_size=64)
    with pytest.raises(ValueError, match=r"labels must be some numbers ≥ 1, got \(\)"):
        Preset("subset", (), digits=10, channels=8, steps=1, batch_size=64)


def test_columns_are_metrics_of_every_scale():
    for preset in PRESETS.values():
        for column in EXPERIMENT.columns:
            part, name, _ = column.key.split(".")
            assert name in (DIGITS if part == "digits" else CLOTHING)
            assert part == "digits" or int(part.removeprefix("labels_")) in preset.labels


def test_what_five_recorded_runs_agree_on():
    """Erratum E21: with 20 labels RandAugment helps and a mirror alone does not.

    Digits gain by shifts, and lose by mirrors.
    """
    runs = [json.loads(path.read_text(encoding="utf-8"))["metrics"] for path in RESULTS]
    assert len(runs) == 5

    def gains(part, name):
        return [
            run[part][name]["test_accuracy"] - run[part]["none"]["test_accuracy"] for run in runs
        ]

    assert min(gains("labels_20", "rand_augment")) > 0
    assert max(gains("labels_20", "flip")) < 0
    assert min(gains("digits", "shift")) > 0
    assert max(gains("digits", "mirror")) < 0
    assert max(gains("digits", "upside_down")) < 0
