"""Images as rows of square patches, and which of them are hidden."""

import torch
from torch import Tensor

from d2lcompanion.vision.checks import (
    require_at_least,
    require_images,
    require_positive,
    require_shape,
)


def patchify(x: Tensor, patch: int) -> Tensor:
    """Cut images into squares, row by row: [n, c, H, W] → [n, (H/p)(W/p), c p²].

    Args:
        x: [n, c, H, W].
        patch: p, a divisor of H and W.
    Raises:
        ValueError: if x is not [n, c, H, W] of floats, or p does not divide its sides.
    """
    require_images("x", x)
    require_at_least("patch", patch, 1)
    n, c, H, W = x.shape
    if H % patch or W % patch:
        raise ValueError(f"patch must divide {H} and {W}, got {patch}")
    squares = x.view(n, c, H // patch, patch, W // patch, patch)
    return squares.permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c * patch * patch)


def unpatchify(patches: Tensor, patch: int, shape: tuple[int, int, int]) -> Tensor:
    """The images again: the inverse of `patchify`.

    Args:
        patches: [n, (H/p)(W/p), c p²].
        patch: p.
        shape: (c, H, W).
    Returns:
        [n, c, H, W].
    Raises:
        ValueError: if the sizes do not fit.
    """
    c, H, W = shape
    down, across = H // patch, W // patch
    n = len(patches)
    require_shape("patches", patches, [n, down * across, c * patch * patch])
    squares = patches.view(n, down, across, c, patch, patch)
    return squares.permute(0, 3, 1, 4, 2, 5).reshape(n, c, H, W)


def random_masking(
    images: int,
    patches: int,
    share: float,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> Tensor:
    """A random order of the patches of each image: the first are visible, the rest hidden.

    `visible_patches(patches, share)` of each image are visible, every subset of that
    size equally likely.

    Returns:
        [images, patches], int64, a permutation of 0 … patches − 1 in each row.
    Raises:
        ValueError: if the share is not in (0, 1), or leaves no patch visible or hidden.
    """
    visible_patches(patches, share)
    keys = torch.rand(images, patches, generator=generator, device=generator.device)
    return keys.argsort(1).to(device)


def visible_patches(patches: int, share: float) -> int:
    """patches − ⌊share · patches + ½⌋.

    Raises:
        ValueError: if the share is not in (0, 1), or leaves no patch visible or hidden.
    """
    visible = patches - int(share * patches + 0.5) if 0 < share < 1 else 0
    if not 0 < visible < patches:
        raise ValueError(
            "share must be in (0, 1) and leave a patch visible and one hidden, "
            f"got {share} of {patches}"
        )
    return visible


def normalize_patches(patches: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Every patch with mean 0 and variance 1, a target that asks for shape, not for light.

    (x − mean)/√(variance + ε), over the last dimension; an even patch becomes 0.
    """
    require_positive("epsilon", epsilon)
    mean = patches.mean(-1, keepdim=True)
    variance = patches.var(-1, keepdim=True, correction=0)
    return (patches - mean) / (variance + epsilon).sqrt()


def take(x: Tensor, index: Tensor) -> Tensor:
    """Rows of each image: [n, P, d] and [n, v] → [n, v, d]."""
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))
