"""d2l's bananas: 1,000 pictures to train and 100 to validate, one banana pasted into each.

A zip with folders `bananas_train` and `bananas_val`, each with `label.csv` (img_name, label,
xmin, ymin, xmax, ymax in pixels; the label is 0) and `images/`. It is read out of the zip,
which is never unpacked.
"""

import csv
import io
import math
import zipfile
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.photos import decode_photo
from d2lcompanion.data.published_file import published_file

NAME = "banana-detection"
FOLDERS = {"train": "bananas_train", "val": "bananas_val"}
SIDE = 256  # of the pictures in d2l's file
COLUMNS = ("img_name", "label", "xmin", "ymin", "xmax", "ymax")


class Bananas(NamedTuple):
    """images [n, 3, H, W] uint8; labels [n, 1, 5] (0, x1, y1, x2, y2) in fractions."""

    images: Tensor
    labels: Tensor


def load_bananas(
    part: Literal["train", "val"],
    path: Path | str | None = None,
    *,
    download: bool = False,
) -> Bananas:
    """One part of the zip.

    Args:
        part: "train" or "val".
        path: a file to read; by default `banana-detection.zip` in the data directory.
        download: fetch and verify that file if it is not there; a path is only read.
    Raises:
        FileNotFoundError: if there is no file, and it was not to be fetched.
        ValueError: if the part is unknown, or the file is no such zip; names the file
            in it, and the line of the table.
        OSError: if it could not be fetched.
    """
    if part not in FOLDERS:
        raise ValueError(f"part must be train or val, got {part!r}")
    file = published_file(NAME, path, download=download)
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive, file, FOLDERS[part])
    except zipfile.BadZipFile as error:
        raise ValueError(f"{file} is no zip, or a damaged one: {error}") from error


def _read(archive: zipfile.ZipFile, file: Path, folder: str) -> Bananas:
    tables = [n for n in archive.namelist() if n.endswith(f"{folder}/label.csv")]
    if len(tables) != 1:
        raise ValueError(f"{file} must hold one {folder}/label.csv, got {len(tables)}")
    where = f"{file}: {tables[0]}"
    try:
        text = archive.read(tables[0]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not UTF-8: {error}") from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise ValueError(
            f"{where} must have the columns {', '.join(COLUMNS)} and a row"
        )
    base = tables[0].removesuffix("label.csv") + "images/"
    images, labels = [], []
    for line, row in enumerate(rows, start=2):
        images.append(_picture(archive, base + str(row["img_name"]), f"{where}:{line}"))
        if images[-1].shape != images[0].shape:
            raise ValueError(
                f"{where}:{line}: {row['img_name']} is {list(images[-1].shape)}, "
                f"the first picture {list(images[0].shape)}"
            )
        labels.append(_label(row, images[-1].shape, f"{where}:{line}"))
    return Bananas(torch.stack(images), torch.tensor(labels)[:, None])


def _picture(archive: zipfile.ZipFile, name: str, where: str) -> Tensor:
    """[3, H, W] uint8."""
    try:
        content = archive.read(name)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{where}: {name} cannot be read: {error}") from error
    return decode_photo(io.BytesIO(content), f"{where}: {name}")


def _label(row: dict[str, str], shape: torch.Size, where: str) -> list[float]:
    """(0, x1, y1, x2, y2) in fractions of the picture."""
    try:
        label, *box = (float(row[name]) for name in COLUMNS[1:])
    except (TypeError, ValueError):
        label, box = math.nan, []
    height, width = shape[1:]
    if label != 0 or not (
        0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    ):
        raise ValueError(
            f"{where}: label 0 and 0 ≤ xmin < xmax ≤ {width}, 0 ≤ ymin < ymax ≤ {height} "
            f"are needed, got {[row.get(name) for name in COLUMNS[1:]]}"
        )
    return [
        0.0,
        *(value / size for value, size in zip(box, (width, height) * 2, strict=True)),
    ]
