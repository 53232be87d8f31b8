"""Hot dogs and other things: about 2,000 photos to train and 800 to test, from one archive.

Also the ImageNet weights of ResNet-18 that torchvision publishes. Both must be downloaded.
"""

import hashlib
import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.efficientnet_lite0 import read_state
from d2lcompanion.data.photos import decode_photo
from d2lcompanion.data.published_file import published_file

CLASS_NAMES = ("hotdog", "not-hotdog")
SIDE = 256  # pixels of every photo, of which 224 are then cut
RESNET18_SHA256 = "f37072fd"  # the digits that torchvision puts into the file's name


class HotDogs(NamedTuple):
    """Photos [n, 3, 256, 256] of uint8, the middle square of each; label 0 is a hot dog."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_hot_dogs(
    archive: Path | str | None = None, *, download: bool = False
) -> HotDogs:
    """All photos, reduced; the archive is read in place, never unpacked.

    Args:
        archive: `hotdog.zip`; by default the one in the data directory.
        download: fetch and verify it if it is missing there.
    Raises:
        FileNotFoundError: if it is not on this machine; says how to get it.
        ValueError: naming the archive and the photo, if one is damaged or a class is empty.
    Source:
        Zhang et al., *Dive into Deep Learning*, §14.2, by SHA-1.
    """
    path = published_file("hotdog", archive, download=download)
    parts: list[Tensor] = []
    try:
        with zipfile.ZipFile(path) as files:
            for part in ("train", "test"):
                images, labels = [], []
                for label, name in enumerate(CLASS_NAMES):
                    found = sorted(
                        member
                        for member in files.namelist()
                        if PurePosixPath(member).match(f"hotdog/{part}/{name}/*.png")
                    )
                    if not found:
                        raise ValueError(f"{path} has no hotdog/{part}/{name}/*.png")
                    for member in found:
                        photo = io.BytesIO(files.read(member))
                        images.append(middle(decode_photo(photo, f"{path}, {member}")))
                        labels.append(label)
                parts += [torch.stack(images), torch.tensor(labels)]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: broken archive: {error}") from error
    return HotDogs(*parts)


def middle(pixels: Tensor) -> Tensor:
    """The middle square at 256 pixels: [3, H, W] → [3, 256, 256], uint8."""
    height, width = pixels.shape[1:]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = pixels[None, :, top : top + edge, left : left + edge].float()
    small = torch.nn.functional.interpolate(
        square, (SIDE, SIDE), mode="bilinear", antialias=True
    )
    return small[0].round().clamp(0, 255).to(torch.uint8)


def load_resnet18_weights(
    file: Path | str | None = None, *, download: bool = False
) -> dict[str, Tensor]:
    """ResNet-18 on ImageNet as torchvision publishes it: name → tensor.

    Raises:
        FileNotFoundError: if it is not on this machine; says how to get it.
        ValueError: naming the file, if its SHA-256 does not begin as in its name, or it
            is no file of weights.
    """
    path = published_file(
        "resnet18-imagenet", file, download=download, allow_unverified=True
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(RESNET18_SHA256):
        raise ValueError(
            f"{path} must have a SHA-256 that begins with {RESNET18_SHA256}; got {digest}"
        )
    return read_state(path)
