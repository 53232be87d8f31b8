"""Skip-gram with negative sampling, from sentences to vectors, against gensim and d2l.

Vocabulary, subsampling, windows and training are all timed; speed and quality come from
the same runs. gensim and ours run in turn, one seed a round, with equal settings, and
every seed is reported; gensim has as many workers as ours. d2l's pipeline and the training loop of its book are timed on one
epoch of a part of the corpus, ours on the same part.

    python benchmarks/sgns.py [--rounds 7] [--threads 2] [--text FILE] [--peer gensim|d2l]
"""

import argparse
import random
import statistics
import time
from collections import Counter
from pathlib import Path

import torch

from d2lcompanion.data.wikipedia import load_wikipedia, words_of
from d2lcompanion.data.word_similarity import load_simlex999, load_wordsim353
from d2lcompanion.experiments.skip_gram_peers import d2l_epoch, gensim_vectors, import_peers
from d2lcompanion.text.block_layout import Layout, fitting_layout
from d2lcompanion.text.sgns import Recipe, initial_vectors
from d2lcompanion.text.sgns_blocks import train_in_blocks
from d2lcompanion.text.similarity import word_similarity
from d2lcompanion.text.token_stream import encode, token_counts
from d2lcompanion.text.vocab import Vocab

MIN_COUNT = 5
RECIPE = Recipe()  # gensim's defaults
Sentences = list[list[str]]


def paragraphs(path: Path | None) -> Sentences:
    """A file of one paragraph a line, or the Wikipedia extract."""
    if path is None:
        return [list(words) for words in load_wikipedia().paragraphs]
    lines = path.read_text(encoding="utf-8").splitlines()
    return [words for words in (list(words_of(line)) for line in lines) if words]


def ours(
    sentences: Sentences, seed: int, recipe: Recipe, workers: int
) -> tuple[float, int, Vocab, torch.Tensor]:
    """Seconds, tokens trained on, vocabulary, vectors."""
    start = time.perf_counter()
    vocab = Vocab.from_sequences(sentences, min_count=MIN_COUNT)
    stream = encode(sentences, vocab)
    generator = torch.Generator().manual_seed(seed)
    vectors = initial_vectors(len(vocab), recipe.dimension, generator)
    reports = train_in_blocks(vectors, stream, recipe, generator, workers=workers)
    tokens = sum(report.tokens for report in reports)
    return time.perf_counter() - start, tokens, vocab, vectors.center


def gensim(sentences: Sentences, seed: int, threads: int) -> tuple[float, int, Vocab, torch.Tensor]:
    """The same by gensim's Word2Vec."""
    start = time.perf_counter()
    found = gensim_vectors(sentences, RECIPE, min_count=MIN_COUNT, seed=seed, threads=threads)
    return time.perf_counter() - start, found.tokens, found.vocab, found.vectors.center


def qualities(vocab: Vocab, vectors: torch.Tensor) -> list[float]:
    """Spearman's ρ on WordSim-353 and SimLex-999."""
    sets = (load_wordsim353().lower(), load_simlex999().lower())
    return [
        word_similarity(rated.pairs, rated.ratings, vocab, vectors).correlation for rated in sets
    ]


def against_gensim(sentences: Sentences, rounds: int, threads: int) -> None:
    """Print every seed, then medians."""
    ours(sentences, 0, Recipe(epochs=1), threads)  # memory is warm
    ratios, found = [], {"ours": [], "gensim": []}
    print("seed  ours s  gensim s  ratio  tokens (ours/gensim)   WordSim (ours/gensim)  SimLex")
    for seed in range(rounds):
        random.Random(seed).shuffle(sentences)  # gensim reads in this order, ours in one of its own
        runs = {}
        for name in ("ours", "gensim") if seed % 2 else ("gensim", "ours"):
            runs[name] = (
                ours(sentences, seed, RECIPE, threads)
                if name == "ours"
                else gensim(sentences, seed, threads)
            )
        (seconds, tokens, vocab, vectors), (peer_seconds, peer_tokens, peer_vocab, peer_vectors) = (
            runs["ours"],
            runs["gensim"],
        )
        assert dict(zip(vocab.tokens, vocab.counts.tolist(), strict=True)) == dict(
            zip(peer_vocab.tokens, peer_vocab.counts.tolist(), strict=True)
        )
        assert abs(tokens / peer_tokens - 1) < 0.01
        ratios.append(peer_seconds / seconds)
        found["ours"].append(qualities(vocab, vectors))
        found["gensim"].append(qualities(peer_vocab, peer_vectors))
        (a, b), (c, d) = found["ours"][-1], found["gensim"][-1]
        print(
            f"{seed:4}  {seconds:6.2f}  {peer_seconds:8.2f}  {ratios[-1]:5.2f}  {tokens:,}/{peer_tokens:,}"
            f"   {a:.3f}/{c:.3f}            {b:.3f}/{d:.3f}",
            flush=True,
        )
    print(f"speed: median {statistics.median(ratios):.2f} ×, {min(ratios):.2f}–{max(ratios):.2f}")
    for column, name in enumerate(("WordSim-353", "SimLex-999")):
        for side, values in found.items():
            numbers = [value[column] for value in values]
            mean, deviation = statistics.mean(numbers), statistics.stdev(numbers)
            print(f"{name}, {side}: {mean:.3f} ± {deviation:.3f}, lowest {min(numbers):.3f}")


def d2l(sentences: Sentences, threads: int) -> tuple[float, int]:
    """Seconds and center words of one epoch, pipeline included, with the settings of d2l's book."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    centers = d2l_epoch(sentences, RECIPE, min_count=MIN_COUNT)
    seconds = time.perf_counter() - start
    torch.set_num_threads(1)
    return seconds, centers


def against_d2l(sentences: Sentences, rounds: int, threads: int) -> None:
    """Center words a second, on the same part of the corpus."""
    part = sentences[: len(sentences) // 5]
    # d2l thins out by √(10⁻⁴/f), ours by gensim's formula and 10⁻³: words a second are compared.
    ratios = []
    for number in range(rounds):
        rates = {}
        for name in ("ours", "d2l") if number % 2 else ("d2l", "ours"):
            seconds, words = (
                ours(part, number, Recipe(epochs=1), threads)[:2]
                if name == "ours"
                else d2l(part, threads)
            )
            rates[name] = words / seconds
        ratios.append(rates["ours"] / rates["d2l"])
        print(
            f"{number}: ours {rates['ours']:,.0f}/s, d2l {rates['d2l']:,.0f}/s, {ratios[-1]:.1f} ×",
            flush=True,
        )
    print(f"speed: median {statistics.median(ratios):.1f} ×, {min(ratios):.1f}–{max(ratios):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--text", type=Path, help="UTF-8, a paragraph a line")
    parser.add_argument("--peer", choices=("gensim", "d2l"), default="gensim")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # of each of our workers
    import_peers()
    sentences = paragraphs(chosen.text)
    counts = Counter(word for words in sentences for word in words)
    vocab = Vocab.from_sequences(sentences, min_count=MIN_COUNT)
    layout = fitting_layout(token_counts(encode(sentences, vocab), len(vocab)), RECIPE)
    print(
        f"{counts.total():,} words, {len(vocab):,} of them known; {chosen.threads} threads; torch "
        f"{torch.__version__}; {layout}{'' if layout == Layout() else ' (halved to fit)'}"
    )
    if chosen.peer == "gensim":
        against_gensim(sentences, chosen.rounds, chosen.threads)
    else:
        against_d2l(sentences, chosen.rounds, chosen.threads)


if __name__ == "__main__":
    main()
