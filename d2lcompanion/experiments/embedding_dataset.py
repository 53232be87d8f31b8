"""What becomes of a corpus on its way to minibatches: counts, pairs, filling, time, memory.

The numbers that theory gives (tokens kept, pairs formed, weights by distance) stand
beside those of one draw. Time is taken on growing parts of the corpus, memory on growing
files, in processes of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.embedding_dataset_cost import (
    memory_by_size,
    seconds_by_size,
)
from d2lcompanion.experiments.minibatch_filling import count_filling
from d2lcompanion.experiments.text_corpora import (
    TextCorpus,
    load_corpus,
    zipf_corpus,
)
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.pair_counts import (
    Moments,
    expected_pairs,
    kept_moments,
    pair_count_moments,
)
from d2lcompanion.text.skip_gram_data import (
    keep_probabilities,
    minibatches,
    subsample,
)
from d2lcompanion.text.skip_gram_pairs import (
    reduced_windows,
    window_reach,
)
from d2lcompanion.text.token_stream import TokenStream, encode, token_counts
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.text.zipf import coverage, fit_power_law, zipf_exponent
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        corpus: a name of `load_corpus`, or "zipf".
        sentences: of the corpus "zipf".
        min_count: rarer words are left out.
        threshold: t of subsampling.
        window, negatives, batch_size: c, K, B.
        parts: shares of the corpus on which time is taken, rising, ≥ 2 of them.
        files: sizes in MB of the files on which memory is taken; may be empty.
    Raises:
        ValueError: if a number is out of range.
    """

    corpus: Literal["wikipedia", "zipf", "ptb", "text8", "wikitext-2", "wikitext-103"]
    sentences: int
    min_count: int
    threshold: float
    window: int
    negatives: int
    batch_size: int
    parts: tuple[float, ...]
    files: tuple[float, ...]

    def __post_init__(self) -> None:
        require_numbers(
            self, sentences=1, min_count=1, window=1, negatives=1, batch_size=1
        )
        parts = self.parts
        if len(parts) < 2 or list(parts) != sorted(set(parts)) or not parts[0] > 0:
            raise ValueError(f"parts must be two or more, > 0 and rising, got {parts}")
        if parts[-1] > 1 or any(size <= 0 for size in self.files):
            raise ValueError(
                f"parts must be ≤ 1 and files > 0, got {parts} and {self.files}"
            )


PARTS = (0.125, 0.25, 0.5, 1.0)
PRESETS = {
    "ci": Preset("wikipedia", 1, 5, 1e-4, 5, 5, 512, parts=PARTS, files=()),
    "laptop": Preset(
        "zipf", 420_680, 10, 1e-4, 5, 5, 512, parts=PARTS, files=(8, 16, 32, 64)
    ),
    "gpu": Preset("text8", 1, 5, 1e-4, 5, 5, 512, parts=PARTS, files=(100, 400)),
}

# -------------------------------------------------------------------------------------- the study


class Prepared(NamedTuple):
    """A corpus, ready for minibatches.

    Attributes:
        vocab: words that occur often enough.
        every_count: counts of all words, rare ones too.
        stream: all tokens of the vocabulary.
        keep: probability of each word to stay.
        noise: draws negatives.
    """

    vocab: Vocab
    every_count: Tensor
    stream: TokenStream
    keep: Tensor
    noise: AliasSampler


def prepare(
    sentences: Iterable[list[str]], *, min_count: int, threshold: float
) -> Prepared:
    """Vocabulary, ids, and the two distributions."""
    held = list(sentences)
    every = Vocab.from_sequences(held)
    vocab = Vocab.from_sequences(held, min_count=min_count)
    stream = encode(held, vocab)
    counts = token_counts(stream, len(vocab))
    return Prepared(
        vocab,
        every.counts,
        stream,
        keep_probabilities(counts, threshold),
        AliasSampler(noise_distribution(counts)),
    )


def distance_shares(
    stream: TokenStream, max_window: int, generator: torch.Generator
) -> Tensor:
    """Of the places d apart in a sentence, the share that makes a pair, d = 1 … c: [c]."""
    windows = reduced_windows(len(stream.ids), max_window, generator)
    drawn = torch.stack(window_reach(stream, windows))
    room = torch.stack(window_reach(stream, torch.full_like(stream.ids, max_window)))
    shares = [(drawn >= d).sum() / (room >= d).sum() for d in range(1, max_window + 1)]
    return torch.stack(shares).double()


