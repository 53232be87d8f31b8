"""The way from sentences to minibatches: ours against d2l's own functions, in one run.

Both start from the same lists of words and their vocabulary and end with all minibatches
of one pass: ids, subsampling (t = 1e-4), windows (c = 5), 5 noise words per context word,
batches of 512 centers in random order, masks and labels. d2l draws noise words that are
in the window again, ours are masked. Building the vocabularies is timed on neither side.
d2l's pipeline is Python and uses one core; so does ours here, unless --threads says otherwise.
The two run in turn, the order alternates, and the median of the ratios of one round's two
times is reported, with the lowest and the highest: by the wall clock, and in CPU seconds, which
other programs on the machine lengthen less.

    python benchmarks/skip_gram_data.py [--rounds 7] [--threads 1] [--corpus both]
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
from d2lcompanion.text.noise import AliasSampler, noise_distribution
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
    """Batches and rows of one pass."""
    random.seed(seed)
    subsampled, counter = d2l.subsample(sentences, vocab)
    corpus = [vocab[line] for line in subsampled]
    centers, contexts = d2l.get_centers_and_contexts(corpus, WINDOW)
    negatives = d2l.get_negatives(contexts, vocab, counter, NOISE)
    order = list(range(len(centers)))
    random.shuffle(order)
    batches = rows = 0
    for start in range(0, len(order), BATCH):
        some = order[start : start + BATCH]
        batch = d2l.batchify([(centers[i], contexts[i], negatives[i]) for i in some])
        batches, rows = batches + 1, rows + batch[3].shape[0]
    return batches, rows


def ours(sentences: Sentences, vocab: Vocab, seed: int) -> tuple[int, int]:
    """The same."""
    generator = torch.Generator().manual_seed(seed)
    stream = encode(sentences, vocab)
    counts = token_counts(stream, len(vocab))
    kept = subsample(stream, keep_probabilities(counts, THRESHOLD), generator)
    noise = AliasSampler(noise_distribution(counts))
    batches = rows = 0
    for batch in minibatches(
        kept, noise, max_window=WINDOW, negatives=NOISE, batch_size=BATCH, generator=generator
    ):
        batches, rows = batches + 1, rows + len(batch.labels)
    return batches, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
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
    print(f"{name}: {tokens:,} words; batches and rows: {made}", flush=True)
    clocks = {"wall": time.perf_counter, "CPU": time.process_time}
    seconds = {(clock, side): [] for clock in clocks for side in work}
    for number in range(rounds):
        for side in ("d2l", "ours") if number % 2 else ("ours", "d2l"):
            start = {clock: read() for clock, read in clocks.items()}
            work[side](sentences, vocabularies[side], number)
            for clock, read in clocks.items():
                seconds[clock, side].append(read() - start[clock])
    for clock in clocks:
        middle = {side: statistics.median(seconds[clock, side]) for side in work}
        pairs = zip(seconds[clock, "d2l"], seconds[clock, "ours"], strict=True)
        ratios = sorted(slow / fast for slow, fast in pairs)
        print(
            f"  {clock:4} d2l {middle['d2l']:6.2f} s, ours {middle['ours']:5.3f} s "
            f"({tokens / middle['ours']:,.0f} words/s), ratio {statistics.median(ratios):.1f} "
            f"(lowest – highest {ratios[0]:.1f} – {ratios[-1]:.1f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
