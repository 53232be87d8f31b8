"""Counting co-occurrences: ours against a plain Python loop, and peak memory against corpus size.

Speed: the Wikipedia extract, words that occur 5 times and more, windows of 10, weights
1/distance, both sides; ids are given to both. The two run in turn, the order alternates,
and the median of the ratios of one round's two times is reported, with the lowest and the
highest. Both results are compared entry by entry.

Memory: the extract is written to a file once, 4 and 16 times over (text of other words
would grow the matrix, whose size is on disk). Each file is counted in a process of its
own, whole and streamed: the file is read in pieces, blocks of 200,000 words become
summands of at least 1,000,000 entries, which go to disk as shards; then the rows are read
back, 256 at a time. What is reported is the largest resident size, less that before.

    python benchmarks/cooccurrence.py [--rounds 7] [--threads 1]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from d2lcompanion.data.sparse_shards import read_rows, save_shards
from d2lcompanion.experiments.streaming_memory import resident_size
from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.text.cooccurrence import (
    cooccurrence,
    distance_weights,
    partial_cooccurrences,
    slow_cooccurrence,
)
from d2lcompanion.text.corpus import read_ptb
from d2lcompanion.text.token_stream import encode, encode_blocks
from d2lcompanion.text.vocab import Vocab

MIN_COUNT, WINDOW = 5, 10
BLOCK, ENTRIES, ROWS = 200_000, 1_000_000, 256


def speed(rounds: int) -> None:
    """Ratios of seconds."""
    sentences = list(load_corpus("wikipedia").sentences())
    vocab = Vocab.from_sequences(sentences, min_count=MIN_COUNT)
    stream = encode(sentences, vocab)
    known = [[vocab.id_of(word) for word in words if word in vocab] for words in sentences]
    weights = distance_weights(WINDOW, "inverse").tolist()
    ratios = []
    for number in range(rounds):
        seconds, results = {}, {}
        for name in ("ours", "loop") if number % 2 else ("loop", "ours"):
            start = time.perf_counter()
            results[name] = (
                cooccurrence(stream, len(vocab), WINDOW)
                if name == "ours"
                else slow_cooccurrence(known, weights)
            )
            seconds[name] = time.perf_counter() - start
        if number == 0:
            table, loop = results["ours"].tocoo(), results["loop"]
            assert table.nnz == len(loop)
            places = zip(*(ids.tolist() for ids in table.coords), strict=True)
            np.testing.assert_allclose(table.data, [loop[place] for place in places])
            print(f"{len(stream.ids):,} tokens, {len(vocab):,} words, {table.nnz:,} entries")
        ratios.append(seconds["loop"] / seconds["ours"])
        rate = len(stream.ids) / seconds["ours"]
        print(f"{number}: {rate:,.0f} tokens/s, {ratios[-1]:.1f} ×", flush=True)
        del results
    print(f"speed: median {statistics.median(ratios):.1f} ×, {min(ratios):.1f}–{max(ratios):.1f}")


def count(path: Path, folder: Path | None) -> tuple[float, float]:
    """Total of the matrix and peak MB; with a folder through shards, without it in memory."""
    before = resident_size()[0]
    vocab = Vocab.from_sequences(read_ptb(path), min_count=MIN_COUNT)
    if folder is None:
        sentences = list(read_ptb(path))
        total = float(cooccurrence(encode(sentences, vocab), len(vocab), WINDOW).sum())
    else:
        blocks = encode_blocks(read_ptb(path), vocab, tokens=BLOCK)
        parts = partial_cooccurrences(blocks, len(vocab), WINDOW, entries=ENTRIES)
        save_shards(parts, folder)
        total = sum(
            float(read_rows(folder, begin, min(begin + ROWS, len(vocab))).sum())
            for begin in range(0, len(vocab), ROWS)
        )
    return total, resident_size()[1] - before


def memory(sizes: tuple[int, ...]) -> None:
    """Peak memory of processes of their own."""
    sentences = list(load_corpus("wikipedia").sentences())
    found: dict[str, list[float]] = {"whole": [], "streamed": []}
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            path = Path(name) / f"{size}.txt"
            with path.open("w", encoding="utf-8") as file:
                for _ in range(size):
                    file.writelines(" ".join(words) + "\n" for words in sentences)
            totals = []
            for way, peaks in found.items():
                folder = str(Path(name) / f"shards-{size}") if way == "streamed" else ""
                command = [sys.executable, __file__, "--count", str(path), "--shards", folder]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                total, peak = json.loads(done.stdout)
                totals.append(total)
                peaks.append(peak)
            assert np.isclose(*totals)
            print(f"{size:2} × ({path.stat().st_size / 1e6:.1f} MB of text): "
                  f"streamed {found['streamed'][-1]:.0f} MB, whole {found['whole'][-1]:.0f} MB",
                  flush=True)  # fmt: skip
    for way, peaks in found.items():
        print(f"{way}: {sizes[-1]} times the text takes {peaks[-1] / peaks[0]:.2f} × the memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shards", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.count is not None:
        print(json.dumps(count(chosen.count, Path(chosen.shards) if chosen.shards else None)))
        return
    print(f"{chosen.threads} threads of {os.cpu_count()}; numpy {np.__version__}")
    speed(chosen.rounds)
    memory((1, 4, 16))


if __name__ == "__main__":
    main()
