"""Subwords measured: collisions of n-grams, and fastText.

fastText is trained on the Wikipedia extract, and gensim's beside it with the same
hyperparameters on the same words; both are scored on WordSim-353 and SimLex-999, and on
misspelt words: is the right one among the five nearest of the vocabulary?
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.data.word_similarity import load_simlex999, load_wordsim353
from d2lcompanion.extras import require
from d2lcompanion.text.fasttext import FastText, NGrams, character_ngrams, fnv1a
from d2lcompanion.text.similarity import nearest, unit, word_similarity
from d2lcompanion.text.subword_skip_gram import Plan, train
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.wall_time import Stopwatch

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        dimension, epochs, window: of both programs.
        buckets: rows for n-grams, ≥ 1.
        min_count: rarer words have no row of their own.
        misspelt: so many words are misspelt, ≥ 1.
    """

    dimension: int
    epochs: int
    window: int
    buckets: int
    min_count: int
    misspelt: int

    @property
    def ngrams(self) -> NGrams:
        """Of 3 to 6 characters."""
        return NGrams(3, 6, self.buckets)

    @property
    def plan(self) -> Plan:
        """The rest as fastText has it: 5 negatives, rate 0.05."""
        return Plan(self.dimension, self.window, epochs=self.epochs)


PRESETS = {
    "ci": Preset(50, 5, 5, 50_000, 5, 200),
    "laptop": Preset(100, 5, 5, 200_000, 5, 500),
    "gpu": Preset(300, 20, 5, 2_000_000, 5, 500),
}

# Misspelt and derived words that the extract does not have five times.
UNSEEN = ("goverment", "philosofical", "mathematicians", "unhappyness", "musically")

# ------------------------------------------------------------------------------------------ n-grams


def shared_buckets(
    words: Iterable[str], sizes: Sequence[int]
) -> tuple[int, list[float]]:
    """Distinct n-grams of words, and for B of each size the share that is not alone."""
    hashes = [
        fnv1a(gram.encode())
        for gram in {gram for word in words for gram in character_ngrams(word)}
    ]
    filled = [Counter(h % buckets for h in hashes) for buckets in sizes]
    alone = [sum(count == 1 for count in counts.values()) for counts in filled]
    return len(hashes), [1 - number / len(hashes) for number in alone]


def misspell(word: str) -> str:
    """The word without its third letter from the end: governmnt.

    Raises:
        ValueError: if the word has fewer than four letters.
    """
    if len(word) < 4:
        raise ValueError(f"word must have 4 letters or more, got {word!r}")
    return word[:-3] + word[-2:]


def misspelt_words(vocab: Vocab, count: int) -> list[tuple[str, str]]:
    """The most frequent words of 7 letters or more, and each misspelt into an unknown word."""
    long = (word for word in vocab.tokens if len(word) >= 7)
    pairs = ((word, misspell(word)) for word in long)
    return [pair for pair in pairs if pair[1] not in vocab][:count]


def found_again(model: FastText, pairs: Sequence[tuple[str, str]], k: int = 1) -> float:
    """The share of misspelt words that have the right one among their k nearest."""
    queries = torch.stack([model.vector(wrong) for _, wrong in pairs])
    ids = nearest(queries, model.vectors(), k).ids
    right = torch.tensor([model.vocab.id_of(word) for word, _ in pairs])
    return float((ids.cpu() == right[:, None]).any(1).double().mean())


def neighbours(model: FastText, word: str, k: int) -> list[str]:
    """The k nearest words of the vocabulary, the word itself left out."""
    found = nearest(model.vector(word)[None], model.vectors(), k + 1).ids[0]
    return [w for w in model.vocab.decode(found) if w != word][:k]


def unseen_agreement(model: FastText) -> tuple[float, int]:
    """Spearman's ρ on the pairs of WordSim-353 of which a word was never seen, and their number."""
    rated = load_wordsim353().lower()
    kept = [
        n
        for n, pair in enumerate(rated.pairs)
        if not all(word in model.vocab for word in pair)
    ]
    words = list(dict.fromkeys(word for n in kept for word in rated.pairs[n]))
    vectors = torch.stack([model.vector(word) for word in words])
    agreement = word_similarity(
        [rated.pairs[n] for n in kept],
        [rated.ratings[n] for n in kept],
        Vocab(words, [1] * len(words)),
        vectors,
    )
    return agreement.correlation, agreement.known


# --------------------------------------------------------------------------------- the experiment


