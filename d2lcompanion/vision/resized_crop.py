"""Windows of pictures brought to one size, each image of a batch its own window.

The windows are boxes, (x1, y1, x2, y2) in pixels, so that `crop_boxes` and a scale carry
what is drawn on the picture along: see `resize_boxes`.
"""

import math

import torch
from torch import Tensor

from d2lcompanion.vision import draws
from d2lcompanion.vision.boxes import clip_boxes
from d2lcompanion.vision.checks import (
    require_at_least,
    require_boxes,
    require_images,
    require_pixels,
    require_range,
    require_shape,
)


def resized_crop(
    images: Tensor, windows: Tensor, size: tuple[int, int], *, antialias: bool = True
) -> Tensor:
    """Each window enlarged or reduced to one size, by a triangle filter.

    Resizing is linear, and rows and columns go one after the other: A x Bᵀ with

        A[i, j] ∝ max(0, 1 − |j + ½ − cᵢ| / r)        cᵢ = y1 + (i + ½) s,  s = (y2 − y1) / h

    rows summing to 1, only pixels of the window counting. r = max(s, 1) averages where
    a picture shrinks; without `antialias` r = 1, bilinear interpolation, which skips
    pixels there. Where it grows the two are the same.

    Args:
        images: [N, C, H, W].
        windows: [N, 4] (x1, y1, x2, y2) in pixels, inside the image, not empty. Sides
            between pixels are allowed; a pixel that is partly inside counts.
        size: (h, w) of the result.
    Returns:
        [N, C, h, w].
    Raises:
        ValueError: if a window is empty, invalid or leaves the image.
    """
    require_images("images", images)
    require_shape("windows", windows, (len(images), 4))
    require_boxes("windows", windows, positive=True)
    for name, value in zip(("height", "width"), size, strict=True):
        require_at_least(f"size: {name}", value, 1)
    height, width = images.shape[-2:]
    x1, y1, x2, y2 = windows.to(images.dtype).unbind(-1)
    for name, low, high, most in (("x", x1, x2, width), ("y", y1, y2, height)):
        require_range(f"{name}1 of windows", low, 0, most)
        require_range(f"{name}2 of windows", high, 0, most)
    rows = _triangles(y1, y2, height, size[0], antialias)
    columns = _triangles(x1, x2, width, size[1], antialias)
    return rows[:, None] @ images @ columns[:, None].mT


def _triangles(
    low: Tensor, high: Tensor, pixels: int, size: int, antialias: bool
) -> Tensor:
    """[N, size, pixels], the weights of a window from low to high along one side."""
    j = torch.arange(pixels, device=low.device, dtype=low.dtype)
    i = torch.arange(size, device=low.device, dtype=low.dtype)
    scale = ((high - low) / size)[:, None]
    center = low[:, None] + (i + 0.5) * scale
    reach = scale.clamp(min=1) if antialias else torch.ones_like(scale)
    distance = (j + 0.5 - center[..., None]).abs() / reach[..., None]
    inside = (j >= low.floor()[:, None]) & (j < high.ceil()[:, None])
    weights = (1 - distance).clamp(min=0) * inside[:, None]
    return weights / weights.sum(-1, keepdim=True)


def resize_boxes(boxes: Tensor, windows: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes after `resized_crop`: moved, stretched by w / (x2 − x1) …, and clipped.

    Args:
        boxes: [N, B, 4] (x1, y1, x2, y2) in pixels of the image.
        windows: [N, 4], not empty.
        size: (h, w) of the result.
    Returns:
        [N, B, 4] in pixels of the result; a box outside the window is empty.
    """
    require_boxes("boxes", boxes)
    require_boxes("windows", windows, positive=True)
    require_shape("windows", windows, (len(boxes), 4))
    origin = windows[:, :2].repeat(1, 2)[:, None]
    sides = (windows[:, 2:] - windows[:, :2]).repeat(1, 2)[:, None]
    target = boxes.new_tensor([size[1], size[0], size[1], size[0]])
    return clip_boxes((boxes - origin) * (target / sides), size)


def draw_windows(
    images: Tensor,
    generator: torch.Generator,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: float = 4 / 3,
) -> Tensor:
    """Random windows of whole pixels: [N, 4] (x1, y1, x2, y2).

    The share of the area is uniform, the logarithm of width : height uniform in
    ± log(ratio), the place uniform. A side is rounded, and cut to the image's where it
    would be longer (torchvision draws again, up to ten times).

    Raises:
        ValueError: unless 0 < low ≤ high ≤ 1 for the area and ratio ≥ 1.
    """
    require_images("images", images)
    low, high = area
    if not (0 < low <= high <= 1 and 1 <= ratio < math.inf):
        raise ValueError(
            f"area must be 0 < low ≤ high ≤ 1 and ratio ≥ 1, got {area} and {ratio}"
        )
    height, width = images.shape[-2:]
    share = draws.uniform(images, generator, low, high) * (height * width)
    stretch = ratio ** draws.uniform(images, generator, -1, 1)  # width : height
    w = (share * stretch).sqrt().round().clamp(1, width)
    h = (share / stretch).sqrt().round().clamp(1, height)
    x1 = (draws.uniform(images, generator) * (width - w + 1)).floor()
    y1 = (draws.uniform(images, generator) * (height - h + 1)).floor()
    x1, y1 = torch.minimum(x1, width - w), torch.minimum(y1, height - h)
    return torch.stack([x1, y1, x1 + w, y1 + h], -1)


def random_resized_crop(
    images: Tensor,
    generator: torch.Generator,
    *,
    size: tuple[int, int] | None = None,
    area: tuple[float, float] = (0.08, 1.0),
    ratio: float = 4 / 3,
) -> Tensor:
    """`resized_crop` of windows from `draw_windows`, by default to the images' own size.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
    """
    require_pixels("images", images)
    windows = draw_windows(images, generator, area=area, ratio=ratio)
    height, width = images.shape[-2:]
    return resized_crop(images, windows, size or (height, width))
