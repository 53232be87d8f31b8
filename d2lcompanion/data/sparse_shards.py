"""A sum of sparse matrices that is larger than memory, as files that are read by rows.

Each summand is written as it comes, in three arrays that are mapped, not loaded, when
rows are asked for: what is held at a time is one summand while writing, and the rows
asked for while reading.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from d2lcompanion.extras import require

PARTS = ("data", "indices", "indptr")


def save_shards(matrices: Iterable[Any], folder: Path) -> int:
    """Write CSR matrices of one shape, one after another; returns how many.

    Args:
        matrices: scipy CSR arrays, read once.
        folder: made if it is missing; must hold no shards.
    Raises:
        FileExistsError: if there are shards already.
        ValueError: if shapes differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.npy")):
        raise FileExistsError(f"{folder} holds shards already")
    count, shape = 0, None
    for matrix in matrices:
        if shape is not None and matrix.shape != shape:
            raise ValueError(
                f"matrices must have the shape {shape}, got {matrix.shape}"
            )
        shape = matrix.shape
        for part in PARTS:
            np.save(folder / f"{count:05d}-{part}.npy", getattr(matrix, part))
        np.save(folder / f"{count:05d}-shape.npy", np.array(shape))
        count += 1
    return count


def read_rows(folder: Path, begin: int, end: int) -> Any:
    """Rows begin, …, end − 1 of the sum of all shards, as a scipy CSR array.

    Raises:
        FileNotFoundError: if there is no shard.
        ValueError: if the rows are not in the matrix.
    """
    sparse = require("scipy.sparse", "data")
    numbers = sorted(path.name[:5] for path in folder.glob("*-shape.npy"))
    if not numbers:
        raise FileNotFoundError(f"{folder} holds no shards")
    total = None
    for number in numbers:
        height, width = np.load(folder / f"{number}-shape.npy").tolist()
        if not 0 <= begin < end <= height:
            raise ValueError(f"rows must be in [0, {height}], got {begin} to {end}")
        data, indices, indptr = (
            np.load(folder / f"{number}-{part}.npy", mmap_mode="r") for part in PARTS
        )
        first, last = int(indptr[begin]), int(indptr[end])
        rows = sparse.csr_array(
            (
                np.array(data[first:last]),
                np.array(indices[first:last]),
                np.array(indptr[begin : end + 1]) - first,
            ),
            shape=(end - begin, width),
        )
        total = rows if total is None else total + rows
    return total
