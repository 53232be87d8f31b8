"""Posterize, solarize, autocontrast, equalize and sharpness against torchvision and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional as peer

from d2lcompanion.vision.tone import (
    adjust_sharpness,
    autocontrast,
    equalize,
    posterize,
    solarize,
)
from tests.vision.pictures import photo_bytes, photos


def one_by_one(function, images, values):
    return torch.stack([function(x, v) for x, v in zip(images, values, strict=True)])


@pytest.mark.parametrize("channels", [1, 3])
def test_posterize_is_torchvision_s_on_floats_and_on_bytes(channels):
    images, bits = photos(8, channels=channels), torch.arange(1, 9)
    result = posterize(images, bits)
    assert result.equal(one_by_one(peer.posterize, images, bits.tolist()))
    masked = one_by_one(peer.posterize, photo_bytes(8, channels=channels), bits.tolist())
    levels = photo_bytes(8, channels=channels).double() / 256
    assert posterize(levels, bits).equal(masked.double() / 256)  # bytes are 256ths here
    for x, b in zip(result, bits.tolist(), strict=True):
        assert x.unique().numel() <= 2**b


def test_solarize_is_torchvision_s():
    images, thresholds = photos(4), [0.0, 0.3, 0.77, 1.0]
    result = solarize(images, torch.tensor(thresholds))
    torch.testing.assert_close(result, one_by_one(peer.solarize, images, thresholds))


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_is_torchvision_s_and_leaves_plain_channels(channels):
    images = photos(4, channels=channels) * 0.6 + 0.1
    images[2, 0] = 0.25
    torch.testing.assert_close(autocontrast(images), peer.autocontrast(images))
    assert autocontrast(images)[2, 0].eq(0.25).all()


@pytest.mark.parametrize("shape", [(24, 31), (3, 5), (70, 80)])
def test_equalize_is_torchvision_s_and_pillow_s_on_bytes(shape):
    """3×5 pixels are too few for a step: unchanged. A plain picture too."""
    images = photo_bytes(5, *shape)
    images[3] = 90
    result = (equalize(images.double() / 255) * 255).round().byte()
    assert result.equal(peer.equalize(images))
    for before, after in zip(images, result, strict=True):
        picture = Image.fromarray(before.permute(1, 2, 0).numpy())
        assert np.array_equal(np.asarray(ImageOps.equalize(picture)), after.permute(1, 2, 0))


def test_equalize_on_floats_is_torchvision_s():
    images = photos(3, dtype=torch.float32)
    torch.testing.assert_close(equalize(images), peer.equalize(images))
    assert equalize(images.double()).dtype == torch.float64


@pytest.mark.parametrize("shape", [(24, 31), (3, 3), (2, 9), (9, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_sharpness_is_torchvision_s(channels, shape):
    images, factors = photos(4, *shape, channels=channels), [0.0, 0.5, 1.0, 1.9]
    before = images.clone()
    result = adjust_sharpness(images, torch.tensor(factors))
    torch.testing.assert_close(result, one_by_one(peer.adjust_sharpness, images, factors))
    assert images.equal(before)


def test_what_is_wrong_is_named():
    images, one = photos(2), torch.ones(2)
    with pytest.raises(ValueError, match=r"bits must be in \[1, 8\], got 9 at \[1\]"):
        posterize(images, torch.tensor([3, 9]))
    with pytest.raises(ValueError, match=r"threshold must be in \[0, 1\], got 2"):
        solarize(images, 2 * one)
    with pytest.raises(ValueError, match=r"factor must be in \[0, inf\], got -1"):
        adjust_sharpness(images, -one)
    for function in (autocontrast, equalize):
        with pytest.raises(ValueError, match=r"images must be in \[0, 1\], got 2"):
            function(images + 2)
        with pytest.raises(ValueError, match=r"got shape \[0, 3, 24, 31\]"):
            function(images[:0])
