"""GloVe training: entries a second against glove-python, on the same entries.

The peer is `bicleaner-ai-glove` 0.2.1, a maintained fork of glove-python (Cython, one
entry a step, Hogwild threads). It is not among this project's dependencies: install it in
an environment of its own and name that environment's interpreter,

    python -m venv peer && peer/bin/pip install bicleaner-ai-glove
    python benchmarks/glove.py --peer peer/bin/python [--rounds 7] [--threads 1] [--batch 8192]

Input: the co-occurrences of the Wikipedia extract, words that occur 5 times and more,
windows of 10, weights 1/distance; d = 100, x_max = 100, α = ¾, η = .05, one epoch a
round. The peer has one vector and one bias a word, half of GloVe's parameters, and walks
through the entries in one order per fit. The two run in turn, the order alternates; the
peer's process stays, reads a line and times `fit` itself.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.text.cooccurrence import cooccurrence
from d2lcompanion.text.glove import Entries, entries_of
from d2lcompanion.text.glove_training import (
    GloveRecipe,
    initial_glove_vectors,
    train_glove,
)
from d2lcompanion.text.token_stream import encode
from d2lcompanion.text.vocab import Vocab

PEER = """
import sys, time, numpy as np, scipy.sparse as sparse
from glove import Glove
saved = np.load(sys.argv[1])
size = int(saved["size"])
matrix = sparse.coo_matrix((saved["data"], (saved["rows"], saved["columns"])), (size, size))
for line in sys.stdin:
    model = Glove(no_components=100, learning_rate=0.05, max_count=100, random_state=int(line))
    start = time.perf_counter()
    model.fit(matrix, epochs=1, no_threads=int(sys.argv[2]))
    print(time.perf_counter() - start, flush=True)
"""


def ours(entries: Entries, size: int, seed: int, batch: int) -> float:
    """Seconds of an epoch."""
    generator = torch.Generator().manual_seed(seed)
    vectors = initial_glove_vectors(size, 100, generator)
    recipe = GloveRecipe(dimension=100, epochs=1, batch_size=batch)
    start = time.perf_counter()
    list(train_glove(vectors, entries, recipe, generator))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="an interpreter that has it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8192)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    sentences = list(load_corpus("wikipedia").sentences())
    vocab = Vocab.from_sequences(sentences, min_count=5)
    counts = cooccurrence(encode(sentences, vocab), len(vocab), 10)
    entries, table, ratios = entries_of(counts), counts.tocoo(), []
    print(f"{len(vocab):,} words, {table.nnz:,} entries, {chosen.threads} threads")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "entries.npz"
        rows, columns = (ids.astype(np.int32) for ids in table.coords)
        np.savez(path, data=table.data, rows=rows, columns=columns, size=len(vocab))
        command = [str(chosen.peer), "-c", PEER, str(path), str(chosen.threads)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as peer:
            assert peer.stdin is not None
            assert peer.stdout is not None
            for number in range(chosen.rounds):
                seconds = {}
                for side in ("ours", "peer") if number % 2 else ("peer", "ours"):
                    if side == "ours":
                        seconds[side] = ours(entries, len(vocab), number, chosen.batch)
                    else:
                        peer.stdin.write(f"{number}\n")
                        peer.stdin.flush()
                        seconds[side] = float(peer.stdout.readline())
                ratios.append(seconds["peer"] / seconds["ours"])
                speeds = {side: table.nnz / time_ for side, time_ in seconds.items()}
                print(
                    f"{number}: ours {speeds['ours']:,.0f} entries/s, peer {speeds['peer']:,.0f}, "
                    f"{ratios[-1]:.2f} ×",
                    flush=True,
                )
            peer.stdin.close()
    print(f"speed: median {statistics.median(ratios):.2f} ×, {min(ratios):.2f}–{max(ratios):.2f}")


if __name__ == "__main__":
    main()
