"""Softmax regression with a penalty: scikit-learn's optimum, and the span of the rows."""

import numpy as np
import pytest
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression

from d2lcompanion.experiments.linear_probe import Probe, choose, fit, in_few_columns, spread
from d2lcompanion.experiments.paragraph_task import load_task, split
from d2lcompanion.text.bag_of_words import count_matrix, frequent_terms
from d2lcompanion.text.tfidf import inverse_document_frequency, tfidf


@pytest.fixture(scope="module")
def real():
    """TF-IDF of six paragraphs each of 32 articles, and of others: longer rows than rows."""
    parts = split(load_task(60), (6, 4, 8), 0)
    terms = frequent_terms(parts.train.documents)
    counts = [count_matrix(part.documents, terms) for part in parts[:3]]
    weights = inverse_document_frequency(counts[0])
    return [tfidf(part, weights) for part in counts], [part.labels.numpy() for part in parts[:3]]


@pytest.mark.parametrize("penalty", [1e-2, 1e-4])
def test_the_optimum_is_scikit_learn_s(real, penalty):
    (train, _, test), (labels, *_) = real
    found = fit(train, labels, 32, penalty)
    theirs = LogisticRegression(C=1 / (len(labels) * penalty), tol=1e-8, max_iter=5000)
    theirs.fit(train, labels)
    expected = theirs.decision_function(test)
    ours = found.scores(test)
    ours, expected = (s - s.mean(1, keepdims=True) for s in (ours, expected))
    np.testing.assert_allclose(ours, expected, atol=0.02 * expected.std())
    assert (ours.argmax(1) == expected.argmax(1)).mean() > 0.995
    assert found.accuracy(test, ours.argmax(1)) == 1


def test_weights_are_combinations_of_the_rows_so_few_columns_suffice(real):
    features, labels = real
    few = in_few_columns(features)
    assert few[0].shape[1] <= len(labels[0]) < features[0].shape[1]
    for a, b in ((0, 0), (1, 0)):
        np.testing.assert_allclose(
            few[a] @ few[b].T, (features[a] @ features[b].T).toarray(), atol=1e-9
        )
    long, short = (fit(x[0], labels[0], 32, 1e-3) for x in (features, few))
    a, b = long.scores(features[2]), short.scores(few[2])
    np.testing.assert_allclose(
        a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True), atol=2e-2
    )
    assert in_few_columns([np.eye(3)])[0] is not None


def test_the_spread_does_not_see_a_shift_and_agrees_for_sparse():
    x = np.random.default_rng(0).standard_normal((40, 5))
    expected = np.sqrt(x.var(0).sum())
    assert spread(x) == pytest.approx(expected)
    assert spread(x + 7) == pytest.approx(expected)
    assert spread(sparse.csr_array(x)) == pytest.approx(expected)
    assert spread(np.ones((3, 2))) == 1


def test_validation_chooses_and_the_larger_penalty_wins_a_tie(real):
    features, labels = real
    found = choose(features, labels, 32, (1e-2, 1e-4))
    assert 0.6 < found.test[0] <= 1
    separate = {p: choose(features, labels, 32, (p,)).validation for p in (1e-2, 1e-4)}
    assert found.validation == pytest.approx(max(separate.values()), abs=0.02)
    x, y = np.eye(4)[:, :2] * 5, np.array([0, 1, 0, 0])
    tied = choose([x, x[:2], x[:2]], [y, y[:2], y[:2]], 2, (1e-3, 1e-5))
    assert (tied.penalty, tied.test) == (1e-3, (1.0,))
    assert tied.predictions[0].tolist() == [0, 1]


def test_bad_input_is_refused():
    x = np.eye(2)
    with pytest.raises(ValueError, match="penalty must be > 0 and finite, got 0"):
        fit(x, np.array([0, 1]), 2, 0)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 2\), got 0 to 2"):
        fit(x, np.array([0, 2]), 2, 1.0)
    assert Probe(np.eye(2), np.zeros(2)).accuracy(x, np.array([0, 0])) == 0.5
