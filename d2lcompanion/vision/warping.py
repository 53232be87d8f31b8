"""Affine maps of pictures: rotation, scale, shear and shift, one matrix for each image.

A matrix M = [L | t], [2, 3], says where a point goes: p ↦ L p + t, p = (x, y) in pixels, x
to the right and y down, (0, 0) the image's upper left corner and not a pixel's centre.
Boxes go through M; for pictures, each pixel of the result asks M⁻¹ where it comes from.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from d2lcompanion.vision import draws
from d2lcompanion.vision.boxes import clip_boxes
from d2lcompanion.vision.checks import (
    require_boxes,
    require_finite,
    require_images,
    require_pixels,
    require_positive,
    require_range,
    require_shape,
)


def affine_matrices(
    image_shape: tuple[int, int],
    *,
    angle: Tensor,
    shift: Tensor,
    scale: Tensor,
    shear: Tensor,
    center: tuple[float, float] | None = None,
) -> Tensor:
    """p ↦ c + s R(θ) K_y K_x (p − c) + shift, with c the middle of the image.

    R(θ) = [[cos θ, −sin θ], [sin θ, cos θ]] turns x towards y, which is clockwise to the
    eye as y points down; K_x = [[1, −tan φ_x], [0, 1]], K_y = [[1, 0], [−tan φ_y, 1]].
    (torchvision's `affine` has the same signs, its `rotate` the opposite of θ.)

    Args:
        image_shape: (H, W).
        angle: [N] θ in degrees.
        shift: [N, 2] (x, y) in pixels.
        scale: [N] s > 0.
        shear: [N, 2] (φ_x, φ_y) in degrees, between −90 and 90.
        center: c = (x, y) in pixels.
    Returns:
        [N, 2, 3].
    """
    for name, value in (("shift", shift), ("shear", shear)):
        require_shape(name, value, (len(angle), 2))
    require_shape("scale", scale, angle.shape)
    for name, value in (("angle", angle), ("shift", shift), ("shear", shear)):
        require_finite(name, value)
    require_range("shear", shear, -89.9, 89.9)
    require_range("scale", scale, 1e-6, 1e6)
    theta = torch.deg2rad(angle)
    k_x, k_y = torch.deg2rad(shear).tan().unbind(-1)
    one, zero = torch.ones_like(theta), torch.zeros_like(theta)
    rotation = _square(theta.cos(), -theta.sin(), theta.sin(), theta.cos())
    sheared = _square(one, zero, -k_y, one) @ _square(one, -k_x, zero, one)
    linear = scale[:, None, None] * (rotation @ sheared)
    height, width = image_shape
    x, y = (width / 2, height / 2) if center is None else center
    c = torch.stack([x * one, y * one], -1)[..., None]  # [N, 2, 1]
    return torch.cat([linear, c - linear @ c + shift[..., None]], -1)


def _square(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[N, 2, 2] with rows (a, b) and (c, d)."""
    return torch.stack([a, b, c, d], -1).view(-1, 2, 2)


def invert_matrices(matrices: Tensor) -> Tensor:
    """[L | t]⁻¹ = [L⁻¹ | −L⁻¹ t], with L⁻¹ by Cramer's rule.

    Raises:
        ValueError: if a matrix has no inverse; names it.
    """
    require_shape("matrices", matrices, (len(matrices), 2, 3))
    require_finite("matrices", matrices)
    (a, b, x), (c, d, y) = (row.unbind(-1) for row in matrices.unbind(1))
    determinant = a * d - b * c
    if not bool((determinant != 0).all()):
        row = int((determinant == 0).nonzero()[0])
        raise ValueError(f"matrix {row} has no inverse: {matrices[row].tolist()}")
    linear = _square(d, -b, -c, a) / determinant[:, None, None]
    return torch.cat([linear, -linear @ torch.stack([x, y], -1)[..., None]], -1)


def warp(
    images: Tensor,
    matrices: Tensor,
    *,
    size: tuple[int, int] | None = None,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    border: Literal["zeros", "border", "reflection"] = "zeros",
) -> Tensor:
    """The pictures after their maps, all in one `grid_sample`.

    Args:
        images: [N, C, H, W]; masks as floats with mode="nearest".
        matrices: [N, 2, 3], where a point goes.
        size: (h, w) of the result, by default the same.
        border: what lies outside: black, the edge's colour, or a mirror image.
    Returns:
        [N, C, h, w].
    """
    require_images("images", images)
    require_shape("matrices", matrices, (len(images), 2, 3))
    height, width = images.shape[-2:]
    h, w = (height, width) if size is None else size
    inverse = invert_matrices(matrices.to(images.dtype))
    # grid_sample counts the picture from −1 to 1, edge to edge.
    inverse = inverse * inverse.new_tensor([[2 / width], [2 / height]])
    grid = _sources(inverse - inverse.new_tensor([0, 0, 1]), (h, w))
    return grid_sample(images, grid, mode, border, align_corners=False)


def _sources(inverse: Tensor, size: tuple[int, int]) -> Tensor:
    """M⁻¹ of every pixel's centre: [N, h, w, 2]. A sum of a row and a column each."""
    y, x = (
        torch.arange(n, device=inverse.device, dtype=inverse.dtype) + 0.5 for n in size
    )
    from_x, from_y, offset = inverse[:, None, None].unbind(-1)  # [N, 1, 1, 2]
    return (x[:, None] * from_x + offset) + y[:, None, None] * from_y


def warp_boxes(boxes: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """The smallest upright box around each mapped box, cut to the picture.

    It is larger than what it holds after a rotation: a box knows four corners only.

    Args:
        boxes: [N, B, 4] (x1, y1, x2, y2) in pixels.
        matrices: [N, 2, 3].
        size: (h, w) of the picture after the map.
    Returns:
        [N, B, 4]; one that left the picture is empty.
    """
    require_boxes("boxes", boxes)
    require_shape("matrices", matrices, (len(boxes), 2, 3))
    x1, y1, x2, y2 = boxes.unbind(-1)
    x, y = torch.stack([x1, x2, x1, x2], -1), torch.stack([y1, y1, y2, y2], -1)
    corners = torch.stack([x, y, torch.ones_like(x)], -1)  # [N, B, 4, 3]
    moved = corners @ matrices.to(boxes.dtype)[:, None].mT
    return clip_boxes(torch.cat([moved.amin(-2), moved.amax(-2)], -1), size)


def draw_affine(
    images: Tensor,
    generator: torch.Generator,
    *,
    degrees: float = 0.0,
    shift: float = 0.0,
    scale: float = 1.0,
    shear: float = 0.0,
) -> Tensor:
    """Random maps: [N, 2, 3].

    Args:
        images: [N, C, H, W].
        degrees: the angle is uniform in ± degrees.
        shift: in ± shift times the width, and the height.
        scale: ≥ 1; the logarithm of the scale is uniform in ± log(scale).
        shear: both angles of shear are uniform in ± shear degrees.
    """
    require_images("images", images)
    require_positive("scale", scale)
    for name, value in (("degrees", degrees), ("shift", shift), ("shear", shear)):
        if not value >= 0:
            raise ValueError(f"{name} must be ≥ 0, got {value}")
    height, width = images.shape[-2:]

    def signed(most: float) -> Tensor:
        return draws.uniform(images, generator, -most, most)

    return affine_matrices(
        (height, width),
        angle=signed(degrees),
        shift=torch.stack([signed(shift) * width, signed(shift) * height], -1),
        scale=scale ** signed(1),
        shear=torch.stack([signed(shear), signed(shear)], -1),
    )


def random_affine(
    images: Tensor,
    generator: torch.Generator,
    *,
    degrees: float = 0.0,
    shift: float = 0.0,
    scale: float = 1.0,
    shear: float = 0.0,
) -> Tensor:
    """`warp` by maps from `draw_affine`; black comes in from outside.

    Args:
        images: [N, C, H, W], pixels in [0, 1].
    """
    require_pixels("images", images)
    matrices = draw_affine(
        images, generator, degrees=degrees, shift=shift, scale=scale, shear=shear
    )
    return warp(images, matrices)
