"""Patches of photos: where they come from, and what a run reports."""

import pytest
import torch

from d2lcompanion.experiments import photo_patches
from d2lcompanion.experiments.photo_patches import (
    CLASSES,
    EDGE,
    PatchPreset,
    compare_on_patches,
    draw_patches,
    from_scratch,
    grey_photos,
    to_pixels,
)
from d2lcompanion.experiments.transfer_methods import Labelled
from d2lcompanion.vision.efficientnet import EfficientNetLite0


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_photos_are_grey_and_large_enough():
    photos = grey_photos()
    assert len(photos) == len(CLASSES) == 10
    for photo in photos:
        assert photo.ndim == 2
        assert min(photo.shape) > 2 * EDGE
        assert 0 <= photo.min() < photo.max() <= 1


def test_training_and_test_share_no_pixel(monkeypatch):
    """In a photo whose pixels are their own columns, patches show where they lie."""
    columns = torch.arange(400.0).expand(300, 400)
    monkeypatch.setattr(photo_patches, "grey_photos", lambda: (columns,))
    monkeypatch.setattr(torch.Tensor, "clamp", lambda self, *_, **__: self)
    ends = {}
    for part in ("train", "test"):
        starts = []
        randint = torch.randint

        def noted(low, high, *rest, randint=randint, starts=starts, **options):
            value = randint(low, high, *rest, **options)
            starts.append(int(value))
            return value

        monkeypatch.setattr(torch, "randint", lambda *a, noted=noted, **k: noted(*((0, *a) if isinstance(a[1], tuple) else a), **k))  # fmt: skip
        draw_patches(200, part, drawn())
        monkeypatch.setattr(torch, "randint", randint)
        left = starts[::2]
        ends[part] = (min(left), max(left) + EDGE)
    assert ends["train"][0] >= 0
    assert ends["train"][1] <= 180
    assert ends["test"][0] >= 220
    assert ends["test"][1] <= 400


def test_patches_have_one_mean_and_spread():
    patches = draw_patches(8, "train", drawn())
    assert patches.images.shape == (80, 1, EDGE, EDGE)
    assert patches.labels.bincount().tolist() == [8] * 10
    means, spreads = patches.images.mean((1, 2, 3)), patches.images.std((1, 2, 3))
    assert float((means - 0.5).abs().max()) < 0.1
    assert float((spreads - 0.2).abs().median()) < 0.02
    assert draw_patches(2, "test", drawn(1)).images.equal(draw_patches(2, "test", drawn(1)).images)
    with pytest.raises(ValueError, match="part must be train or test, got 'left'"):
        draw_patches(1, "left", drawn())


def test_enlarged_patches_are_grey_in_three_channels():
    flat = torch.full((2, 1, EDGE, EDGE), 0.5)
    pixels = to_pixels(flat, 96)
    assert pixels.shape == (2, 3, 96, 96)
    torch.testing.assert_close(pixels, torch.full_like(pixels, 1 / 128), atol=1e-2, rtol=0)
    x = to_pixels(draw_patches(1, "train", drawn()).images, 64)
    assert x[:, 0].equal(x[:, 2])


def test_the_network_from_scratch_learns_its_patches():
    patches = draw_patches(3, "train", drawn())
    some = Labelled(patches.images[:9], patches.labels[:9])
    assert from_scratch(some, some, 1e-2, 120, 0) == 1.0
    assert from_scratch(some, some, 1e-9, 1, 0) < 1.0


def test_a_run_reports_every_method(monkeypatch):
    net = EfficientNetLite0(generator=drawn())
    monkeypatch.setattr(photo_patches, "lite0", lambda: net)
    found = compare_on_patches(PatchPreset((1, 2), test=1, side=32, steps=2, tuned=1), 0)
    assert set(found) == {"labels_1", "labels_2"}
    assert set(found["labels_1"]) == {"efficientnet", "random", "pixels", "scratch", "tuned"}
    assert all(0 <= value <= 1 for value in found["labels_2"].values())
