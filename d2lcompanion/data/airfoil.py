"""Noise of aircraft wings in a NASA wind tunnel: the regression data of the book's chapter 12."""

import math
import re
from pathlib import Path

import torch
from torch import Tensor

from d2lcompanion.data.published_file import published_file
from d2lcompanion.data.regression import RegressionData, standardize

FEATURE_NAMES = (
    "frequency (Hz)",
    "angle of attack (°)",
    "chord length (m)",
    "velocity (m/s)",
    "displacement thickness (m)",
)
COLUMNS = len(FEATURE_NAMES) + 1  # the last is the sound pressure level in dB


def load_airfoil(
    path: Path | str | None = None,
    *,
    download: bool = False,
    rows: int = 1500,
    standardized: bool = True,
) -> RegressionData:
    """Five features and the sound pressure level, 1,503 measurements.

    As in the book, mean and standard deviation are those of *all* rows, and the first
    1,500 are used: the columns that come back have mean 0 only nearly.

    Args:
        path: a file to read; by default `airfoil_self_noise.dat` in the data directory.
        download: fetch and verify that file if it is not there; a path is only ever
            read.
        rows: how many to use, from the top.
        standardized: features and target with mean 0 and standard deviation 1 over all
            rows.
    Raises:
        FileNotFoundError: if there is no file, and it was not to be fetched.
        ValueError: if the file is not such a table, or has fewer rows.
    """
    file = published_file("airfoil", path, download=download)
    table = read_airfoil(file)
    if not 1 <= rows <= len(table):
        raise ValueError(f"rows must be between 1 and {len(table)}, got {rows}")
    source = f"the first {rows} of {len(table)} rows of {file.name} (UCI, airfoil self-noise)"
    if standardized:
        table = standardize(table)
        source += f", mean 0 and standard deviation 1 over all {len(table)}"
    table = table[:rows]
    return RegressionData(
        "airfoil", table[:, :-1], table[:, -1], FEATURE_NAMES, source + "."
    )


def read_airfoil(path: Path | str) -> Tensor:
    """The table in a file: [n, 6], float64, in the order of the columns.

    Copies differ: numbers are separated by tabs, commas, semicolons or blanks, lines
    end in LF or CRLF, a header line and a byte-order mark may come first.

    Raises:
        ValueError: naming file and line, if the text is not UTF-8 or a row is not six
            numbers.
    """
    path = Path(path)
    rows: list[list[float]] = []
    for number, line in enumerate(_utf8_lines(path), start=1):
        cells = [cell for cell in re.split(r"[\t,; ]+", line.strip()) if cell]
        values = [_number(cell) for cell in cells]
        if not cells or (number == 1 and all(value is None for value in values)):
            continue  # an empty line, or a header
        good = [value for value in values if value is not None]
        if len(good) != COLUMNS or len(cells) != COLUMNS:
            raise ValueError(
                f"{path}:{number}: expected {COLUMNS} numbers, got {line.strip()!r}"
            )
        rows.append(good)
    if not rows:
        raise ValueError(f"{path}: no rows")
    return torch.tensor(rows, dtype=torch.float64)


def _utf8_lines(path: Path) -> list[str]:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line}: not UTF-8, byte {data[error.start]:#04x} at {error.start}"
        ) from error


def _number(cell: str) -> float | None:
    """The finite number that a cell holds, else None."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
