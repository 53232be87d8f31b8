"""Brightness, contrast, saturation and hue, each image of a batch by its own factor.

All but hue are one formula: a picture is pulled towards a plain one, or pushed away,
x ← clip(f x + (1 − f) plain), with black, its mean grey, or its grey picture as the plain.
Factor 1 changes nothing; 0 gives the plain picture. Formulas are those of torchvision.

Pictures are [N, C, H, W] with pixels in [0, 1] and C 1 or 3; each result is a new tensor.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from d2lcompanion.vision import draws
from d2lcompanion.vision.checks import require_pixels, require_range, require_shape

_Step: TypeAlias = Callable[[Tensor, Tensor], Tensor]

# ITU-R BT.601 luma: how bright an eye finds red, green and blue on a screen.
LUMA = (0.2989, 0.587, 0.114)
# Images are changed this many numbers at a time: what lies between two formulas stays in
# a processor's cache. It changes no result.
BLOCK = 200_000

# ----------------------------------------------------------------------------------------- factors


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """x ← clip(f x).

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        factor: [N] f ≥ 0.
    """
    return _checked(images, factor, _brightness)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """x ← clip(f x + (1 − f) m), m the mean of the grey picture.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        factor: [N] f ≥ 0.
    """
    return _checked(images, factor, _contrast)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """x ← clip(f x + (1 − f) g), g the grey picture; nothing for one channel.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        factor: [N] f ≥ 0.
    """
    return _checked(images, factor, _saturation)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """The colours turned around the wheel; nothing for one channel.

    With V the largest and Δ the largest less the smallest of (R, G, B), hue is where
    on a hexagon of six colours the pixel lies,

        h = (G − B)/Δ, 2 + (B − R)/Δ or 4 + (R − G)/Δ        if V is R, G or B

    and a colour is V − Δ clip(min(k, 4 − k), 0, 1), k = (n + h) mod 6, with n = 5, 3, 1
    for R, G, B. Here h ← h + 6 turn, with V and Δ as they were.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        turn: [N] in [−½, ½], of a full turn.
    """
    require_pixels("images", images, (1, 3))
    require_shape("turn", turn, images.shape[:1])
    require_range("turn", turn, -0.5, 0.5)
    return _blocks(images, [(_hue, turn)])


def grayscale(images: Tensor) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B, in as many channels as before.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
    """
    require_pixels("images", images, (1, 3))
    return _gray(images).expand_as(images).clone()


# ------------------------------------------------------------------------------------------ jitter


def color_jitter(
    images: Tensor,
    *,
    brightness: Tensor,
    contrast: Tensor,
    saturation: Tensor,
    hue: Tensor,
) -> Tensor:
    """The four, in this order, clipping after each.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        brightness, contrast, saturation: [N] ≥ 0.
        hue: [N] in [−½, ½].
    """
    require_pixels("images", images, (1, 3))
    require_shape("hue", hue, images.shape[:1])
    require_range("hue", hue, -0.5, 0.5)
    steps = [
        (_brightness, brightness),
        (_contrast, contrast),
        (_saturation, saturation),
    ]
    for step, factor in steps:
        require_shape(step.__name__[1:], factor, images.shape[:1])
        require_range(step.__name__[1:], factor, 0, math.inf)
    return _blocks(images, [*steps, (_hue, hue)])


def random_color_jitter(
    images: Tensor,
    generator: torch.Generator,
    *,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
) -> Tensor:
    """`color_jitter` with factors uniform in 1 ± strength, and hue in ± hue.

    torchvision also draws the order of the four; here it is fixed.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        brightness, contrast, saturation: in [0, 1]. hue: in [0, ½]. 0 leaves it out.
    """
    require_pixels("images", images, (1, 3))
    strengths = (brightness, contrast, saturation, hue)
    for name, value, most in zip(
        ("brightness", "contrast", "saturation", "hue"),
        strengths,
        (1, 1, 1, 0.5),
        strict=True,
    ):
        if not 0 <= value <= most:
            raise ValueError(f"{name} must be in [0, {most}], got {value}")
    steps = [
        (step, middle + draws.uniform(images, generator, -strength, strength))
        for step, middle, strength in zip(
            (_brightness, _contrast, _saturation, _hue),
            (1, 1, 1, 0),
            strengths,
            strict=True,
        )
        if strength > 0
    ]
    return _blocks(images, steps)


def random_grayscale(
    images: Tensor, generator: torch.Generator, *, probability: float = 0.1
) -> Tensor:
    """`grayscale` for each image with the given probability."""
    chosen = draws.coins(images, generator, probability)
    return torch.where(chosen[:, None, None, None], grayscale(images), images)


# ---------------------------------------------------------------------------------------- formulas


def _checked(images: Tensor, factor: Tensor, step: _Step) -> Tensor:
    require_pixels("images", images, (1, 3))
    require_shape("factor", factor, images.shape[:1])
    require_range("factor", factor, 0, math.inf)
    return _blocks(images, [(step, factor)])


def _blocks(images: Tensor, steps: Sequence[tuple[_Step, Tensor]]) -> Tensor:
    """One step after the other, on a few images at a time; a GPU takes all at once."""
    on_cpu = images.device.type == "cpu"
    count = max(1, BLOCK // images[0].numel()) if on_cpu else len(images)
    done = []
    for start in range(0, len(images), count):
        block = images[start : start + count]
        for step, factor in steps:
            part = factor[start : start + count].to(images.dtype)
            block = step(block, part[:, None, None, None])
        done.append(block)
    if not steps:
        return images.clone()
    return done[0] if len(done) == 1 else torch.cat(done)


def _gray(x: Tensor) -> Tensor:
    """[N, 1, H, W]."""
    if x.shape[1] == 1:
        return x
    red, green, blue = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _brightness(x: Tensor, factor: Tensor) -> Tensor:
    return (x * factor).clamp_(0, 1)


def _contrast(x: Tensor, factor: Tensor) -> Tensor:
    mean = _gray(x).mean((1, 2, 3), keepdim=True)
    return (x * factor).add_(mean * (1 - factor)).clamp_(0, 1)


def _saturation(x: Tensor, factor: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x.clone()
    return (x * factor).add_(_gray(x) * (1 - factor)).clamp_(0, 1)


def _hue(x: Tensor, turn: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x.clone()
    red, green, blue = x.unbind(1)
    value = x.amax(1)
    delta = value - x.amin(1)
    per = 1 / torch.where(delta > 0, delta, 1)  # grey: all differences are 0
    h = torch.where(
        value == green, (blue - red).mul_(per).add_(2), (red - green).mul_(per).add_(4)
    )
    h = torch.where(value == red, (green - blue).mul_(per), h).add_(6 * turn[:, 0])
    out = torch.empty_like(x)
    for channel, n in enumerate((5, 3, 1)):
        k = (h + n).remainder_(6)
        share = torch.minimum(k, 4 - k).clamp_(0, 1)
        torch.addcmul(value, delta, share, value=-1, out=out[:, channel])
    return out.clamp_(0, 1)
