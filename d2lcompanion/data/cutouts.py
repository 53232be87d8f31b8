"""Objects cut out of real photos, and real surfaces to lay them on.

The 24 Greek coins from Pompeii lie in one photo of the Brooklyn Museum that scikit-image
carries; boots are pictures of Fashion-MNIST, whose background is empty; surfaces are five
photos of scikit-image.
"""

from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.photos import read_photo
from d2lcompanion.extras import require

COINS = 24
BLUR, WINDOW, CONTRAST, OPENINGS = 2.0, 60, 35, 3  # pixels, pixels, grey levels, rounds
LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)
SURFACES = ("brick", "gravel", "ihc", "grass", "moon")
BOOT = 9  # "ankle boot"


class Cutout(NamedTuple):
    """One object, in the smallest rectangle around it.

    pixels [h, w]: float32 in [0, 1]. mask [h, w]: booleans, True on the object; the first
    and the last row and column each hold a True.
    """

    pixels: Tensor
    mask: Tensor


@cache
def load_coins() -> tuple[Cutout, ...]:
    """The 24 coins of the photo `coins` of scikit-image, row by row of the photo's pixels.

    Blurred, the photo is compared with its own background (a grey opening, which removes
    whatever is smaller than 60 pixels and bright); what is 35 grey levels brighter is an
    object, holes are filled, bridges and specks opened away.

    Raises:
        ValueError: if it does not find 24, as in another photo.
        ImportError: without the extra `vision`.
    """
    return find_coins(require("skimage.data", "vision").coins())


def find_coins(photo: np.ndarray) -> tuple[Cutout, ...]:
    """The objects of a grey photo [H, W] uint8, brighter than what they lie on.

    Raises:
        ValueError: if the photo is no [H, W] of uint8, or the objects are not 24.
    """
    if photo.ndim != 2 or photo.dtype != np.uint8:
        raise ValueError(
            f"photo must be [H, W] of uint8, got {list(photo.shape)}, {photo.dtype}"
        )
    nd = require("scipy.ndimage", "vision")
    smooth = nd.gaussian_filter(photo.astype(np.float64), BLUR)
    bright = smooth - nd.grey_opening(smooth, size=(WINDOW, WINDOW)) > CONTRAST
    solid = nd.binary_opening(nd.binary_fill_holes(bright), iterations=OPENINGS)
    numbered, count = nd.label(solid)
    if count != COINS:
        raise ValueError(f"the photo must show {COINS} coins, got {count}")
    grey = torch.from_numpy(photo.astype(np.float32) / 255)
    return tuple(
        Cutout(grey[place].clone(), torch.from_numpy(numbered[place] == number))
        for number, place in enumerate(nd.find_objects(numbered), start=1)
    )


def load_boots(part: Literal["train", "test"], count: int) -> tuple[Cutout, ...]:
    """The first `count` ankle boots of a part of the subset of Fashion-MNIST, as cut-outs.

    Raises:
        ValueError: if the part is unknown, or there are fewer than `count`.
    """
    data = load_fashion_mnist("subset")
    if part not in ("train", "test"):
        raise ValueError(f"part must be train or test, got {part!r}")
    images = data.train_images if part == "train" else data.test_images
    labels = data.train_labels if part == "train" else data.test_labels
    boots = images[labels == BOOT]
    if not 1 <= count <= len(boots):
        raise ValueError(f"count must be in [1, {len(boots)}], got {count}")
    return tuple(_cut(boot) for boot in boots[:count])


def _cut(picture: Tensor) -> Cutout:
    """The largest connected part of what is not black, its holes filled."""
    nd = require("scipy.ndimage", "vision")
    numbered, _ = nd.label(picture.numpy() > 0)
    largest = int(np.bincount(numbered.ravel())[1:].argmax()) + 1
    mask = nd.binary_fill_holes(numbered == largest)
    (place,) = nd.find_objects(mask.astype(int))
    return Cutout(
        picture[place].float() / 255,
        torch.from_numpy(np.ascontiguousarray(mask[place])),
    )


@cache
def load_surface(name: str) -> Tensor:
    """A photo of brick, gravel, ihc (stained tissue), grass or moon: [512, 512] in [0, 1].

    Raises:
        ValueError: if there is none of that name, or its file is damaged; names it.
        ImportError: without the extra `vision`.
    """
    if name not in SURFACES:
        raise ValueError(f"name must be one of {', '.join(SURFACES)}, got {name!r}")
    folder = Path(str(require("skimage.data", "vision").__file__)).parent
    return grey(read_photo(folder / f"{name}.png"))


def grey(pixels: Tensor) -> Tensor:
    """[3, H, W] uint8 → [H, W] in [0, 1]: how bright it looks."""
    weights = torch.tensor(LUMA)[:, None, None]
    return (pixels.float() * weights).sum(0) / 255
