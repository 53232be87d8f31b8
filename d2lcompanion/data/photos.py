"""Colour photos: six that come with scikit-image and scikit-learn, and files of any kind."""

from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.extras import require


class Photo(NamedTuple):
    """One photo.

    Attributes:
        pixels: [3, H, W], uint8, red, green, blue.
        source: a sentence: what it shows, whose it is, and its licence.
    """

    pixels: Tensor
    source: str


# Name → the function of skimage.data, and what it is.
_SCIKIT_IMAGE = {
    "cat": (
        "chelsea",
        "The cat Chelsea, by Stefan van der Walt, CC0, in scikit-image.",
    ),
    "coffee": (
        "coffee",
        "A cup of coffee, by Rachel Michetti, CC0, in scikit-image.",
    ),
    "astronaut": (
        "astronaut",
        "Eileen Collins, by NASA, public domain, in scikit-image.",
    ),
    "rocket": (
        "rocket",
        "A Falcon 9 on its launch pad, by SpaceX, public domain, in scikit-image.",
    ),
}
_SCIKIT_LEARN = {
    "china": "A Chinese palace, by danielbuechele (Flickr), CC BY 2.0, in scikit-learn.",
    "flower": "A flower, by vultilion (Flickr), CC BY 2.0, in scikit-learn.",
}
PHOTOS = (*_SCIKIT_IMAGE, *_SCIKIT_LEARN)


def load_photo(name: str) -> Photo:
    """A photo that a package carries: cat, coffee, astronaut, rocket, china or flower.

    Raises:
        ValueError: if there is none of that name.
        ImportError: without the extra `vision`.
    """
    if name in _SCIKIT_IMAGE:
        function, source = _SCIKIT_IMAGE[name]
        pixels = getattr(require("skimage.data", "vision"), function)()
    elif name in _SCIKIT_LEARN:
        source = _SCIKIT_LEARN[name]
        load = require("sklearn.datasets", "vision").load_sample_image
        pixels = load(f"{name}.jpg")
    else:
        raise ValueError(f"name must be one of {', '.join(PHOTOS)}, got {name!r}")
    return Photo(_channels_first(pixels), source)


def read_photo(path: Path | str) -> Tensor:
    """A picture file as red, green and blue, upright: [3, H, W] uint8.

    A camera's note on how it was held (EXIF) is obeyed. Grey, 16-bit grey, palette and
    CMYK pictures become RGB; what is transparent is laid on white; of several frames
    the first is read.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no picture, or is cut off or damaged; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    with path.open("rb") as file:
        return decode_photo(file, str(path))


def decode_photo(file: BinaryIO, name: str) -> Tensor:
    """The same of an open file, as inside an archive; the name is for errors.

    Raises:
        ValueError: if it is no picture, or is cut off or damaged.
    """
    pillow = require("PIL.Image", "vision")
    operations = require("PIL.ImageOps", "vision")
    try:
        with pillow.open(file) as picture:
            picture.load()
            upright = operations.exif_transpose(picture)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        pillow.DecompressionBombError,
    ) as error:
        raise ValueError(f"{name} cannot be read as a picture: {error}") from error
    if upright.mode.startswith("I"):  # 16 bits of grey: Pillow would cut at 255
        grey = torch.from_numpy(np.asarray(upright).astype(np.int64)).clamp(0, 65535)
        return (grey >> 8).to(torch.uint8).expand(3, -1, -1).clone()
    if "transparency" in upright.info or upright.mode in ("LA", "PA", "RGBA", "La"):
        layer = upright.convert("RGBA")
        white = pillow.new("RGBA", layer.size, "white")
        upright = pillow.alpha_composite(white, layer)
    return _channels_first(np.asarray(upright.convert("RGB")))


def _channels_first(pixels: np.ndarray) -> Tensor:
    """[H, W, 3] → [3, H, W], memory of its own."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()
