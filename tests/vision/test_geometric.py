"""Mirrors and windows against torchvision, and boxes against the masks they enclose."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision import ops
from torchvision.transforms.v2 import functional as peer

from d2lcompanion.vision.geometric import (
    crop,
    crop_boxes,
    flip,
    flip_boxes,
    random_crop,
    random_flip,
)
from tests.vision.pictures import generator, photos

sizes = st.integers(1, 12)


@st.composite
def a_mask_with_its_box(draw):
    """A mask [1, H, W] that is true inside a box of whole pixels, and the box [1, 1, 4]."""
    height, width = draw(sizes), draw(sizes)
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x2, y2 = draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[0, y1:y2, x1:x2] = True
    return mask, torch.tensor([[[x1, y1, x2, y2]]], dtype=torch.float64)


def box_of(mask: torch.Tensor) -> torch.Tensor:
    """The box around the true pixels; torchvision's counts the last pixel, not its far edge."""
    return ops.masks_to_boxes(mask).double() + torch.tensor([0.0, 0.0, 1.0, 1.0])


# ----------------------------------------------------------------------------------------- mirrors


@pytest.mark.parametrize("vertical", [False, True])
def test_flip_is_torchvision_s_where_chosen(vertical):
    images, chosen = photos(4), torch.tensor([True, False, False, True])
    mirror = peer.vertical_flip if vertical else peer.horizontal_flip
    expected = [mirror(x) if c else x for x, c in zip(images, chosen, strict=True)]
    assert flip(images, chosen, vertical=vertical).equal(torch.stack(expected))


@given(a_mask_with_its_box(), st.booleans(), st.booleans())
def test_boxes_after_a_flip_are_the_boxes_of_the_flipped_mask(pair, vertical, chosen):
    mask, boxes = pair
    coin = torch.tensor([chosen])
    mirrored = flip(mask, coin, vertical=vertical)
    size = mask.shape[1 if vertical else 2]
    moved = flip_boxes(boxes, coin, size, vertical=vertical)
    assert moved[0].equal(box_of(mirrored))
    assert flip(mirrored, coin, vertical=vertical).equal(mask)
    assert flip_boxes(moved, coin, size, vertical=vertical).equal(boxes)


def test_random_flip_mirrors_about_the_share_it_is_told():
    images = photos(2).repeat(500, 1, 1, 1)
    result = random_flip(images, generator(), probability=0.3)
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    assert ((result == images).flatten(1).all(1) | mirrored).all()
    assert stats.binomtest(int(mirrored.sum()), 1000, 0.3).pvalue > 1e-3


# ----------------------------------------------------------------------------------------- windows


def test_crop_is_torchvision_s_one_by_one():
    images = photos(5)
    top, left = torch.tensor([0, 3, 14, 7, 1]), torch.tensor([0, 18, 2, 9, 5])
    expected = [
        peer.crop(x, int(t), int(c), 10, 13) for x, t, c in zip(images, top, left, strict=True)
    ]
    assert crop(images, top, left, (10, 13)).equal(torch.stack(expected))


@given(a_mask_with_its_box(), st.data())
def test_boxes_after_a_crop_are_the_boxes_of_the_cropped_mask(pair, data):
    mask, boxes = pair
    height, width = mask.shape[1:]
    h, w = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    top = torch.tensor([data.draw(st.integers(0, height - h))])
    left = torch.tensor([data.draw(st.integers(0, width - w))])
    window = crop(mask[:, None], top, left, (h, w))[:, 0]
    moved = crop_boxes(boxes, top, left, (h, w))
    if window.any():
        assert moved[0].equal(box_of(window))
    else:
        assert ops.box_area(moved[0]) == 0


@settings(max_examples=30)
@given(sizes, sizes, st.integers(0, 5), st.integers(0, 2**31))
def test_random_crop_is_a_shift_of_the_padded_image(height, width, padding, seed):
    images = photos(3, height, width)
    result = random_crop(images, generator(seed), padding=padding)
    assert result.shape == images.shape
    for x, y in zip(images, result, strict=True):
        padded = peer.pad(x, [padding])
        assert any(
            y.equal(padded[:, i : i + height, j : j + width])
            for i in range(2 * padding + 1)
            for j in range(2 * padding + 1)
        )


def test_all_shifts_are_equally_likely():
    dot = torch.zeros(4000, 1, 7, 7)
    dot[:, :, 3, 3] = 1
    places = random_crop(dot, generator(), padding=2).flatten(1).argmax(1)
    counts = places.unique(return_counts=True)[1]
    assert len(counts) == 25
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


# --------------------------------------------------------------------------------------- bad input


def test_what_is_wrong_is_named():
    images, none = photos(2), torch.zeros(2, dtype=torch.int64)
    broken = images.clone()
    broken[1, 2, 3, 4] = float("nan")
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\], got nan at \[1, 2, 3, 4\]"):
        random_flip(broken, generator())
    with pytest.raises(ValueError, match=r"got shape \[2, 3, 0, 31\]"):
        random_crop(images[:, :, :0], generator(), padding=1)
    with pytest.raises(ValueError, match=r"got shape \[3, 24, 31\]"):
        random_flip(images[0], generator())
    with pytest.raises(ValueError, match=r"torch\.uint8"):
        random_flip((images * 255).byte(), generator())
    with pytest.raises(ValueError, match="padding must be a whole number ≥ 0, got -1"):
        random_crop(images, generator(), padding=-1)
    with pytest.raises(ValueError, match="a window of 25×3 does not fit into 24×31"):
        crop(images, none, none, (25, 3))
    with pytest.raises(ValueError, match=r"left must be in \[0, 1\], got 2 at \[1\]"):
        crop(images, none, torch.tensor([0, 2]), (4, 30))
    with pytest.raises(ValueError, match=r"x1 ≤ x2 and y1 ≤ y2, got .5.0, 0.0, 3.0, 2.0. in row"):
        flip_boxes(torch.tensor([[[5.0, 0, 3, 2]]]), torch.tensor([True]), 10)
    with pytest.raises(ValueError, match=r"chosen must have shape \[2\], got \[3\]"):
        flip(images, torch.ones(3, dtype=torch.bool))
