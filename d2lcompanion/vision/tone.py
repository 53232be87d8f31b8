"""Curves of brightness: posterize, solarize, autocontrast, equalize; and sharpness.

Pictures are [N, C, H, W] with pixels in [0, 1]; each channel by itself; a new tensor.
"""

import math

import torch
from torch import Tensor

from d2lcompanion.vision.checks import require_pixels, require_range, require_shape

LEVELS = 256  # of `equalize`


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """x ← min(⌊2ᵇ x⌋, 2ᵇ − 1) / 2ᵇ: only 2ᵇ levels remain.

    On bytes one masks the low bits of v instead, which is this with v / 256 for x.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        bits: [N] b, whole numbers in 1 … 8.
    """
    require_pixels("images", images)
    require_shape("bits", bits, images.shape[:1])
    require_range("bits", bits, 1, 8)
    levels = torch.exp2(bits.to(images.dtype))[:, None, None, None]
    return torch.minimum((images * levels).floor_(), levels - 1).div_(levels)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """x ← 1 − x where x ≥ threshold: what is bright turns dark.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        threshold: [N] in [0, 1].
    """
    require_pixels("images", images)
    require_shape("threshold", threshold, images.shape[:1])
    require_range("threshold", threshold, 0, 1)
    bright = images >= threshold[:, None, None, None]
    return torch.where(bright, 1 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """x ← (x − min) / (max − min), of each channel; a plain channel stays.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
    """
    require_pixels("images", images)
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    plain = low == high
    low, span = torch.where(plain, 0, low), torch.where(plain, 1, high - low)
    return (images - low).div_(span).clamp_(0, 1)


def equalize(images: Tensor) -> Tensor:
    """Levels spread so that they become about equally frequent, in each channel.

    Pixels are bytes v = ⌊255.999 x⌋. With c(v) pixels below v, and s = ⌊(all − those
    of the brightest level that occurs) / 255⌋,

        v ← min(⌊(c(v) + ⌊s/2⌋) / s⌋, 255)        and unchanged if s = 0

    the integers of Pillow and of torchvision, whole levels only. The result is v / 255.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
    """
    require_pixels("images", images)
    byte = (images * (LEVELS - 1e-3)).to(torch.int64).flatten(2)  # [N, C, HW]
    counts = byte.new_zeros((*byte.shape[:2], LEVELS))
    counts.scatter_add_(2, byte, byte.new_ones(1).expand_as(byte))
    step = (byte.shape[2] - _count_of_brightest(counts)) // (LEVELS - 1)
    below = counts.cumsum(2) - counts
    curve = ((below + step // 2) // step.clamp(min=1)).clamp_(max=LEVELS - 1)
    same = torch.arange(LEVELS, device=images.device)
    table = torch.where(step > 0, curve, same).to(images.dtype) / (LEVELS - 1)
    return table.gather(2, byte).view_as(images)


def _count_of_brightest(counts: Tensor) -> Tensor:
    """Of [..., levels], how many pixels have the highest level that occurs: [..., 1]."""
    levels = torch.arange(counts.shape[-1], device=counts.device)
    highest = torch.where(counts > 0, levels, 0).amax(-1, keepdim=True)
    return counts.gather(-1, highest)


def adjust_sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """x ← clip(f x + (1 − f) smooth): 0 is blurred, 1 nothing, 2 sharpened.

    `smooth` is the mean of 3×3 pixels with weight 5 in the middle, of 13 in all; the
    pixels at the edge stay as they are, and so does a picture less than 3 high or wide.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        factor: [N] f ≥ 0.
    """
    require_pixels("images", images)
    require_shape("factor", factor, images.shape[:1])
    require_range("factor", factor, 0, math.inf)
    if min(images.shape[2:]) < 3:
        return images.clone()
    three = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    smooth = three[..., :-2] + three[..., 1:-1] + three[..., 2:]
    smooth = smooth.add_(images[:, :, 1:-1, 1:-1], alpha=4).div_(13)
    f = factor.to(images.dtype)[:, None, None, None]
    result = images.clone()
    inner = result[:, :, 1:-1, 1:-1]
    inner.mul_(f).add_(smooth.mul_(1 - f)).clamp_(0, 1)
    return result
