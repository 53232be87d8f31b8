"""Colour against torchvision's float kernels, one image at a time, and by what must hold."""

import colorsys
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms.v2 import functional as peer

from d2lcompanion.vision import colour
from d2lcompanion.vision.colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    color_jitter,
    grayscale,
    random_color_jitter,
    random_grayscale,
)
from tests.vision.pictures import generator, photos

FACTORS = [0.0, 0.4, 1.0, 1.7]
PAIRS = {
    "brightness": (adjust_brightness, peer.adjust_brightness, FACTORS),
    "contrast": (adjust_contrast, peer.adjust_contrast, FACTORS),
    "saturation": (adjust_saturation, peer.adjust_saturation, FACTORS),
    "hue": (adjust_hue, peer.adjust_hue, [-0.5, -0.1, 0.0, 0.3]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PAIRS)
def test_each_is_torchvision_s_one_by_one(name, channels, dtype):
    ours, theirs, factors = PAIRS[name]
    images = photos(4, channels=channels, dtype=dtype)
    before = images.clone()
    expected = torch.stack([theirs(x, f) for x, f in zip(images, factors, strict=True)])
    result = ours(images, torch.tensor(factors, dtype=dtype))
    torch.testing.assert_close(result, expected, atol=2e-6, rtol=0)
    assert result.dtype == dtype
    assert images.equal(before)
    assert result.data_ptr() != images.data_ptr()


def test_hue_is_the_standard_library_s_pixel_by_pixel():
    grey_and_pure = [[0.5] * 3, [0.0] * 3, [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]]
    some = photos(1, 3, 3, dtype=torch.float64).flatten(2)[0].T.tolist()
    pixels = torch.tensor(grey_and_pure + some, dtype=torch.float64)
    for turn in (-0.37, 0.0, 0.21, 0.5):
        images = pixels.T.reshape(1, 3, 1, -1)
        result = adjust_hue(images, torch.tensor([turn], dtype=torch.float64))[0, :, 0].T
        for before, after in zip(pixels.tolist(), result.tolist(), strict=True):
            h, s, v = colorsys.rgb_to_hsv(*before)
            assert after == pytest.approx(colorsys.hsv_to_rgb((h + turn) % 1, s, v), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.5, 0.5), st.integers(0, 5))
def test_a_turn_of_hue_and_back_is_nothing(turn, which):
    images = photos(6, dtype=torch.float64)[which : which + 1]
    there = adjust_hue(images, torch.tensor([turn], dtype=torch.float64))
    torch.testing.assert_close(adjust_hue(there, torch.tensor([-turn]).double()), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_is_torchvision_s(channels):
    images = photos(3, channels=channels)
    expected = peer.rgb_to_grayscale(images, num_output_channels=channels)
    torch.testing.assert_close(grayscale(images), expected)


def test_jitter_is_the_four_one_after_the_other(monkeypatch):
    images = photos(4)
    factors = {name: torch.tensor(values) for name, (_, _, values) in PAIRS.items()}
    expected = images
    for name, factor in factors.items():
        expected = PAIRS[name][0](expected, factor)
    assert color_jitter(images, **factors).equal(expected)
    monkeypatch.setattr(colour, "BLOCK", 1)  # one image at a time
    assert color_jitter(images, **factors).equal(expected)


def test_factors_are_drawn_for_each_image_by_the_stated_law():
    plain = torch.full((4000, 1, 1, 1), 0.5)
    result = random_color_jitter(plain, generator(), brightness=0.4, contrast=0, saturation=0)
    factors = (result.flatten() / 0.5).numpy()
    assert stats.kstest(factors, stats.uniform(0.6, 0.8).cdf).pvalue > 1e-3
    red = torch.tensor([1.0, 0, 0])[:, None, None].repeat(4000, 1, 1, 1)
    turned = random_color_jitter(
        red, generator(), brightness=0, contrast=0, saturation=0, hue=1 / 12
    )  # green or blue comes in by 6 times the turn
    turns = ((turned[:, 1] - turned[:, 2]) / 6).flatten().numpy()
    assert stats.kstest(turns, stats.uniform(-1 / 12, 1 / 6).cdf).pvalue > 1e-3


def test_no_strength_changes_nothing():
    images = photos(2)
    result = random_color_jitter(images, generator(), brightness=0, contrast=0, saturation=0, hue=0)
    assert result.equal(images)
    assert result.data_ptr() != images.data_ptr()


def test_random_grayscale_greys_about_the_share_it_is_told():
    images = photos(1).repeat(1000, 1, 1, 1)
    result = random_grayscale(images, generator(), probability=0.2)
    grey = (result == grayscale(images)).flatten(1).all(1)
    assert (grey | (result == images).flatten(1).all(1)).all()
    assert stats.binomtest(int(grey.sum()), 1000, 0.2).pvalue > 1e-3


def test_what_is_wrong_is_named():
    images, one = photos(2), torch.ones(2)
    with pytest.raises(ValueError, match=r"images must have 1 or 3 channels, got 2"):
        adjust_hue(images[:, :2], 0 * one)
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\], got 255 at \[0, 0, 0, 0\]"):
        adjust_brightness(torch.full_like(images, 255), one)
    with pytest.raises(ValueError, match=r"factor must be in \[0, inf\], got -1 at \[1\]"):
        adjust_contrast(images, torch.tensor([1.0, -1]))
    with pytest.raises(ValueError, match="got nan"):
        adjust_saturation(images, one * math.nan)
    with pytest.raises(ValueError, match=r"turn must be in \[-0.5, 0.5\], got 0.6"):
        adjust_hue(images, 0.6 * one)
    with pytest.raises(ValueError, match=r"factor must have shape \[2\], got \[1\]"):
        adjust_brightness(images, one[:1])
    with pytest.raises(ValueError, match=r"contrast must be in \[0, inf\], got -1"):
        color_jitter(images, brightness=one, contrast=-one, saturation=one, hue=0 * one)
    with pytest.raises(ValueError, match=r"hue must be in \[0, 0.5\], got 0.7"):
        random_color_jitter(images, generator(), hue=0.7)
