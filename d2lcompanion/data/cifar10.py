"""CIFAR-10: 32×32 colour photos of ten kinds of things, 50,000 to train and 10,000 to test.

The archive holds pickled dictionaries. A pickle can run anything, so only arrays and
plain values are let through, and the archive is read in place, never unpacked.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.images import ImageData
from d2lcompanion.data.published_file import published_file

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FOLDER = "cifar-10-batches-py"
TRAIN = tuple(f"data_batch_{part}" for part in range(1, 6))
TEST = "test_batch"
SIDE = 32


def load_cifar10(
    archive: Path | str | None = None, *, download: bool = False
) -> ImageData:
    """Ten classes, equally frequent: images [50,000, 3, 32, 32] and [10,000, 3, 32, 32].

    Args:
        archive: `cifar-10-python.tar.gz`; by default the one in the data directory.
        download: fetch and verify it if it is missing there.
    Raises:
        FileNotFoundError: if it is not on this machine; says how to get it.
        ValueError: naming the archive, the part and the row, if it is damaged or
            another one.
    Source:
        Krizhevsky (2009), *Learning Multiple Layers of Features from Tiny Images*.
    """
    path = published_file("cifar-10", archive, download=download)
    images, labels = _read(path)
    return ImageData(
        "CIFAR-10",
        torch.cat([images[part] for part in TRAIN]),
        torch.cat([labels[part] for part in TRAIN]),
        images[TEST],
        labels[TEST],
        CLASS_NAMES,
        f"CIFAR-10, {sum(len(labels[part]) for part in TRAIN):,} training and "
        f"{len(labels[TEST]):,} test images of 32×32 pixels in colour.",
    )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Images and labels of every part."""
    images, labels = {}, {}
    try:
        with tarfile.open(path) as files:
            for part in (*TRAIN, TEST):
                member = files.extractfile(f"{FOLDER}/{part}")
                if member is None:
                    raise ValueError(f"{path}: {part} is no file")
                where = f"{path}, {part}"
                images[part], labels[part] = _part(where, member.read())
    except KeyError as error:
        raise ValueError(f"{path}: {error.args[0]}") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: broken archive: {error}") from error
    return images, labels


def _part(where: str, content: bytes) -> tuple[Tensor, Tensor]:
    """One pickled part: rows of 1,024 red, 1,024 green and 1,024 blue values, and labels."""
    try:
        found = _OnlyArrays(io.BytesIO(content), encoding="bytes").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{where}: {error}") from error
    if not isinstance(found, Mapping) or not {b"data", b"labels"} <= set(found):
        raise ValueError(f"{where}: must be a dictionary with data and labels")
    data, labels = np.asarray(found[b"data"]), np.asarray(found[b"labels"])
    if data.dtype != np.uint8 or data.shape != (len(labels), 3 * SIDE * SIDE):
        raise ValueError(
            f"{where}: data must be [{len(labels)}, {3 * SIDE * SIDE}] of uint8, got "
            f"{list(data.shape)} of {data.dtype}"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASS_NAMES)))
    if len(wrong):
        raise ValueError(
            f"{where}: label {labels[wrong[0]]} in row {wrong[0]} is not in 0 … 9"
        )
    images = torch.from_numpy(data.copy()).view(-1, 3, SIDE, SIDE)
    return images, torch.from_numpy(labels.astype(np.int64))


_RECONSTRUCT = np.zeros(0).__reduce__()[0]  # how NumPy makes an array from a pickle
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _OnlyArrays(pickle.Unpickler):
    """Lets NumPy's arrays through, and nothing that could act."""

    def find_class(self, module: str, name: str) -> object:
        """What a name in the pickle stands for."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which is no array")
        return _ALLOWED[module, name]
