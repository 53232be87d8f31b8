"""Mixup, CutMix and erasing against loops over pixels, torchvision, and exact shares."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.nn.functional import cross_entropy
from torchvision.transforms.v2 import functional as peer

from d2lcompanion.vision.mixing import (
    cutmix,
    erase,
    mixup,
    pixels_inside,
    random_cutmix,
    random_erase,
    random_mixup,
    soft_labels,
)
from tests.vision.pictures import generator, photos

PARTNER = torch.tensor([2, 0, 1])
BOXES = torch.tensor([[3.0, 2, 9, 20], [0, 0, 31, 24], [-5, 10, 4, 40]])
LABELS = torch.tensor([0, 3, 3])


def slowly_inside(box, i, j):
    x1, y1, x2, y2 = box.tolist()
    return x1 <= j + 0.5 < x2 and y1 <= i + 0.5 < y2


def test_mixup_by_the_formula_one_by_one():
    images, weight = photos(3, dtype=torch.float64), torch.tensor([0.25, 1.0, 0.0]).double()
    mixed = mixup(images, PARTNER, weight)
    assert mixed.images[0].allclose(0.25 * images[0] + 0.75 * images[2])
    assert mixed.images[1].equal(images[1])
    assert mixed.images[2].equal(images[1])
    assert mixed.weight.equal(weight)


def test_cutmix_pixel_by_pixel_and_its_weight_by_counting():
    images = photos(3)
    mixed = cutmix(images, PARTNER, BOXES)
    for n, box in enumerate(BOXES):
        kept = 0
        for i in range(24):
            for j in range(31):
                inside = slowly_inside(box, i, j)
                kept += not inside
                source = images[PARTNER[n]] if inside else images[n]
                assert mixed.images[n, :, i, j].equal(source[:, i, j])
        assert float(mixed.weight[n]) == pytest.approx(kept / (24 * 31), abs=1e-7)
    assert mixed.weight[1] == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.floats(0.2, 3))
def test_the_label_share_is_the_share_of_pixels(height, width, seed, alpha):
    """Black pictures partnered with white ones: the share of black is the weight, exactly."""
    images = torch.zeros(6, 1, height, width, dtype=torch.float64)
    images[3:] = 1
    mixed = random_cutmix(images, generator(seed), alpha=alpha)
    white = mixed.images.flatten(1).sum(1)
    own, other = images[:, 0, 0, 0], images[mixed.partner, 0, 0, 0]
    expected = (mixed.weight * own + (1 - mixed.weight) * other) * height * width
    assert white.equal(expected.round())
    torch.testing.assert_close(expected, expected.round(), atol=1e-9, rtol=0)


def test_cutmix_takes_over_the_share_of_its_law():
    """E(1 − λ) is ½; what hangs over the edge is lost. The mean of a side √(1 − λ) cut
    by the edge is s − s²/4, so the mean share is E(s − s²/4)², 1 − λ = s² uniform."""
    weight = random_cutmix(torch.zeros(4000, 1, 100, 100), generator()).weight
    share = (torch.linspace(0, 1, 100_001).double()).sqrt()
    expected = (share - share**2 / 4).square()
    spread = weight.std() / math.sqrt(4000)
    assert float(1 - weight.mean()) == pytest.approx(float(expected.mean()), abs=4 * float(spread))


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_mixed_labels_sum_to_one_and_their_loss_is_the_weighted_one(classes, seed):
    images = photos(6, 4, 5, dtype=torch.float64)
    labels = torch.arange(6) % classes
    mixed = random_mixup(images, generator(seed), alpha=0.5)
    soft = soft_labels(labels, mixed, classes)
    torch.testing.assert_close(soft.sum(1), torch.ones(6).double())
    logits = torch.randn(6, classes, generator=generator(seed), dtype=torch.float64)
    own = cross_entropy(logits, labels, reduction="none")
    other = cross_entropy(logits, labels[mixed.partner], reduction="none")
    expected = (mixed.weight * own + (1 - mixed.weight) * other).mean()
    torch.testing.assert_close(cross_entropy(logits, soft), expected)


def test_labels_of_the_same_class_are_one_label():
    mixed = mixup(photos(3), torch.tensor([0, 2, 1]), torch.tensor([0.5, 0.3, 0.9]))
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    torch.testing.assert_close(soft_labels(LABELS, mixed, 4), expected)


# ----------------------------------------------------------------------------------------- erasing


def test_erase_is_torchvision_s_one_by_one():
    images, boxes = photos(2), BOXES[:2]
    noise = torch.rand(images.shape, generator=generator())
    for value in (0.0, 0.5, noise):
        expected = []
        for n, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
            patch = (
                value[n, :, y1:y2, x1:x2]
                if isinstance(value, torch.Tensor)
                else torch.tensor(value)
            )
            expected.append(peer.erase(images[n], y1, x1, y2 - y1, x2 - x1, patch))
        assert erase(images, boxes, value).equal(torch.stack(expected))


@given(st.lists(st.floats(-5, 15), min_size=4, max_size=4))
def test_a_pixel_is_inside_where_its_centre_is(numbers):
    (x1, x2), (y1, y2) = sorted(numbers[:2]), sorted(numbers[2:])
    box = torch.tensor([[x1, y1, x2, y2]], dtype=torch.float64)
    inside = pixels_inside(box, torch.zeros(1, 1, 7, 9))
    assert inside[0].tolist() == [[slowly_inside(box[0], i, j) for j in range(9)] for i in range(7)]


def test_what_is_erased_follows_the_stated_law():
    white = torch.ones(4000, 1, 60, 60)
    result = random_erase(white, generator(), probability=1, area=(0.1, 0.3), ratio=2)
    black = result[:, 0] == 0
    share = black.flatten(1).double().mean(1)
    height, width = black.any(2).sum(1), black.any(1).sum(1)
    assert (height * width == black.flatten(1).sum(1)).all()  # a rectangle
    assert 0.09 < share.min() < share.max() < 0.31
    assert float(share.mean()) == pytest.approx(0.2, abs=0.004)
    stretch = (height / width).log2().numpy()
    assert abs(stretch.mean()) < 0.04
    assert stretch.std() == pytest.approx(1 / math.sqrt(3), rel=0.05)
    some = random_erase(white, generator(), probability=0.25, area=(0.1, 0.3))
    touched = int((some == 0).flatten(1).any(1).sum())
    assert stats.binomtest(touched, 4000, 0.25).pvalue > 1e-3


def test_erasing_with_certainty_all_of_a_picture():
    white = torch.ones(5, 3, 8, 6)
    assert random_erase(white, generator(), probability=1, area=(1, 1), ratio=1).sum() <= 5 * 3 * 16
    assert random_erase(white, generator(), probability=0).equal(white)
    assert random_erase(white, generator(), probability=1, area=(0, 0)).equal(white)


# --------------------------------------------------------------------------------------- bad input


def test_what_is_wrong_is_named():
    images = photos(3)
    weight = torch.tensor([0.5, 0.5, 1.5])
    with pytest.raises(ValueError, match=r"weight must be in \[0, 1\], got 1.5 at \[2\]"):
        mixup(images, PARTNER, weight)
    with pytest.raises(ValueError, match=r"partner must be in \[0, 2\], got 3"):
        cutmix(images, PARTNER + 1, BOXES)
    with pytest.raises(ValueError, match="boxes must have x1 ≤ x2 and y1 ≤ y2"):
        erase(images, BOXES.flip(1))
    with pytest.raises(ValueError, match="boxes must be finite"):
        cutmix(images, PARTNER, BOXES * math.nan)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\], got 3 at \[1\]"):
        soft_labels(LABELS, mixup(images, PARTNER, weight.clamp(max=1)), 3)
    with pytest.raises(ValueError, match=r"labels must be int64, got torch\.float32"):
        soft_labels(LABELS.float(), mixup(images, PARTNER, weight.clamp(max=1)), 4)
    with pytest.raises(ValueError, match="alpha must be > 0 and finite, got -1"):
        random_mixup(images, generator(), alpha=-1)
    with pytest.raises(ValueError, match="area must be 0 ≤ low ≤ high ≤ 1"):
        random_erase(images, generator(), area=(0.5, 0.1))
    with pytest.raises(ValueError, match=r"value must have shape \[3, 3, 24, 31\]"):
        erase(images, BOXES, torch.zeros(3))
    with pytest.raises(ValueError, match="probability must be in"):
        random_erase(images, generator(), probability=2)
