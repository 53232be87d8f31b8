"""Mirrors and windows: every image of a batch has its own.

What is drawn is a value of its own (which are mirrored, where the windows lie), so that a
picture, its masks and its boxes are changed by the same draw:

    chosen = draws.coins(images, generator, 0.5)
    images, masks = flip(images, chosen), flip(masks, chosen)
    boxes = flip_boxes(boxes, chosen, width)

`random_…` draws and changes pictures alone. Pixel (i, j) is the square from j to j + 1 in
x and i to i + 1 in y, as for boxes: what a window cuts is exact.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from d2lcompanion.vision import draws
from d2lcompanion.vision.boxes import clip_boxes
from d2lcompanion.vision.checks import (
    require_at_least,
    require_boxes,
    require_pixels,
    require_range,
    require_shape,
)

# ----------------------------------------------------------------------------------------- mirrors


def flip(x: Tensor, chosen: Tensor, *, vertical: bool = False) -> Tensor:
    """Left and right exchanged in the chosen ones; with `vertical`, top and bottom.

    Args:
        x: [N, ..., H, W] of any dtype: images, or masks.
        chosen: [N] booleans.
    Returns:
        The same shape, a new tensor.
    """
    require_shape("chosen", chosen, x.shape[:1])
    where = chosen.view(-1, *[1] * (x.ndim - 1))
    return torch.where(where, x.flip(-2 if vertical else -1), x)


def flip_boxes(
    boxes: Tensor, chosen: Tensor, size: float, *, vertical: bool = False
) -> Tensor:
    """(x1, x2) ← (W − x2, W − x1) in the chosen images: the boxes of the mirrored ones.

    Args:
        boxes: [N, B, 4] (x1, y1, x2, y2).
        chosen: [N] booleans.
        size: W, with `vertical` H, in the unit of the boxes.
    Raises:
        ValueError: if a box is invalid; names the row.
    """
    require_boxes("boxes", boxes)
    require_shape("chosen", chosen, boxes.shape[:1])
    x1, y1, x2, y2 = boxes.unbind(-1)
    if vertical:
        mirrored = torch.stack([x1, size - y2, x2, size - y1], -1)
    else:
        mirrored = torch.stack([size - x2, y1, size - x1, y2], -1)
    return torch.where(chosen[:, None, None], mirrored, boxes)


def random_flip(
    images: Tensor,
    generator: torch.Generator,
    *,
    probability: float = 0.5,
    vertical: bool = False,
) -> Tensor:
    """`flip` with a coin for each image.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        probability: in [0, 1].
    """
    require_pixels("images", images)
    chosen = draws.coins(images, generator, probability)
    return flip(images, chosen, vertical=vertical)


# ----------------------------------------------------------------------------------------- windows


def crop(x: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]) -> Tensor:
    """The window of each image whose upper left pixel is (top, left).

    Args:
        x: [N, C, H, W] of any dtype.
        top, left: [N] int64, 0 ≤ top ≤ H − h and 0 ≤ left ≤ W − w.
        size: (h, w).
    Returns:
        [N, C, h, w].
    Raises:
        ValueError: if a window is larger than the image or leaves it.
    """
    (height, width), (h, w) = x.shape[-2:], size
    if not (1 <= h <= height and 1 <= w <= width):
        raise ValueError(f"a window of {h}×{w} does not fit into {height}×{width}")
    for name, value, most in (("top", top, height - h), ("left", left, width - w)):
        require_shape(name, value, x.shape[:1])
        require_range(name, value, 0, most)
    windows = x.unfold(2, h, 1).unfold(3, w, 1)  # a view of all places, no copy
    n = torch.arange(len(x), device=x.device)
    return windows[n, :, top, left]


def crop_boxes(
    boxes: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]
) -> Tensor:
    """The part of each box inside the window, in the window's coordinates.

    A box outside becomes an empty one on the border: `box_area` tells which to drop.

    Args:
        boxes: [N, B, 4] (x1, y1, x2, y2) in pixels.
        top, left, size: as of `crop`; a window may lie partly outside.
    """
    require_boxes("boxes", boxes)
    for name, value in (("top", top), ("left", left)):
        require_shape(name, value, boxes.shape[:1])
    shift = torch.stack([left, top, left, top], -1)[:, None].to(boxes.dtype)
    return clip_boxes(boxes - shift, size)


def random_crop(images: Tensor, generator: torch.Generator, *, padding: int) -> Tensor:
    """`padding` black pixels on every side, then a window of the old size: a shift.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
        padding: ≥ 0; shifts of −padding … padding are equally likely, in x and in y.
    """
    require_pixels("images", images)
    require_at_least("padding", padding, 0)
    top = draws.integers(images, generator, 2 * padding + 1)
    left = draws.integers(images, generator, 2 * padding + 1)
    height, width = images.shape[-2:]
    return crop(pad(images, [padding] * 4), top, left, (height, width))
