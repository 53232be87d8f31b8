"""Fashion-MNIST: 28×28 images of ten kinds of clothing; a subset of it comes with the package.

Full data: 60,000 images to train, 10,000 to test. The subset holds, in the order of the
full set, the first 800 of each class of the one and the first 200 of each class of the
other. `python -m d2lcompanion.data.fashion_mnist FOLDER` makes it again from the four
files.
"""

import hashlib
import io
import sys
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.images import ImageData, read_idx
from d2lcompanion.data.registry import data_directory, fetch, find_entry

CLASS_NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
# Part → SHA-256 of the unpacked idx file, from Debian's dataset-fashion-mnist
# 0.0~git20200523.55506a9-1. Packed copies differ: gzip writes names and dates.
_SHA256 = {
    "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "test-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "test-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FILES = {f"fashion-mnist-{part}": digest for part, digest in _SHA256.items()}
DEBIAN_FOLDER = Path(
    "/usr/share/datasets/fashion-mnist"
)  # apt install dataset-fashion-mnist
SUBSET = "fashion_mnist_subset.npz"
TRAIN_PER_CLASS, TEST_PER_CLASS = 800, 200


def load_fashion_mnist(
    which: Literal["subset", "full"] = "subset",
    *,
    folder: Path | str | None = None,
    download: bool = False,
) -> ImageData:
    """Ten classes of clothing, 28×28 grey pixels; classes are equally frequent.

    Args:
        which: "subset", 8,000 and 2,000 images that come with the package, or "full",
            60,000 and 10,000.
        folder: of the four files of the full set; by default the data directory, else
            that of Debian's package `dataset-fashion-mnist`.
        download: fetch and verify files that are missing in the data directory.
    Raises:
        ValueError: if `which` is unknown, or a file is not the one that is known.
        FileNotFoundError: if the full set is not on this machine; says how to get it.
    Source:
        Xiao, Rasul & Vollgraf (2017), *Fashion-MNIST*, arXiv:1708.07747. MIT licence,
        beside the subset.
    """
    if which == "subset":
        return _subset()
    if which != "full":
        raise ValueError(f"which must be 'subset' or 'full', got {which!r}")
    where = Path(folder) if folder is not None else _folder_of_all()
    if where is None and download:
        where = {fetch(name).parent for name in FILES}.pop()
    if where is None:
        raise FileNotFoundError(
            f"Fashion-MNIST is neither in {data_directory()} nor in {DEBIAN_FOLDER}: run "
            f"`d2lc data fetch NAME` for {', '.join(FILES)}, or `apt install "
            "dataset-fashion-mnist` on Debian; load_fashion_mnist('subset') needs no file"
        )
    parts = [_read(where, name) for name in FILES]
    return ImageData(
        "Fashion-MNIST",
        parts[0],
        parts[1].long(),
        parts[2],
        parts[3].long(),
        CLASS_NAMES,
        f"Fashion-MNIST, {len(parts[0]):,} training and {len(parts[2]):,} test images "
        "of 28×28 pixels.",
    )


def _subset() -> ImageData:
    """The images in the package."""
    file = files("d2lcompanion.data.embedded") / SUBSET
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
        part = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return ImageData(
        "Fashion-MNIST subset",
        part["train_images"],
        part["train_labels"].long(),
        part["test_images"],
        part["test_labels"].long(),
        CLASS_NAMES,
        f"Fashion-MNIST, the first {TRAIN_PER_CLASS} training and {TEST_PER_CLASS} test "
        "images of each of 10 classes, from the package.",
    )


def _folder_of_all() -> Path | None:
    """The first folder that holds all four files."""
    for folder in (data_directory(), DEBIAN_FOLDER):
        if all(_path(folder, name) is not None for name in FILES):
            return folder
    return None


def _path(folder: Path, name: str) -> Path | None:
    """The file of a registry entry in a folder, packed or not, under either name."""
    file_name = find_entry(name).file_name
    original = file_name.removeprefix("fashion-mnist-")  # the name in the original set
    for candidate in (file_name, original, original.removesuffix(".gz")):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def _read(folder: Path, name: str) -> Tensor:
    """One of the four files, held to its digest."""
    path = _path(folder, name)
    if path is None:
        raise FileNotFoundError(f"{folder} has no {find_entry(name).file_name}")
    values = read_idx(path)
    header = bytes((0, 0, 8, values.ndim)) + b"".join(
        size.to_bytes(4, "big") for size in values.shape
    )
    digest = hashlib.sha256(header + values.numpy().tobytes()).hexdigest()
    if digest != FILES[name]:
        raise ValueError(
            f"{path} unpacks to SHA-256 {digest}, Fashion-MNIST to {FILES[name]}"
        )
    return values


def first_of_each_class(labels: Tensor, count: int) -> Tensor:
    """The positions of the first `count` of every label, rising: [classes · count].

    Raises:
        ValueError: if a label occurs less often.
    """
    chosen = []
    for label in range(int(labels.max()) + 1):
        positions = (labels == label).nonzero().flatten()
        if len(positions) < count:
            raise ValueError(
                f"label {label} must occur {count} times, got {len(positions)}"
            )
        chosen.append(positions[:count])
    return torch.cat(chosen).sort().values


def write_subset(full: ImageData, path: Path) -> None:
    """Write the subset of the full set, the same bytes on every machine with the same zlib."""
    train = first_of_each_class(full.train_labels, TRAIN_PER_CLASS)
    test = first_of_each_class(full.test_labels, TEST_PER_CLASS)
    np.savez_compressed(
        path,
        train_images=full.train_images[train].numpy(),
        train_labels=full.train_labels[train].to(torch.uint8).numpy(),
        test_images=full.test_images[test].numpy(),
        test_labels=full.test_labels[test].to(torch.uint8).numpy(),
    )


if __name__ == "__main__":
    write_subset(
        load_fashion_mnist("full", folder=sys.argv[1]),
        Path(__file__).with_name("embedded") / SUBSET,
    )
