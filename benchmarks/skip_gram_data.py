"""The way from sentences to minibatches: ours against d2l's own functions, in one run.

Both start from the same lists of words and their vocabulary and end with all minibatches
of one pass: ids, subsampling (t = 1e-4), windows (c = 5), 5 noise words per context word,
batches of 512 centers in random order, masks and labels. d2l draws noise words that are
in the window again, ours are masked. Building the vocabularies is timed on neither side.
The two run in turn, the order alternates, and the median of the ratios of one round's two
times is reported, with the lowest and the highest.

    python benchmarks/skip_gram_data.py [--rounds 7] [--threads 2] [--corpus both]
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads leave the core to others

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch
from d2l import torch as d2l

from d2lcompanion.experiments.text_corpora import TextCorpus, load_corpus, zipf_corpus
from d2lcompanion.text.negative_sampling import AliasSampler, noise_distribution
from d2lcompanion.text.skip_gram_data import keep_probabilities, minibatches, subsample
from d2lcompanion.text.token_stream import encode, token_counts
from d2lcompanion.text.vocab import Vocab

THRESHOLD, WINDOW, NOISE, BATCH = 1e-4, 5, 5, 512
PTB_SENTENCES = 42_068
CORPORA: dict[str, tuple[Callable[[], TextCorpus], int]] = {
    "wikipedia": (lambda: load_corpus("wikipedia"), 5),
    "zipf": (lambda: zipf_corpus(PTB_SENTENCES), 10),
}
Sentences = list[list[str]]


def theirs(sentences: Sentences, vocab: d2l.Vocab, seed: int) -> tuple[int, int]:
    """Batches and context words of one pass."""
    random.seed(seed)
    subsampled, counter = d2l.subsample(sentences, vocab)
    corpus = [vocab[line] for line in subsampled]
    centers, contexts = d2l.get_centers_and_contexts(corpus, WINDOW)
    negatives = d2l.get_negatives(contexts, vocab, counter, NOISE)
    order = list(range(len(centers)))
    random.shuffle(order)
    batches = pairs = 0
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = d2l.batchify([(centers[i], contexts[i], negatives[i]) for i in rows])
        batches, pairs = batches + 1, pairs + int(batch[3].sum())
    return batches, pairs


def ours(sentences: Sentences, vocab: Vocab, seed: int) -> tuple[int, int]:
    """The same."""
    generator = torch.Generator().manual_seed(seed)
    stream = encode(sentences, vocab)
    counts = token_counts(stream, len(vocab))
    kept = subsample(stream, keep_probabilities(counts, THRESHOLD), generator)
    noise = AliasSampler(noise_distribution(counts))
    batches = pairs = 0
    for batch in minibatches(
        kept, noise, max_window=WINDOW, negatives=NOISE, batch_size=BATCH, generator=generator
    ):
        batches, pairs = batches + 1, pairs + int(batch.labels.sum())
    return batches, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--corpus", choices=["both", *CORPORA], default="both")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__}, {chosen.threads} threads, {chosen.rounds} rounds")
    for name, (load, least) in CORPORA.items():
        if chosen.corpus in ("both", name):
            compare(name, list(load().sentences()), least, chosen.rounds)


def compare(name: str, sentences: Sentences, least: int, rounds: int) -> None:
    vocabularies = {
        "d2l": d2l.Vocab(sentences, min_freq=least),
        "ours": Vocab.from_sequences(sentences, min_count=least),
    }
    work = {"d2l": theirs, "ours": ours}
    made = {side: work[side](sentences, vocabularies[side], 0) for side in work}  # warm
    tokens = sum(map(len, sentences))
    print(f"{name}: {tokens:,} words; batches and pairs: {made}", flush=True)
    ratios, seconds = [], {"d2l": [], "ours": []}
    for number in range(rounds):
        for side in ("d2l", "ours") if number % 2 else ("ours", "d2l"):
            start = time.perf_counter()
            work[side](sentences, vocabularies[side], number)
            seconds[side].append(time.perf_counter() - start)
        ratios.append(seconds["d2l"][-1] / seconds["ours"][-1])
    for side, times in seconds.items():
        print(
            f"  {side:5} {statistics.median(times):7.2f} s, {tokens / statistics.median(times):,.0f} words/s"
        )
    spread = f"{min(ratios):.1f} – {max(ratios):.1f}"
    print(f"  ratio {statistics.median(ratios):.1f} (lowest – highest {spread})", flush=True)


if __name__ == "__main__":
    main()
