"""Averages against torch's embedding bag and slow loops; the theorem on linear classifiers."""

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from sklearn.decomposition import TruncatedSVD

from d2lcompanion.data.glove_vectors import load_glove_6b_50d
from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.averaging import (
    average_vectors,
    common_direction,
    sif_weights,
    without_direction,
)
from d2lcompanion.text.bag_of_words import count_matrix


@pytest.fixture(scope="module")
def real():
    """120 paragraphs, 5,000 published vectors, and the same words as ids."""
    published = load_glove_6b_50d()
    terms = published.words[:5000]
    documents = [[w for w in p if w in set(terms)] for p in load_wikipedia().paragraphs[:120]]
    place = {word: n for n, word in enumerate(terms)}
    ids = [torch.tensor([place[w] for w in d]) for d in documents]
    return count_matrix(documents, terms), published.vectors[:5000].double(), ids


def test_the_average_is_torch_s_embedding_bag(real):
    counts, vectors, ids = real
    expected = torch.stack([vectors[d].mean(0) for d in ids])
    np.testing.assert_allclose(average_vectors(counts, vectors.numpy()), expected, atol=1e-12)
    weights = torch.rand(5000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    offsets = torch.tensor([0] + [len(d) for d in ids[:-1]]).cumsum(0)
    flat = torch.cat(ids)
    sums = torch.nn.functional.embedding_bag(
        flat, vectors, offsets, mode="sum", per_sample_weights=weights[flat]
    )
    lengths = torch.tensor([len(d) for d in ids])[:, None]
    found = average_vectors(counts, vectors.numpy(), weights.numpy())
    np.testing.assert_allclose(found, sums / lengths, atol=1e-12)


def test_a_linear_classifier_on_averages_is_one_of_low_rank_on_the_bag(real):
    counts, vectors, _ = real
    W = np.random.default_rng(0).standard_normal((50, 80))
    shares = counts.toarray() / counts.sum(1)[:, None]
    product = vectors.numpy() @ W
    np.testing.assert_allclose(
        average_vectors(counts, vectors.numpy()) @ W, shares @ product, rtol=1e-9, atol=1e-10
    )
    assert np.linalg.matrix_rank(product) == 50


def test_sif_weights_by_hand_and_their_limits():
    counts = np.array([990, 9, 1, 0])
    np.testing.assert_allclose(
        sif_weights(counts, 1e-3), [0.001 / 0.991, 0.1, 0.5, 1.0], rtol=1e-12
    )
    np.testing.assert_allclose(sif_weights(counts, 1e9), np.ones(4), rtol=1e-8)
    rare = sif_weights(counts[:3], 1e-12) * counts[:3]
    np.testing.assert_allclose(rare, rare[0], rtol=1e-6)  # a → 0: ∝ 1/p


def test_the_common_direction_is_scikit_learn_s_and_the_rest_is_orthogonal(real):
    counts, vectors, _ = real
    x = average_vectors(counts, vectors.numpy())
    u = common_direction(x)
    theirs = TruncatedSVD(1, algorithm="arpack").fit(x).components_[0]
    assert abs(float(u @ theirs)) == pytest.approx(1, abs=1e-9)
    rest = without_direction(x, u)
    np.testing.assert_allclose(rest @ u, 0, atol=1e-12)
    np.testing.assert_allclose(without_direction(rest, u), rest, atol=1e-12)
    assert (rest**2).sum() < (x**2).sum() / 2  # the mean is most of it


def test_a_document_without_known_words_is_zero():
    counts = sparse.csr_array(np.array([[0, 0], [1, 3]]))
    found = average_vectors(counts, np.array([[4.0], [8.0]]))
    assert found.tolist() == [[0.0], [7.0]]


def test_bad_input_is_refused():
    counts = sparse.csr_array(np.array([[1, 0]]))
    with pytest.raises(ValueError, match=r"vectors must be \[2, d\], got \[3, 4\]"):
        average_vectors(counts, np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"weights must have shape \[2\], got \[3\]"):
        average_vectors(counts, np.ones((2, 4)), np.ones(3))
    with pytest.raises(ValueError, match="a must be > 0 and finite, got 0"):
        sif_weights(np.ones(2), 0)
    with pytest.raises(ValueError, match="counts must be ≥ 0 and not all 0, got a sum of 0"):
        sif_weights(np.zeros(2))
    with pytest.raises(ValueError, match=r"vectors must be \[n, d\] and not all 0"):
        common_direction(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"direction must be \[2\] of length 1, got \[2\] of len"):
        without_direction(np.ones((3, 2)), np.ones(2))
