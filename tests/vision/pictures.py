"""Real pictures for the tests of augmentation: pieces of scikit-image's cat and coffee."""

import functools

import skimage.data
import torch
from torch import Tensor


@functools.cache
def _photos() -> tuple[Tensor, Tensor]:
    cat = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)
    coffee = torch.from_numpy(skimage.data.coffee()).permute(2, 0, 1)
    return cat, coffee


def photo_bytes(count: int, height: int = 24, width: int = 31, channels: int = 3) -> Tensor:
    """[count, channels, height, width] uint8, different pieces, every fourth pixel."""
    pieces = []
    for number in range(count):
        photo = _photos()[number % 2][:channels, ::4, ::4]
        top = 7 * number % (photo.shape[1] - height)
        left = 11 * number % (photo.shape[2] - width)
        pieces.append(photo[:, top : top + height, left : left + width])
    return torch.stack(pieces)


def photos(
    count: int,
    height: int = 24,
    width: int = 31,
    channels: int = 3,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The same in [0, 1]."""
    return photo_bytes(count, height, width, channels).to(dtype) / 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
