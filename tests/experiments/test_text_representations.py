"""The comparison on a small task: parts do not overlap, counts are scikit-learn's, runs repeat."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from d2lcompanion.experiments.fasttext_probe import (
    choose_fasttext,
    measure_fasttext,
    study_pairs,
)
from d2lcompanion.experiments.linear_probe import choose
from d2lcompanion.experiments.representation_measures import learning_curve, measure
from d2lcompanion.experiments.representation_study import (
    Preset,
    Study,
    documents_of,
    labels_of,
    prepare,
)
from d2lcompanion.experiments.text_features import (
    by_average,
    by_characters,
    by_lsa,
    numbers_a_row,
    representations,
)
from d2lcompanion.experiments.text_representations import CURVES, LABELS
from d2lcompanion.experiments.unlabelled_vectors import learn_glove, with_unseen_words
from d2lcompanion.experiments.weighing import gains, weighings
from d2lcompanion.text.vocab import Vocab

SMALL = Preset(120, (12, 4, 8), (2, 12), 5, 8, 1, 1, 1, 3)


@pytest.fixture(scope="module")
def study() -> Study:
    return prepare(SMALL, 0)


@pytest.fixture(scope="module")
def parts(study):
    return documents_of(study, 0)


def test_every_representation_has_a_label_and_a_number(study, parts):
    every = representations(study.parts.text, study.tables, SMALL.effort)
    assert set(every) | {"fasttext", "fasttext2"} == set(LABELS)
    assert set(CURVES) <= set(LABELS)
    for name, represent in every.items():
        found = measure(represent, parts, labels_of(study), len(study.task.titles))
        json.dumps(found, allow_nan=False)
        assert 0 <= found["accuracy"] <= 1, name
        assert found["numbers"] <= found["columns"]
    assert measure(every["sublinear"], parts, labels_of(study), 8)["accuracy"] > 0.6


@pytest.mark.parametrize("name", ["onehot", "counts", "tfidf", "sublinear", "bigrams"])
def test_counts_are_scikit_learn_s(study, parts, name):
    made = representations(study.parts.text, {}, SMALL.effort)[name](parts).features
    words = {"tokenizer": list, "preprocessor": lambda x: x, "token_pattern": None}
    words["lowercase"] = False
    theirs = {
        "onehot": CountVectorizer(binary=True, **words),
        "counts": CountVectorizer(**words),
        "tfidf": TfidfVectorizer(**words),
        "sublinear": TfidfVectorizer(sublinear_tf=True, **words),
        "bigrams": TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), **words),
    }[name].fit(parts[0])
    for ours, documents in zip(made, parts, strict=True):
        assert abs(ours - theirs.transform(documents)).max() < 1e-14


@pytest.mark.parametrize("name", list(weighings()))
def test_weighings_are_scikit_learn_s(parts, name):
    made = weighings()[name](parts).features
    theirs = TfidfVectorizer(
        tokenizer=list, preprocessor=lambda x: x, token_pattern=None, lowercase=False,
        use_idf="idf" in name, sublinear_tf="log" in name, norm="l2" if "norm" in name else None,
    ).fit(parts[0])  # fmt: skip
    for ours, documents in zip(made, parts, strict=True):
        assert abs(ours - theirs.transform(documents)).max() < 1e-12


def test_gains_are_averages_over_the_other_parts():
    numbers = {"none": 0, "idf": 4, "log": 1, "norm": 2, "idf+log": 5, "idf+norm": 6, "log+norm": 3}
    numbers["idf+log+norm"] = 11  # 4 of idf, 1 of log, 2 of norm, and 4 of all together
    runs = [SimpleNamespace(metric=lambda key, s=s: s * numbers[key.split(".")[1]]) for s in (1, 2)]
    assert set(numbers) == set(weighings())
    for part, expected in (("idf", 5), ("log", 2), ("norm", 3)):
        assert gains(runs, part) == [expected, 2 * expected]
    with pytest.raises(ValueError, match="got 'tf'"):
        gains(runs, "tf")


def test_pairs_are_counted_like_scikit_learn_s(study, parts):
    found = study_pairs(study, parts, SMALL, 0, 1.0)
    pairs = CountVectorizer(
        ngram_range=(2, 2), tokenizer=list, preprocessor=lambda x: x, token_pattern=None,
        lowercase=False,
    )  # fmt: skip
    held = (pairs.fit_transform(parts[0]) > 0).sum(0)
    assert found["distinct"] == held.size
    assert found["in_one"] == pytest.approx((held == 1).mean())
    tokens = sum(len(words) - 1 for words in parts[2])
    assert found["unseen"] == pytest.approx(1 - pairs.transform(parts[2]).sum() / tokens)
    assert 0.1 < found["wide"] <= 1 > found["long"] > 0.1


def test_characters_are_scikit_learn_s(parts):
    few = [part[:20] for part in parts]
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    theirs.fit([" ".join(words) for words in few[0]])
    for ours, documents in zip(by_characters(few).features, few, strict=True):
        expected = theirs.transform([" ".join(words) for words in documents])
        assert abs(ours - expected).max() < 1e-14


def test_lsa_is_scikit_learn_s_truncated_svd_up_to_signs(study, parts):
    text = study.parts.text[:600]
    ours = by_lsa(parts, text, 5, 2)
    theirs = TfidfVectorizer(
        tokenizer=list, preprocessor=lambda x: x, token_pattern=None, lowercase=False,
        sublinear_tf=True, min_df=2,
    )  # fmt: skip
    svd = TruncatedSVD(5, algorithm="arpack").fit(theirs.fit_transform(text))
    expected = svd.transform(theirs.transform(parts[2]))
    found = ours.features[2]
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-8)
    assert ours.table == 6 * len(theirs.get_feature_names_out())


def test_misspelt_words_have_vectors_where_n_grams_do(study, parts):
    table = study.tables["subword"]
    more = with_unseen_words(table, parts[3])
    unseen = {word for words in parts[3] for word in words} - set(table.words)
    assert unseen >= set(more.words[len(table.words) :])
    assert len(more.words) > len(table.words) + 100
    word = more.words[-1]
    np.testing.assert_array_equal(more.vectors[-1], table.model.vector(word).numpy())
    assert with_unseen_words(study.tables["sgns"], parts[3]) is study.tables["sgns"]
    averaged = by_average(parts[:1], study.tables["sgns"])
    document, known = parts[0][0], {w: n for n, w in enumerate(study.tables["sgns"].words)}
    rows = [known[w] for w in document if w in known]
    expected = study.tables["sgns"].vectors[rows].mean(0)
    np.testing.assert_allclose(averaged.features[0][0], expected, atol=1e-6)


def test_published_words_are_counted_in_the_text(study):
    table = study.tables["published"]
    vocab = Vocab.from_sequences(study.parts.text, min_count=1)
    for word in ("the", "moon"):
        assert table.counts[table.words.index(word)] == int(vocab.counts[vocab.id_of(word)])
    assert 0 in table.counts


@pytest.mark.parametrize("name", ["sublinear", "lsa", "sgns", "fasttext"])
def test_the_last_point_of_a_curve_is_the_whole_training_part(study, parts, name):
    curve = learning_curve(study, name, parts, SMALL, 0)
    assert len(curve) == 2
    labels = labels_of(study)
    if name == "fasttext":
        whole = choose_fasttext(parts[:3], labels[:3], 8, SMALL, 0)
    else:
        every = representations(study.parts.text, study.tables, SMALL.effort)
        whole = choose(every[name](parts[:3]).features, labels[:3], 8)
    assert curve[-1] == whole.test[0]
    if name == "sublinear":
        assert curve[0] < curve[1]


def test_fasttext_s_classifier_with_pairs_and_a_rate_that_diverges(study, parts):
    found = measure_fasttext(study, parts, SMALL, 0, 2)
    terms = {word for words in parts[0] for word in words}
    assert found["table"] == (len(terms) + 20_000) * 8
    wild = Preset(120, (12, 4, 8), (2, 12), 5, 8, 1, 1, 1, 3, (1e9, 1e8, 1e7, 1e6, 1e5))
    with pytest.raises(FloatingPointError, match="diverged at each of the rates"):
        choose_fasttext(parts, labels_of(study), 8, wild, 0)


def test_vectors_repeat(study):
    again = learn_glove(study.parts.text, SMALL.effort, 0)
    np.testing.assert_array_equal(again.vectors, study.tables["glove"].vectors)
    other = learn_glove(study.parts.text, SMALL.effort, 1)
    assert not np.array_equal(again.vectors, other.vectors)
    assert numbers_a_row(np.ones((3, 4))) == 4


def test_bad_presets_are_named():
    with pytest.raises(ValueError, match="dimension must be ≥ 1, got 0"):
        Preset(60, (4, 4, 4), (4,), 5, 0, 1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"rates must be positive numbers, got \(1.0, 0.0\)"):
        Preset(60, (4, 4, 4), (4,), 5, 5, 1, 1, 1, 1, (1.0, 0.0))
    with pytest.raises(ValueError, match=r"labels must rise from ≥ 1 to 4, got \(1, 3\)"):
        Preset(60, (4, 4, 4), (1, 3), 5, 5, 1, 1, 1, 1)


def test_the_classes_of_a_study_are_balanced(study):
    for part, each in zip(study.parts[:3], SMALL.sizes, strict=True):
        assert torch.equal(part.labels.bincount(), torch.full((8,), each))
