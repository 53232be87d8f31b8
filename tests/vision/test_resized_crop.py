"""Resized windows against torchvision's antialiased and plain bilinear resizing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision import ops
from torchvision.transforms.v2 import functional as peer

from d2lcompanion.vision.resized_crop import (
    draw_windows,
    random_resized_crop,
    resize_boxes,
    resized_crop,
)
from tests.vision.pictures import generator, photos

WINDOWS = torch.tensor([[0, 0, 31, 24], [3, 5, 20, 9], [30, 0, 31, 24], [7, 23, 9, 24]]).double()


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(24, 31), (7, 40), (5, 6), (1, 1), (60, 3)])
def test_it_is_torchvision_s_one_by_one(size, antialias):
    images = photos(4, dtype=torch.float64)
    expected = [
        peer.resized_crop(
            x, int(b), int(a), int(d - b), int(c - a), list(size), antialias=antialias
        )
        for x, (a, b, c, d) in zip(images, WINDOWS, strict=True)
    ]
    result = resized_crop(images, WINDOWS, size, antialias=antialias)
    torch.testing.assert_close(result, torch.stack(expected))


def test_the_whole_image_at_its_size_is_itself():
    images = photos(1)
    torch.testing.assert_close(resized_crop(images, WINDOWS[:1].float(), (24, 31)), images)


def test_a_ramp_stays_a_ramp_between_pixels():
    """A linear picture is interpolated without error; a window may begin between pixels."""
    ramp = (torch.arange(20).double() + 0.5).expand(1, 1, 6, 20)
    result = resized_crop(ramp, torch.tensor([[3.25, 1.5, 9.25, 4.0]]).double(), (4, 12))
    expected = 3.25 + (torch.arange(12).double() + 0.5) / 2
    inner = (expected > 3.5) & (expected < 9.5)
    assert inner.sum() >= 11
    torch.testing.assert_close(result[0, 0, 2][inner], expected[inner])


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**31))
def test_windows_lie_inside_and_are_not_empty(height, width, seed):
    images = torch.zeros(20, 1, height, width)
    x1, y1, x2, y2 = draw_windows(images, generator(seed), area=(0.05, 1), ratio=2).unbind(1)
    for low, high, most in ((x1, x2, width), (y1, y2, height)):
        assert (low >= 0).all()
        assert (low < high).all()
        assert (high <= most).all()
        assert low.frac().eq(0).all()
        assert high.frac().eq(0).all()


def test_shares_and_proportions_are_the_stated_law():
    images = torch.zeros(5000, 1, 1000, 1000)[:, :, :1, :1].expand(-1, -1, 1000, 1000)
    x1, y1, x2, y2 = draw_windows(images, generator(), area=(0.1, 0.5), ratio=2).unbind(1)
    share = ((x2 - x1) * (y2 - y1) / 1e6).numpy()
    stretch = ((x2 - x1) / (y2 - y1)).log2().numpy()
    assert stats.kstest(share, stats.uniform(0.1, 0.4).cdf).pvalue > 1e-3
    assert stats.kstest(stretch, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    place = (x1 / (1000 - (x2 - x1))).numpy()
    assert stats.kstest(place, stats.uniform().cdf).pvalue > 1e-3


def test_boxes_go_with_the_picture():
    """A bright box enlarged four times: its box is where the resized picture is bright."""
    images = torch.zeros(2, 1, 30, 40)
    images[:, :, 10:16, 12:21] = 1
    boxes = torch.tensor([[[12.0, 10, 21, 16]]]).repeat(2, 1, 1)
    windows = torch.tensor([[8.0, 4, 28, 24], [14, 2, 34, 22]])
    bright = resized_crop(images, windows, (80, 80))[:, 0] > 0.5
    found = ops.masks_to_boxes(bright) + torch.tensor([0.0, 0, 1, 1])
    assert resize_boxes(boxes, windows, (80, 80))[:, 0].equal(found)
    outside = resize_boxes(boxes[:1], torch.tensor([[30.0, 0, 40, 5]]), (8, 8))
    assert ops.box_area(outside[0]) == 0


def test_random_resized_crop_keeps_or_changes_the_size():
    images = photos(3)
    assert random_resized_crop(images, generator()).shape == images.shape
    result = random_resized_crop(images, generator(), size=(9, 8))
    windows = draw_windows(images, generator())
    assert result.equal(resized_crop(images, windows, (9, 8)))
    assert result.dtype == images.dtype


def test_what_is_wrong_is_named():
    images = photos(1)
    with pytest.raises(ValueError, match="x1 < x2 and y1 < y2"):
        resized_crop(images, torch.tensor([[4.0, 0, 4, 8]]), (5, 5))
    with pytest.raises(ValueError, match=r"x2 of windows must be in \[0, 31\], got 32"):
        resized_crop(images, torch.tensor([[4.0, 0, 32, 8]]), (5, 5))
    with pytest.raises(ValueError, match="size: width must be a whole number ≥ 1, got 0"):
        resized_crop(images, torch.tensor([[4.0, 0, 30, 8]]), (5, 0))
    for area, ratio in (((0.0, 1.0), 2), ((0.5, 0.4), 2), ((0.5, 1.1), 2), ((0.1, 1.0), 0.5)):
        with pytest.raises(ValueError, match="area must be"):
            draw_windows(images, generator(), area=area, ratio=ratio)
