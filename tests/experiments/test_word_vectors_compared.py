"""The comparison on a part of the extract: every method sees the same, and repeats."""

import json

import numpy as np
import pytest
import torch

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.experiments.word_vector_judges import agreement, judges, lead, rated_rows
from d2lcompanion.experiments.word_vector_methods import (
    METHODS,
    Corpus,
    Method,
    Outcome,
    Preset,
    bias_correlation,
)
from d2lcompanion.experiments.word_vector_report import neighbors
from d2lcompanion.experiments.word_vectors_compared import measure, prepare, with_shares
from d2lcompanion.text.cooccurrence import cooccurrence
from d2lcompanion.text.glove import GloveVectors

SMALL = Preset("wikipedia", 8, 8, 3, 1, 1, 2048, rates=(0.025,), x_maxes=(10.0,))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return prepare(load_wikipedia().paragraphs[:900], SMALL.min_count, seed=0)


def test_the_seed_leaves_out_a_tenth(corpus):
    sentences = [["a", "b"]] * 2000
    kept = len(prepare(sentences, 1, seed=0).stream.ids) / 2
    assert 1740 < kept < 1860
    other = prepare(load_wikipedia().paragraphs[:900], SMALL.min_count, seed=1)
    again = prepare(load_wikipedia().paragraphs[:900], SMALL.min_count, seed=0)
    assert again.vocab.tokens == corpus.vocab.tokens != other.vocab.tokens
    assert torch.equal(again.stream.ids, corpus.stream.ids)


def test_rows_of_rated_words_are_rows_of_the_matrix(corpus):
    counts = cooccurrence(corpus.stream, len(corpus.vocab), 3)
    words, rows = rated_rows(counts, corpus.vocab)
    place = corpus.vocab.id_of(words.tokens[3])
    np.testing.assert_allclose(rows[3], counts[[place]].toarray()[0], rtol=1e-6)
    rated = {word for data in judges() for pair in data.pairs for word in pair}
    assert set(words.tokens) == rated & set(corpus.vocab.tokens)


def test_near_words_are_those_of_numpy(corpus):
    rows = torch.randn(len(corpus.vocab), 6, generator=torch.Generator().manual_seed(3))
    table = rows.numpy() / np.linalg.norm(rows.numpy(), axis=1, keepdims=True)
    place = corpus.vocab.id_of("language")
    cosines = table @ table[place]
    cosines[place] = -2
    expected = [corpus.vocab.token_of(int(k)) for k in np.argsort(-cosines)[:4]]
    asked = neighbors(rows, corpus.vocab, 4, queries=("language", "xyzzy"))
    assert asked == {"language": expected}


def test_the_lead_is_of_each_run():
    class Run:
        def __init__(self, **metrics):
            self.metrics = metrics

        def metric(self, key):
            return self.metrics[key.split(".")[0]][key.split(".")[1]]

    runs = [Run(a={"wordsim": x}, b={"wordsim": 0.25}) for x in (0.5, 0.125)]
    assert lead(runs, "a", "b") == [0.25, -0.125]
    assert lead(runs, "b", "a") == [-0.25, 0.125]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_reports_and_repeats(name, corpus):
    found, again = (measure(METHODS[name], corpus, SMALL, 0) for _ in range(2))
    shown = json.loads(json.dumps(found, allow_nan=False))
    assert shown["wordsim"] == again["wordsim"]
    assert shown["setting"] in getattr(SMALL, METHODS[name].settings)
    assert -1 <= shown["wordsim"] <= 1
    assert len(shown["by_epoch"]) == (1 if name in ("sgns", "glove", "unseen") else 0)
    if shown["by_epoch"]:
        assert shown["by_epoch"][-1] == shown["wordsim"]
    assert ("bias_correlation" in shown) == (name in ("glove", "unseen"))


def test_the_better_setting_by_simlex_is_taken(corpus):
    """Settings whose vectors are known: the ratings of SimLex themselves, and their negatives."""
    tried = []

    def run(corpus, preset, setting, seed):
        tried.append(setting)
        words, rows = rated_rows(cooccurrence(corpus.stream, len(corpus.vocab), 3), corpus.vocab)
        generator = torch.Generator().manual_seed(int(setting * 100))
        return Outcome(words, torch.randn(rows.shape, generator=generator), [])

    found = measure(Method(run, "smoothings"), corpus, SMALL, 0)
    scores = {}
    for setting in SMALL.smoothings:
        outcome = run(corpus, SMALL, setting, 0)
        scores[setting] = agreement(judges().chooses, outcome.vocab, outcome.vectors)
    assert found["setting"] == max(scores, key=scores.get)
    assert tried[:2] == list(SMALL.smoothings)


def test_shares_add_up_and_correlations_are_numpy_s():
    shared = with_shares({"a": {"seconds": 1.0}, "b": {"seconds": 3.0}})
    assert shared == {"a": {"share": 0.25}, "b": {"share": 0.75}}
    counts = torch.tensor([1.0, 5, 2, 30])
    bias, other = torch.tensor([0.1, 1, 0.4, 2]), torch.tensor([0.0, 0.5, 0, 1])
    vectors = GloveVectors(torch.ones(4, 1), torch.ones(4, 1), bias, other)
    expected = np.corrcoef(bias + other, np.log(counts))[0, 1]
    assert bias_correlation(vectors, counts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 0}, "window must be ≥ 1, got 0"),
        ({"rates": ()}, "rates must be one or more positive numbers"),
        ({"x_maxes": (0.0,)}, "x_maxes must be one or more positive numbers"),
    ],
)
def test_a_preset_out_of_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Preset(**{**vars(SMALL), **change})
