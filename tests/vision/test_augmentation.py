"""Composition: the draws in order, one seed one result, and images that do not share a fate."""

from functools import partial

import pytest
import torch
from scipy import stats
from torchvision import ops

from d2lcompanion.vision import draws
from d2lcompanion.vision.augmentation import choose_one, compose, sometimes
from d2lcompanion.vision.colour import random_color_jitter
from d2lcompanion.vision.geometric import (
    crop,
    crop_boxes,
    flip,
    flip_boxes,
    random_crop,
    random_flip,
)
from d2lcompanion.vision.mixing import random_erase
from d2lcompanion.vision.rand_augment import random_augment
from d2lcompanion.vision.resized_crop import random_resized_crop
from d2lcompanion.vision.warping import draw_affine, random_affine, warp, warp_boxes
from tests.vision.pictures import generator, photos

ALL = [
    random_flip,
    partial(random_crop, padding=4),
    random_resized_crop,
    partial(random_affine, degrees=20, scale=1.2),
    random_color_jitter,
    random_augment,
    partial(random_erase, probability=1),
]


def invert(images, generator):
    return 1 - images


def test_compose_calls_one_after_the_other_with_one_generator():
    images, random = photos(6), generator(5)
    expected = images
    for transform in ALL:
        expected = transform(expected, random)
    assert compose(*ALL)(images, generator(5)).equal(expected)
    assert compose()(images, generator()) is images


@pytest.mark.parametrize("transform", ALL)
def test_every_transform_repeats_leaves_its_input_and_treats_images_differently(transform):
    images = photos(1).repeat(32, 1, 1, 1)
    before = images.clone()
    result = transform(images, generator(1))
    assert result.equal(transform(images, generator(1)))
    assert not result.equal(transform(images, generator(2)))
    assert images.equal(before)
    assert len(result.flatten(1).unique(dim=0)) > 1
    assert result.shape == images.shape
    assert 0 <= result.min() <= result.max() <= 1.00001


@pytest.mark.parametrize("transform", ALL)
def test_double_precision_follows_the_images(transform):
    images = photos(8, dtype=torch.float64)
    result = transform(images, generator(1))
    assert result.dtype == torch.float64


def test_sometimes_leaves_the_others_as_they_are():
    images = photos(2).repeat(500, 1, 1, 1)
    result = sometimes(invert, 0.2)(images, generator())
    changed = (result == 1 - images).flatten(1).all(1)
    assert (changed | (result == images).flatten(1).all(1)).all()
    assert stats.binomtest(int(changed.sum()), 1000, 0.2).pvalue > 1e-3
    with pytest.raises(ValueError, match=r"probability must be in \[0, 1\], got 7"):
        sometimes(invert, 7)(images, generator())


def test_choose_one_takes_each_as_often():
    images = torch.full((3000, 1, 1, 1), 0.25)
    third = lambda x, generator: x / 2  # noqa: E731
    result = choose_one(invert, third, compose())(images, generator()).flatten()
    counts = [int((result == value).sum()) for value in (0.75, 0.125, 0.25)]
    assert sum(counts) == 3000
    assert stats.chisquare(counts).pvalue > 1e-3
    with pytest.raises(ValueError, match="at least one"):
        choose_one()


def test_a_picture_its_mask_and_its_box_share_one_draw():
    """Mirror, window, map: the box stays around the mask, which stays on the bright object."""
    images = torch.zeros(40, 1, 48, 64)
    images[:, :, 18:30, 24:44] = 1
    boxes = torch.tensor([[[24.0, 18, 44, 30]]]).repeat(40, 1, 1)
    random = generator(4)
    masks = images.clone()
    chosen = draws.coins(images, random, 0.5)
    images, masks = flip(images, chosen), flip(masks, chosen)
    boxes = flip_boxes(boxes, chosen, 64)
    top, left = draws.integers(images, random, 9), draws.integers(images, random, 9)
    images, masks = crop(images, top, left, (40, 56)), crop(masks, top, left, (40, 56))
    boxes = crop_boxes(boxes, top, left, (40, 56))
    maps = draw_affine(images, random, degrees=25, shift=0.05, scale=1.2)
    images, masks = warp(images, maps), warp(masks, maps, mode="nearest")
    boxes = warp_boxes(boxes, maps, (40, 56))
    assert masks.unique().tolist() == [0, 1]
    assert ((images > 0.5) == (masks > 0.5)).float().mean() > 0.99
    bright = masks[:, 0] > 0.5
    around = ops.masks_to_boxes(bright) + torch.tensor([0.0, 0, 1, 1])
    gap = (around - boxes[:, 0]) * torch.tensor([1.0, 1, -1, -1])
    assert gap.min() > -0.51  # half a pixel: the mask's edge is at pixels
    assert gap.max() < 2  # the tip of a corner may miss every pixel's centre
