"""Pretraining without labels, probes and training on a few, and what bad input says."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from d2lcompanion.experiments import (
    contrastive_choices,
    image_encoders,
    image_pretraining,
    image_probes,
)
from d2lcompanion.experiments import self_supervised_images as experiment
from d2lcompanion.experiments.image_pretraining import Contrastive, Painting
from d2lcompanion.training.results import metric_band, read_results
from d2lcompanion.vision.masked_autoencoder import MaskedAutoencoder, MaskedConfig
from d2lcompanion.vision.patches import patchify
from tests.experiments.contexts import context

PRESET = image_encoders.Preset(
    labels=(5,), channels=2, epochs=1, batch=64, width=8, layers=1, paint_epochs=1, steps=2
)


def driver(seed=0):
    return image_pretraining.Driver(torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def pictures():
    """A tenth of the images."""
    return image_encoders.Pictures(
        *(
            image_probes.Labelled(part.images[::10], part.labels[::10])
            for part in image_encoders.load("subset", "cpu")
        )
    )


def test_every_part_is_measured_and_one_seed_gives_the_same(pictures, monkeypatch):
    monkeypatch.setattr(experiment, "load", lambda which, device: pictures)
    first, second = (experiment.run(PRESET, context()) for _ in range(2))
    assert first == second
    names = {"pixels", "simclr", "mae", "random_conv", "random_transformer"}
    names |= {f"{how}_{net}" for how in ("scratch", "tuned") for net in ("conv", "transformer")}
    assert set(first["accuracy"]) == names
    assert all(0 <= row["5"] <= 1 for row in first["accuracy"].values())
    assert first["images"] == len(pictures.train.images)


def test_training_without_labels_leaves_the_copies_before_it_alone(pictures):
    found = image_encoders.pretrain(PRESET, pictures, driver())
    for before, after in (("random_conv", "simclr"), ("random_transformer", "mae")):
        pairs = zip(
            found.ways[before].encoder.parameters(),
            found.ways[after].encoder.parameters(),
            strict=True,
        )
        assert all(not torch.equal(a, b) for a, b in pairs if a.ndim > 1)


def test_labels_are_never_read_in_pretraining(pictures):
    """Shuffled labels give the same weights."""
    order = torch.randperm(len(pictures.train.labels), generator=torch.Generator().manual_seed(5))
    other = pictures._replace(
        train=image_probes.Labelled(pictures.train.images, pictures.train.labels[order])
    )
    first, second = (image_encoders.pretrain(PRESET, p, driver()) for p in (pictures, other))
    for name, way in first.ways.items():
        for a, b in zip(
            way.encoder.parameters(), second.ways[name].encoder.parameters(), strict=True
        ):
            assert torch.equal(a, b)


def test_held_out_and_training_images_are_all_images_once():
    parts = image_encoders.load("subset", "cpu")
    assert [len(part.images) for part in parts] == [7200, 800, 2000]
    together = torch.cat([parts.train.images, parts.held_out.images]).sum((1, 2, 3))
    whole = image_encoders.load_fashion_mnist("subset").train_images
    expected = whole.float().sum((1, 2)) / 255
    torch.testing.assert_close(together.sort().values, expected.sort().values)


# ---------------------------------------------------------------------------------------- training


def test_a_batch_of_views_keeps_images_in_order(pictures):
    still = image_pretraining.ViewRecipe(crop=1.0, flip=0.0, jitter=0.0)
    x = pictures.train.images[:6]
    both = image_pretraining.two_views(x, still, torch.Generator().manual_seed(0))
    torch.testing.assert_close(both, torch.cat([x, x]))


def test_contrastive_training_lowers_its_loss_and_one_without_negatives_collapses(pictures):
    x, chance = pictures.train.images, {}
    for negatives in (True, False):
        run = driver()
        encoder = image_pretraining.conv_encoder(4, run.generator)
        head = image_pretraining.projection_head(144, run.generator)
        how = Contrastive(epochs=8, batch=120, negatives=negatives)
        curve = image_pretraining.train_contrastive(encoder, head, x, how, run)
        assert curve[-1] < curve[0]
        whole = nn.Sequential(encoder, head)
        chance[negatives] = image_encoders.judge_views(whole, x, PRESET.views, 0.5, run.generator)
    assert chance[False]["uniformity"] > chance[True]["uniformity"] + 0.5
    assert chance[False]["alignment"] < chance[True]["alignment"]
    assert chance[False]["partner"] < chance[True]["partner"]


def test_painting_beats_the_mean_image(pictures):
    x, run = image_encoders.standardize(pictures.train.images), driver()
    config = MaskedConfig(patch=7, width=32, layers=1)
    model = MaskedAutoencoder(config, run.generator)
    image_pretraining.train_masked(model, x, Painting(epochs=25, batch=60, rate=4e-3), run)
    patches = patchify(x, 7)
    error = float(image_pretraining.painting_loss(model, patches, 0.5, run.generator).detach())
    assert error < float((patches - patches.mean(0)).square().mean())


def test_a_batch_larger_than_the_data_is_named(pictures):
    run = driver()
    encoder = image_pretraining.conv_encoder(2, run.generator)
    head = image_pretraining.projection_head(72, run.generator)
    with pytest.raises(ValueError, match="batch must be ≤ 720 images, got 5000"):
        image_pretraining.train_contrastive(
            encoder, head, pictures.train.images, Contrastive(batch=5000), run
        )


# ------------------------------------------------------------------------------------------ labels


def test_few_labels_are_balanced_and_without_repetition(pictures):
    labels = pictures.train.labels
    rows = image_probes.few_labels(labels, 7, torch.Generator().manual_seed(0))
    assert len(rows.unique()) == 70
    assert torch.equal(labels[rows].view(7, 10), torch.arange(10).expand(7, -1))
    with pytest.raises(ValueError, match="each must be in 1 … 60, got 73"):
        image_probes.few_labels(labels, 73, torch.Generator())


def test_the_probe_is_scikit_learns(pictures):
    rows = image_probes.few_labels(pictures.train.labels, 10, torch.Generator().manual_seed(1))
    x = pictures.train.images[rows].flatten(1).double().numpy()
    y = pictures.train.labels[rows].numpy()
    test = pictures.test.images.flatten(1).double().numpy()
    truth = pictures.test.labels.numpy()
    unit = np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean())
    for penalty in (1e-2, 1e-3, image_probes.PENALTY):
        theirs = LogisticRegression(C=1 / (len(y) * penalty), max_iter=5000, tol=1e-8)
        theirs.fit((x - x.mean(0)) / unit, y)
        expected = theirs.score((test - x.mean(0)) / unit, truth)
        assert image_probes.probe(x, y, test, truth, penalty) == pytest.approx(expected, abs=0.011)


def test_training_on_labels_learns_what_a_linear_map_can(pictures):
    run = driver()
    encoder = image_pretraining.conv_encoder(4, run.generator)
    rows = image_probes.few_labels(pictures.train.labels, 30, run.generator)
    train = image_probes.Labelled(*(part[rows] for part in pictures.train))
    right = image_probes.train_on_labels(
        encoder, 144, train, pictures.test, run.generator, steps=60, rate=3e-3
    )
    assert right > 0.55  # chance is 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": (0,)}, r"labels must be one or more positive numbers, got \(0,\)"),
        ({"labels": ()}, r"labels must be one or more positive numbers, got \(\)"),
        ({"epochs": 0}, "epochs must be ≥ 1, got 0"),
        ({"batch": 1}, "batch must be ≥ 2, got 1"),
    ],
)
def test_presets_refuse(changes, message):
    with pytest.raises(ValueError, match=message):
        image_encoders.Preset(**changes)


# -------------------------------------------------------------------------------- committed results


@pytest.mark.parametrize(
    ("scale", "seeds", "winners"), [("ci", 5, ["mae"]), ("laptop", 3, ["mae", "simclr"])]
)
def test_committed_runs_say_what_the_chapter_says(scale, seeds, winners):
    """A painter gains much; SimCLR, for certain, only with its longer training."""
    runs = [r for r in read_results(experiment=experiment.EXPERIMENT.name) if r.scale == scale]
    random = {"mae": "random_transformer", "simclr": "random_conv"}
    for name in winners:
        after, before = (metric_band(runs, f"accuracy.{way}.20") for way in (name, random[name]))
        assert after.mean > before.mean
        assert len(after.seeds) >= seeds


def test_choices_are_measured(pictures, monkeypatch):
    monkeypatch.setattr(contrastive_choices, "load", lambda which, device: pictures)
    preset = contrastive_choices.Preset(choices=("base", "no crop"), epochs=1, channels=2, batch=64)
    found = contrastive_choices.run(preset, context())
    assert set(found["probe"]) == {"base", "no crop", "random"}
    with pytest.raises(ValueError, match=r"choices must be among .*got 'no hat'"):
        contrastive_choices.Preset(choices=("no hat",))
