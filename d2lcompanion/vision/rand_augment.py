"""RandAugment: a few operations drawn from fourteen for each image, at one strength.

Images that drew the same operation go through it together; the five geometric ones are
all matrices, and share one `warp`.
"""

import torch
from torch import Tensor

from d2lcompanion.vision import draws
from d2lcompanion.vision.checks import (
    require_at_least,
    require_pixels,
    require_range,
    require_shape,
)
from d2lcompanion.vision.colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
)
from d2lcompanion.vision.tone import (
    adjust_sharpness,
    autocontrast,
    equalize,
    posterize,
    solarize,
)
from d2lcompanion.vision.warping import affine_matrices, warp

# Names and strengths of torchvision's RandAugment, in its order.
OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "saturation",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
GEOMETRIC = OPERATIONS[1:6]
STRONGEST = 30  # the magnitude runs from 0, nothing, to 30


def random_augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    operations: int = 2,
    magnitude: int = 9,
) -> Tensor:
    """So many operations one after the other, each drawn uniformly for each image.

    Args:
        images: [N, C, H, W], pixels in [0, 1], C 1 or 3.
        operations: how many, ≥ 0.
        magnitude: 0 … 30, the strength of all.
    Returns:
        [N, C, H, W], a new tensor.
    Source:
        Cubuk, Zoph, Shlens & Le (2020).
    """
    require_at_least("operations", operations, 0)
    result = images
    for _ in range(operations):
        chosen = draws.integers(images, generator, len(OPERATIONS))
        sign = 1 - 2 * draws.integers(images, generator, 2)
        result = apply_operations(result, chosen, sign, magnitude)
    return result if operations else images.clone()


def apply_operations(
    images: Tensor, chosen: Tensor, sign: Tensor, magnitude: int
) -> Tensor:
    """One operation to each image.

    With m = magnitude / 30: shears have the slope ± 0.3 m, translations ± 150/331 m of
    the side in whole pixels, rotations ± 30 m degrees, brightness, saturation, contrast
    and sharpness the factor 1 ± 0.9 m; posterize keeps 8 − 4 m bits, rounded; solarize
    has the threshold 1 − m; the others know no strength. What comes in from outside is
    black. Pictures are interpolated (torchvision takes the nearest pixel by default).

    Args:
        images: [N, C, H, W], pixels in [0, 1], C 1 or 3.
        chosen: [N] int64, positions in OPERATIONS.
        sign: [N] −1 or 1, for those with ±.
        magnitude: 0 … 30.
    """
    require_pixels("images", images, (1, 3))
    for name, value in (("chosen", chosen), ("sign", sign)):
        require_shape(name, value, images.shape[:1])
    require_range("chosen", chosen, 0, len(OPERATIONS) - 1)
    require_range("sign", sign, -1, 1)
    require_at_least("magnitude", magnitude, 0)
    if magnitude > STRONGEST:
        raise ValueError(f"magnitude must be ≤ {STRONGEST}, got {magnitude}")
    result = images.clone()
    for names in (GEOMETRIC, *((name,) for name in OPERATIONS[6:])):
        rows = _rows(chosen, names)
        if len(rows) > 0:
            part = images.index_select(0, rows)
            if names is GEOMETRIC:
                matrices = _matrices(part, chosen[rows], sign[rows], magnitude)
                changed = warp(part, matrices)
            else:
                changed = _tone(names[0], part, sign[rows], magnitude)
            result.index_copy_(0, rows, changed)
    return result


def _rows(chosen: Tensor, names: tuple[str, ...]) -> Tensor:
    """The images that drew one of the names, which are neighbours in OPERATIONS."""
    first = OPERATIONS.index(names[0])
    return ((chosen >= first) & (chosen < first + len(names))).nonzero().flatten()


def _matrices(images: Tensor, chosen: Tensor, sign: Tensor, magnitude: int) -> Tensor:
    """[N, 2, 3]: shears leave the upper left corner where it is, rotations the middle."""
    m = magnitude / STRONGEST
    height, width = images.shape[2:]

    def only(name: str, value: float) -> Tensor:
        """± value for those who drew it, 0 for others."""
        return value * sign.to(images.dtype) * (chosen == OPERATIONS.index(name))

    zero, one = (
        torch.zeros_like(images[:, 0, 0, 0]),
        torch.ones_like(images[:, 0, 0, 0]),
    )
    turned = affine_matrices(
        (height, width),
        angle=only("rotate", -30 * m),
        shift=torch.stack([zero, zero], -1),
        scale=one,
        shear=torch.stack([zero, zero], -1),
    )
    across = only("translate_x", int(150 / 331 * width * m))
    down = only("translate_y", int(150 / 331 * height * m))
    slope_x, slope_y = only("shear_x", -0.3 * m), only("shear_y", -0.3 * m)
    change = torch.stack([zero, slope_x, across, slope_y, zero, down], -1)
    return turned + change.view(-1, 2, 3)


def _tone(name: str, images: Tensor, sign: Tensor, magnitude: int) -> Tensor:
    """One operation without geometry on all images."""
    m = magnitude / STRONGEST
    factor = 1 + 0.9 * m * sign.to(images.dtype)
    match name:
        case "brightness":
            return adjust_brightness(images, factor)
        case "saturation":
            return adjust_saturation(images, factor)
        case "contrast":
            return adjust_contrast(images, factor)
        case "sharpness":
            return adjust_sharpness(images, factor)
        case "posterize":
            return posterize(images, torch.full_like(sign, round(8 - 4 * m)))
        case "solarize":
            return solarize(images, torch.full_like(factor, 1 - m))
        case "autocontrast":
            return autocontrast(images)
        case _:
            return equalize(images)
