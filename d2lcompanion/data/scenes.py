"""Scenes: cut-outs laid on surfaces at random, with exact boxes and masks.

A box is (x1, y1, x2, y2) in fractions of the picture, the smallest around the object's
mask, also where another object covers a part of it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from d2lcompanion.data.cutouts import Cutout

TRIES = 20  # places tried before an object is left out


class SceneParts(NamedTuple):
    """What scenes are made of: cut-outs of each class, and surfaces [H, W] in [0, 1]."""

    objects: Sequence[Sequence[Cutout]]
    surfaces: Sequence[Tensor]


class SceneOptions(NamedTuple):
    """How scenes are made.

    Attributes:
        side: pixels of the square picture.
        objects: the least and the largest number of objects.
        sizes: smallest and largest √(width · height) of an object, over the side.
        stretch: width/height of a cut-out changes by a factor in [1/stretch, stretch].
        overlap: two boxes never have a larger IoU.
    """

    side: int = 96
    objects: tuple[int, int] = (1, 4)
    sizes: tuple[float, float] = (0.18, 0.42)
    stretch: float = 1.3
    overlap: float = 0.1


class Scenes(NamedTuple):
    """n scenes with at most M objects each.

    images [n, 1, S, S]: float32 in [0, 1]. labels [n, M, 5]: (class, x1, y1, x2, y2) in
    fractions, −1 in rows of padding. owners [n, S, S]: the row of the object that is seen
    in a pixel, −1 for the surface.
    """

    images: Tensor
    labels: Tensor
    owners: Tensor


def make_scenes(
    parts: SceneParts, options: SceneOptions, count: int, generator: torch.Generator
) -> Scenes:
    """Lay objects on surfaces at random places, in random sizes and brightness.

    Class and cut-out are drawn uniformly; an object may be mirrored, and lies wholly
    inside. One for which 20 places were tried in vain is left out.

    Args:
        parts: at least one cut-out of each class, at least one surface.
        options: how.
        count: n ≥ 0.
        generator: on the CPU; the only source of chance.
    Raises:
        ValueError: if a part is missing, a surface is smaller than a scene, or an option
            is out of range; names it.
    """
    _require_parts(parts, options)
    _require_options(options, count)
    side = options.side
    images = torch.empty(count, 1, side, side)
    labels = torch.full((count, options.objects[1], 5), -1.0)
    owners = torch.full((count, side, side), -1)
    for k in range(count):
        images[k, 0] = _ground(parts.surfaces, side, generator)
        wanted = _whole(*options.objects, generator)
        row = 0
        for _ in range(wanted):
            row += _lay(
                parts, options, images[k, 0], labels[k], owners[k], row, generator
            )
    return Scenes(images, labels, owners)


def _ground(
    surfaces: Sequence[Tensor], side: int, generator: torch.Generator
) -> Tensor:
    """[side, side]: a square of a surface, enlarged at most to its double, turned, dimmed."""
    surface = surfaces[_whole(0, len(surfaces) - 1, generator)]
    edge = _whole(math.ceil(side / 2), min(*surface.shape, 2 * side), generator)
    top, left = (_whole(0, length - edge, generator) for length in surface.shape)
    square = torch.rot90(
        surface[top : top + edge, left : left + edge], _whole(0, 3, generator)
    )
    return (_resized(square, side, side) * _between(0.7, 1.2, generator)).clamp(0, 1)


def _lay(
    parts: SceneParts,
    options: SceneOptions,
    image: Tensor,
    labels: Tensor,
    owners: Tensor,
    row: int,
    generator: torch.Generator,
) -> int:
    """Draw one object into the picture, its label and its mask; 0 if no place was found."""
    side = options.side
    label = _whole(0, len(parts.objects) - 1, generator)
    cutout = parts.objects[label][_whole(0, len(parts.objects[label]) - 1, generator)]
    pixels, alpha = _shaped(cutout, options, generator)
    mask = alpha > 0.5
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    inner = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    height, width = pixels.shape
    for _ in range(TRIES):
        x, y = _whole(0, side - width, generator), _whole(0, side - height, generator)
        box = (inner + torch.tensor([x, y, x, y])) / side
        if _largest_iou(box, labels[:row, 1:]) > options.overlap:
            continue
        place = slice(y, y + height), slice(x, x + width)
        image[place] += alpha * (pixels - image[place])
        owners[place][mask] = row
        labels[row, 0], labels[row, 1:] = label, box
        return 1
    return 0


def _shaped(
    cutout: Cutout, options: SceneOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pixels and mask of a cut-out, both [h, w] in [0, 1]: sized, stretched, mirrored, dimmed."""
    height, width = cutout.mask.shape
    aspect = width / height * options.stretch ** _between(-1, 1, generator)
    size = options.side * _between(*options.sizes, generator)
    shape = [
        min(max(2, round(size * root)), options.side)
        for root in (aspect**-0.5, aspect**0.5)
    ]
    pixels, alpha = (_resized(x.float(), *shape) for x in cutout)
    if _whole(0, 1, generator):
        pixels, alpha = pixels.flip(1), alpha.flip(1)
    return (pixels * _between(0.7, 1.2, generator)).clamp(0, 1), alpha.clamp(0, 1)


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    return interpolate(
        x[None, None],
        (height, width),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )[0, 0]


def _largest_iou(box: Tensor, others: Tensor) -> float:
    if len(others) == 0:
        return 0.0
    low, high = (
        torch.maximum(box[:2], others[:, :2]),
        torch.minimum(box[2:], others[:, 2:]),
    )
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (box, others)]
    return float((both / (areas[0] + areas[1] - both)).max())


def _whole(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


# ------------------------------------------------------------------------------------------ checks


def _require_parts(parts: SceneParts, options: SceneOptions) -> None:
    if not parts.objects or not parts.surfaces:
        raise ValueError("scenes need at least one class of objects and one surface")
    for label, cutouts in enumerate(parts.objects):
        if not cutouts:
            raise ValueError(f"class {label} must have at least one cut-out, got none")
        for number, cutout in enumerate(cutouts):
            if cutout.pixels.shape != cutout.mask.shape or not bool(cutout.mask.any()):
                raise ValueError(
                    f"cut-out {number} of class {label} must have pixels and a mask of one "
                    f"shape that is not empty, got {list(cutout.pixels.shape)} and "
                    f"{list(cutout.mask.shape)}"
                )
    for number, surface in enumerate(parts.surfaces):
        if surface.ndim != 2 or min(surface.shape) < options.side:
            raise ValueError(
                f"surface {number} must be [H, W] of at least {options.side} pixels a side, "
                f"got {list(surface.shape)}"
            )


def _require_options(options: SceneOptions, count: int) -> None:
    if count < 0 or options.side < 8:
        raise ValueError(
            f"count must be ≥ 0 and side ≥ 8, got {count} and {options.side}"
        )
    if not 0 <= options.objects[0] <= options.objects[1]:
        raise ValueError(f"objects must be 0 ≤ least ≤ largest, got {options.objects}")
    if not 0 < options.sizes[0] <= options.sizes[1] < 1:
        raise ValueError(
            f"sizes must be 0 < smallest ≤ largest < 1, got {options.sizes}"
        )
    if not 1 <= options.stretch <= 4 or not 0 <= options.overlap <= 1:
        raise ValueError(
            f"stretch must be in [1, 4] and overlap in [0, 1], got {options.stretch} and "
            f"{options.overlap}"
        )
