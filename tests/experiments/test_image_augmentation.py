"""The comparison: what is shared between recipes, and what augmentation and mirrors do."""

import json
from pathlib import Path

import pytest
import torch

from d2lcompanion.data.digits import load_digit_images
from d2lcompanion.experiments.augmented_training import (
    CLOTHING,
    DIGITS,
    PHOTOS,
    Split,
    build,
    compare,
    fit,
    keeps_labels,
    train_with,
)
from d2lcompanion.experiments.image_augmentation import (
    EXPERIMENT,
    PRESETS,
    Preset,
    clothing,
    digits,
    photos,
    run,
)
from tests.data.cifar_files import write_archive
from tests.experiments.contexts import context

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


@pytest.mark.parametrize("name", PHOTOS)
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


def test_the_small_network_standardizes_by_fashion_mnist_and_ends_in_evaluation():
    split = clothing("subset", 2, 0)
    net, _ = build("small_cnn", 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(net[0](split.images), (split.images - 0.2860) / 0.3530)
    trained, speed = fit(CLOTHING["none"], split, **SHORT)
    assert not trained.training
    assert speed > 0


def test_resnet_18_learns_photos_by_heart():
    """Random pixels: what is learned can only be learned by heart."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(20, 3, 32, 32, generator=generator), torch.arange(20) % 10
    split = Split(images, labels, images, labels)
    net, optimizer = build("resnet18", 4, torch.Generator().manual_seed(0))
    assert {type(net[1]).__name__, type(optimizer).__name__} == {"ResNet18", "SGD"}
    options = {"channels": 4, "batch_size": 20, "seed": 0}
    ends = [
        train_with(PHOTOS["none"], split, network="resnet18", steps=steps, **options)
        for steps in (1, 60)
    ]
    assert ends[0].train_accuracy < 0.5
    assert ends[1].train_accuracy > 0.9


def test_the_comparison_on_cifar_10_runs_from_an_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("D2LC_DATA_DIR", str(tmp_path))
    preset = Preset("cifar-10", (2,), digits=2, channels=1, steps=2, batch_size=4)
    with pytest.raises(FileNotFoundError, match="d2lc data fetch cifar-10"):
        run(preset, context())
    write_archive(tmp_path)
    split = photos(2, 0)
    assert split.images.shape == (20, 3, 32, 32)
    assert split.labels.bincount().tolist() == [2] * 10
    found = run(preset, context())
    assert set(found) == {"labels_2", "digits"}
    assert set(found["labels_2"]) == set(PHOTOS)
    assert set(found["digits"]) == set(DIGITS)
    assert all(len(run["class_accuracy"]) == 10 for run in found["labels_2"].values())


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
