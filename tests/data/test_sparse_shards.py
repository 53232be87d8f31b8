"""Shards add up to the sum that they are of, row by row."""

import numpy as np
import pytest
import scipy.sparse as sparse

from d2lcompanion.data.sparse_shards import read_rows, save_shards


def matrices(count: int = 3) -> list[sparse.csr_array]:
    return [
        sparse.random_array((20, 20), density=0.1, rng=np.random.default_rng(i)).tocsr()
        for i in range(count)
    ]


def test_rows_of_the_sum(tmp_path):
    parts = matrices()
    assert save_shards(iter(parts), tmp_path / "new") == 3
    total = sum(part.toarray() for part in parts)
    for begin, end in ((0, 20), (0, 1), (7, 13), (19, 20)):
        np.testing.assert_allclose(
            read_rows(tmp_path / "new", begin, end).toarray(), total[begin:end]
        )


def test_nothing_is_overwritten_or_guessed(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no shards"):
        read_rows(tmp_path, 0, 1)
    save_shards(matrices(1), tmp_path)
    with pytest.raises(FileExistsError, match="holds shards already"):
        save_shards(matrices(1), tmp_path)
    for begin, end in ((-1, 3), (3, 3), (0, 21)):
        with pytest.raises(ValueError, match=rf"rows must be in \[0, 20\], got {begin} to {end}"):
            read_rows(tmp_path, begin, end)
    with pytest.raises(ValueError, match=r"must have the shape \(20, 20\), got \(3, 3\)"):
        save_shards([*matrices(1), sparse.csr_array((3, 3))], tmp_path / "other")
