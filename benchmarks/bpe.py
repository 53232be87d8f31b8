"""BPE training against the Rust trainer of `tokenizers`, and against recounting every pair.

Text: the Wikipedia extract that gensim carries (2.5 MB of lower-case words), 4,000 merges.
Both start from the same lines, count the same words, and learn the same merges, which is
checked. `end to end` is counting and merging; `merging` leaves counting out, for Rust by
subtracting a training with no merges. Recounting, the algorithm of d2l's notebook with
whole symbols in place of its string replacement, is timed on a few merges from the start
and from the end (where words are shorter); their mean times 4,000 is its estimate.

    python benchmarks/bpe.py [--rounds 7] [--merges 4000]
"""

import argparse
import os
import statistics
import time
from collections import Counter

os.environ.setdefault("RAYON_NUM_THREADS", "2")

import itertools

from tokenizers import Tokenizer, __version__, models, pre_tokenizers, trainers

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.bpe import merge_pair, train_bpe

SAMPLED = 6  # merges of the slow peer that are timed at either end


def rust(lines, vocabulary):
    """Seconds, and the merges' text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False)
    start = time.perf_counter()
    tokenizer.train_from_iterator(lines, trainer)
    return time.perf_counter() - start, tokenizer


def ours(lines, merges):
    """Seconds of counting and of merging, and what was learned."""
    start = time.perf_counter()
    counts = Counter(word for line in lines for word in line.split())
    counted = time.perf_counter()
    bpe = train_bpe(counts, merges)
    return counted - start, time.perf_counter() - counted, bpe


def recounting(corpus, counts, steps):
    """Seconds a merge when every pair of every word is counted again."""
    start = time.perf_counter()
    for _ in range(steps):
        pairs = Counter()
        for word, symbols in corpus.items():
            for pair in itertools.pairwise(symbols):
                pairs[pair] += counts[word]
        best = max(pairs, key=pairs.get)
        corpus = {word: merge_pair(symbols, best) for word, symbols in corpus.items()}
    return (time.perf_counter() - start) / steps


def spread(values):
    return f"{statistics.median(values):8.2f}{min(values):9.2f}{max(values):9.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--merges", type=int, default=4000)
    chosen = parser.parse_args()
    lines = [" ".join(words) for words in load_wikipedia().paragraphs]
    counts = Counter(word for line in lines for word in line.split())
    bpe = train_bpe(counts, chosen.merges)
    letters = len(bpe.alphabet)
    tokenizer = rust(lines, letters + chosen.merges)[1]
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary, key=vocabulary.get) == list(bpe.tokens), "other tokens"
    last = {word: bpe.segment(word) for word in counts}
    whole, merging, slow, seconds = [], [], [], []
    for number in range(chosen.rounds):
        if number % 2:
            counting, merged, _ = ours(lines, chosen.merges)
        full, bare = rust(lines, letters + chosen.merges)[0], rust(lines, letters)[0]
        if number % 2 == 0:
            counting, merged, _ = ours(lines, chosen.merges)
        first = recounting({word: list(word) for word in counts}, counts, SAMPLED)
        each = (first + recounting(last, counts, SAMPLED)) / 2
        whole.append((counting + merged) / full)
        merging.append(merged / max(full - bare, 1e-9))
        slow.append(each * chosen.merges / merged)
        seconds.append(merged)
    print(f"tokenizers {__version__}, {sum(map(len, lines)) / 1e6:.1f} MB, {len(counts)} words, "
          f"{len(bpe.merges)} merges, {chosen.rounds} rounds")  # fmt: skip
    print(f"{'':34}{'median':>8}{'lowest':>9}{'highest':>9}")
    print(f"{'ours / Rust, end to end':34}{spread(whole)}")
    print(f"{'ours / Rust, merging':34}{spread(merging)}")
    print(f"{'recounting / ours, merging (est.)':34}{spread(slow)}")
    print(f"{'ours, merging, seconds':34}{spread(seconds)}")


if __name__ == "__main__":
    main()