def load_words(min_count: int) -> tuple[tuple[tuple[str, ...], ...], Vocab]:
    """The paragraphs of the Wikipedia extract, and their vocabulary."""
    paragraphs = load_wikipedia().paragraphs
    return paragraphs, Vocab.from_sequences(paragraphs, min_count=min_count)


def train_gensim(
    paragraphs: Sequence[Sequence[str]], preset: Preset, seed: int
) -> FastText:
    """gensim's fastText with the same numbers, in our table."""
    models = require("gensim.models", "text")
    plan = preset.plan
    peer = models.FastText(
        vector_size=plan.dimension, window=plan.window, negative=plan.negatives,
        sample=plan.sample, min_count=preset.min_count, epochs=plan.epochs,
        alpha=plan.lr, min_alpha=1e-4, sg=1, workers=2, seed=seed,
        bucket=preset.buckets, min_n=3, max_n=6,
    )  # fmt: skip
    peer.build_vocab(paragraphs)
    peer.train(paragraphs, total_examples=peer.corpus_count, epochs=plan.epochs)
    words = list(peer.wv.index_to_key)
    parts = [torch.tensor(x) for x in (peer.wv.vectors_vocab, peer.wv.vectors_ngrams)]
    counts = [peer.wv.get_vecattr(word, "count") for word in words]
    return FastText(Vocab(words, counts), torch.cat(parts), preset.ngrams)


def scores(model: FastText, pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """What a model knows, as numbers."""
    vectors = model.vectors().cpu()
    found = {}
    for name, rated in (("wordsim", load_wordsim353()), ("simlex", load_simlex999())):
        lower = rated.lower()
        agreement = word_similarity(lower.pairs, lower.ratings, model.vocab, vectors)
        found[name] = agreement.correlation
        found[f"{name}_known"] = float(agreement.known)
    unseen, number = unseen_agreement(model)
    return found | {
        "wordsim_unseen": unseen,
        "unseen_pairs": float(number),
        "misspelt_first": found_again(model, pairs),
        "misspelt": found_again(model, pairs, 5),
    }


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Both programs, as numbers for `d2lc run`."""
    paragraphs, vocab = load_words(preset.min_count)
    pairs = misspelt_words(vocab, preset.misspelt)
    with Stopwatch(context.device) as watch:
        model = train(
            paragraphs, vocab, preset.ngrams, preset.plan, context.generator,
            device=context.device, track=context.track,
        )  # fmt: skip
    with Stopwatch() as peer_watch:
        peer = train_gensim(paragraphs, preset, context.settings.seed)
    untrained = FastText(vocab, _random_table(model.table), preset.ngrams)
    return {
        "words": len(vocab),
        "ours": scores(model, pairs) | {"seconds": watch.seconds},
        "gensim": scores(peer, pairs) | {"seconds": peer_watch.seconds},
        "neighbours": {word: neighbours(model, word, 5) for word in UNSEEN},
        "untrained": {"misspelt": found_again(untrained, pairs, 5)},
    }


def _random_table(like: Tensor) -> Tensor:
    """Rows of random directions: what spelling alone gives."""
    generator = torch.Generator().manual_seed(0)
    return unit(torch.randn(like.shape, generator=generator)).to(like.device)


EXPERIMENT = Experiment(
    name="subword-embedding",
    title=Text(
        "fastText on the Wikipedia extract: ours and gensim's, equal hyperparameters",
        "维基百科摘录上的 fastText：本书实现与 gensim，超参数相同",
    ),
    chapter="text/subword-embedding",
    presets=PRESETS,
    notes={
        "ci": "50 dimensions, 5 epochs, 50,000 buckets: twenty seconds on a CPU",
        "laptop": "100 dimensions, 5 epochs, 200,000 buckets: a minute on a CPU",
        "gpu": "300 dimensions, 20 epochs, fastText's 2,000,000 buckets",
    },
    run=run,
    columns=(
        Column("ours.wordsim", Text("WordSim-353, ours", "WordSim-353，本书"), ".3f"),
        Column("gensim.wordsim", Text("gensim", "gensim"), ".3f"),
        Column("ours.simlex", Text("SimLex-999, ours", "SimLex-999，本书"), ".3f"),
        Column("gensim.simlex", Text("gensim", "gensim"), ".3f"),
        Column("ours.misspelt", Text("misspelt found, ours", "错拼找回，本书"), ".3f"),
        Column("gensim.misspelt", Text("gensim", "gensim"), ".3f"),
        Column("ours.seconds", Text("seconds, ours", "秒数，本书"), ".0f"),
        Column("gensim.seconds", Text("gensim", "gensim"), ".0f"),
    ),
)