def sentence_lengths(stream: TokenStream) -> Tensor:
    """Tokens of each sentence that has one."""
    lengths: Tensor = torch.unique_consecutive(stream.sentence, return_counts=True)[1]
    return lengths


# ---------------------------------------------------------------------------------- the experiment


def open_corpus(preset: Preset, seed: int) -> TextCorpus:
    """The preset's corpus; a made-up one is drawn by the seed."""
    if preset.corpus == "zipf":
        return zipf_corpus(preset.sentences, seed=seed)
    return load_corpus(preset.corpus)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    corpus, generator = open_corpus(preset, context.settings.seed), context.generator
    sentences = list(corpus.sentences())
    data = prepare(sentences, min_count=preset.min_count, threshold=preset.threshold)
    counts = token_counts(data.stream, len(data.vocab))
    kept = subsample(data.stream, data.keep, generator)
    layout = {
        "max_window": preset.window,
        "negatives": preset.negatives,
        "batch_size": preset.batch_size,
    }
    passing = minibatches(kept, data.noise, generator=generator, **layout)
    filling = count_filling(passing, preset.negatives)
    before = expected_pairs(sentence_lengths(data.stream), preset.window)
    left = coverage(data.every_count, preset.min_count)
    head = zipf_exponent(data.every_count, 1, left.words // 50).exponent
    tail = zipf_exponent(data.every_count, left.words // 5, left.words).exponent
    tokens, seconds = seconds_by_size(
        sentences,
        preset.parts,
        generator,
        min_count=preset.min_count,
        threshold=preset.threshold,
        **layout,
    )
    law = fit_power_law(torch.tensor(tokens), torch.tensor(seconds))
    return {
        "tokens": int(data.every_count.sum()),
        "words": len(data.every_count),
        "vocabulary": left.words,
        "covered": left.tokens / int(data.every_count.sum()),
        "zipf": {"head": -head, "tail": -tail},
        "kept": _against(len(kept.ids), kept_moments(counts, data.keep))
        | {"share": len(kept.ids) / len(data.stream.ids)},
        "pairs": _against(filling.contexts, pair_count_moments(kept, preset.window))
        | {"before": before, "share": filling.contexts / before},
        "distance_shares": distance_shares(kept, preset.window, generator).tolist(),
        "filling": {
            "useful": (filling.contexts + filling.negatives) / filling.entries,
            "hits": filling.hits / (filling.hits + filling.negatives),
        },
        "cost": {"tokens": tokens, "seconds": seconds, "exponent": law.exponent},
        "memory": memory_by_size(corpus, preset.files),
    }  # fmt: skip


def _against(measured: int, moments: Moments) -> dict[str, float]:
    """A number beside what was expected, and how many standard deviations lie between."""
    return {
        "measured": measured,
        "expected": moments.mean,
        "deviations": (measured - moments.mean) / max(moments.sd, 1e-9),
    }


EXPERIMENT = Experiment(
    name="embedding-dataset",
    title=Text(
        "From a corpus to minibatches: what is kept, paired and filled",
        "从语料到小批量：保留了多少，配成多少对，填充了多少",
    ),
    chapter="text/embedding-dataset",
    presets=PRESETS,
    notes={
        "ci": "the Wikipedia extract of gensim: seconds on one CPU thread",
        "laptop": "8.8 million made-up tokens, files up to 64 MB: minutes on a CPU",
        "gpu": "text8, 17 million tokens, to be downloaded; files up to 400 MB",
    },
    run=run,
    columns=(
        Column("tokens", Text("tokens", "词元"), ".0f"),
        Column("vocabulary", Text("vocabulary", "词表"), ".0f"),
        Column("kept.share", Text("tokens kept", "保留的词元"), ".3f"),
        Column("kept.deviations", Text("off expectation (sd)", "与期望之差（标准差）"), ".1f"),
        Column("pairs.share", Text("pairs kept", "保留的词对"), ".3f"),
        Column("filling.useful", Text("entries in use", "有用的位置"), ".3f"),
        Column("cost.exponent", Text("time ∝ tokens^", "时间 ∝ 词元数的幂"), ".2f"),
    ),
)  # fmt: skip
