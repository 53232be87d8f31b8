"""Counting against predicting: word vectors of one corpus, by five methods, judged alike.

Every method sees the same tokens, has the same dimension (except for the plain PPMI,
whose rows are as long as the vocabulary) and may choose among as many settings. SimLex-999
chooses, WordSim-353 judges. The seed leaves out a tenth of the paragraphs, draws the
first vectors and orders what is trained.
"""

from collections.abc import Mapping, Sequence

import torch

from d2lcompanion.experiments.text_corpora import load_corpus
from d2lcompanion.experiments.word_vector_judges import agreement, judges
from d2lcompanion.experiments.word_vector_methods import (
    LABELS,
    METHODS,
    Corpus,
    GloveRun,
    Method,
    Outcome,
    Preset,
    bias_correlation,
)
from d2lcompanion.experiments.word_vector_report import analogies
from d2lcompanion.text.token_stream import TokenStream, encode
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.wall_time import Stopwatch

LEFT_OUT = 0.1  # of the paragraphs, by the seed

PRESETS = {
    "ci": Preset("wikipedia", 10, 32, 5, 15, 6, 4096),
    "laptop": Preset("wikipedia", 5, 100, 5, 25, 12, 4096),
    "gpu": Preset("text8", 5, 300, 10, 15, 25, 65_536, x_maxes=(10.0, 100.0)),
}


def prepare(sentences: Sequence[Sequence[str]], min_count: int, *, seed: int) -> Corpus:
    """Nine tenths of the sentences, chosen by the seed."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(len(sentences), generator=generator) >= LEFT_OUT
    kept = [
        words for words, keep in zip(sentences, drawn.tolist(), strict=True) if keep
    ]
    vocab = Vocab.from_sequences(kept, min_count=min_count)
    return Corpus(vocab, encode(kept, vocab))


# --------------------------------------------------------------------------------- the experiment


def measure(
    method: Method, corpus: Corpus, preset: Preset, seed: int
) -> dict[str, object]:
    """One method at its best setting, as numbers for JSON."""
    chooses, decides = judges()
    tried: list[tuple[float, float, float, Outcome]] = []
    for setting in getattr(preset, method.settings):
        with Stopwatch(corpus.stream.ids.device) as watch:
            found = method.run(corpus, preset, setting, seed)
        score = agreement(chooses, found.vocab, found.vectors)
        tried.append((score, setting, watch.seconds, found))
    score, setting, seconds, found = max(tried, key=lambda item: item[:2])
    whole = len(found.vocab) == len(corpus.vocab)
    answered = analogies(found.vectors, found.vocab) if whole else {"right": None}
    result: dict[str, object] = {
        "setting": setting,
        "seconds": seconds,
        "simlex": score,
        "wordsim": agreement(decides, found.vocab, found.vectors),
        "analogies": answered["right"],
        "by_epoch": found.by_epoch,
    }
    if isinstance(found.details, GloveRun):
        vectors, entries = found.details
        sums = entries.counts.new_zeros(len(corpus.vocab))
        sums.index_add_(0, entries.words, entries.counts)
        result["bias_correlation"] = bias_correlation(vectors, sums)
    return result


def with_shares(results: Mapping[str, dict[str, object]]) -> dict[str, object]:
    """The seconds of each method as shares of all, which do not depend on the machine much."""
    total = sum(float(str(result["seconds"])) for result in results.values())
    for result in results.values():
        result["share"] = float(str(result.pop("seconds"))) / total
    return dict(results)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """The study as numbers for `d2lc run`."""
    seed = context.settings.seed
    sentences = list(load_corpus(preset.corpus).sentences())
    vocab, stream = prepare(sentences, preset.min_count, seed=seed)
    moved = TokenStream(*(part.to(context.device) for part in stream))
    corpus = Corpus(vocab, moved)
    known = [
        sum(all(word in vocab for word in pair) for pair in rated.pairs)
        for rated in judges()
    ]
    results = {}
    names = list(METHODS)
    for index in context.track(range(len(names)), "methods"):
        name = names[index]
        results[name] = measure(METHODS[name], corpus, preset, seed)
    return {
        "words": len(vocab),
        "tokens": len(stream.ids),
        "pairs": {"simlex": known[0], "wordsim": known[1]},
        **with_shares(results),
    }


EXPERIMENT = Experiment(
    name="word-vectors-compared",
    title=Text(
        "Five ways to word vectors from one corpus: Spearman's ρ on WordSim-353, settings chosen "
        "on SimLex-999",
        "同一份语料、五种办法的词向量：在 WordSim-353 上的斯皮尔曼 ρ，设置由 SimLex-999 选定",
    ),
    chapter="text/glove",
    presets=PRESETS,
    notes={
        "ci": "Wikipedia extract, words of 10 and more, 32 dimensions: a minute on one CPU thread",
        "laptop": "Wikipedia extract, words of 5 and more, 100 dimensions: minutes on a CPU",
        "gpu": "text8, 300 dimensions, windows of 10",
    },
    run=run,
    columns=(
        Column("words", Text("words", "词数"), ".0f"),
        *(
            Column(f"{name}.wordsim", Text(label, label), ".3f")
            for name, label in LABELS.items()
        ),
    ),
)
