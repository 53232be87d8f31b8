"""Pointwise mutual information and SVD: scikit-learn, dense loops, and closed forms."""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD

from d2lcompanion.text.negative_sampling import optimal_score
from d2lcompanion.text.noise import noise_distribution
from d2lcompanion.text.ppmi_svd import ppmi, require_counts, svd_vectors


def counts(seed: int = 0, size: int = 12) -> sparse.csr_array:
    drawn = np.random.default_rng(seed).poisson(0.7, (size, size))
    return sparse.csr_array((drawn + drawn.T).astype(float))


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, math.log(5)]), st.sampled_from([1.0, 0.75, 0.0]))
def test_it_is_the_dense_loop(seed, shift, smoothing):
    table = counts(seed, 5).toarray()
    total, words = table.sum(), table.sum(1)
    contexts = table.sum(0) ** smoothing / (table.sum(0) ** smoothing).sum()
    expected = np.zeros_like(table)
    for w in range(5):
        for c in range(5):
            if table[w, c]:
                score = math.log(table[w, c] / total / (words[w] / total * contexts[c]))
                expected[w, c] = max(0.0, score - shift)
    np.testing.assert_allclose(
        ppmi(counts(seed, 5), shift=shift, smoothing=smoothing).toarray(), expected, atol=1e-12
    )


@pytest.mark.parametrize("power", [1.0, 0.75])
def test_its_positive_part_is_where_negative_sampling_would_go(power):
    table = counts(3)
    joint = torch.tensor(table.toarray() / table.sum())
    best = optimal_score(
        joint, joint.sum(1, keepdim=True), noise_distribution(joint.sum(0), power), negatives=5
    )
    found = torch.tensor(ppmi(table, shift=math.log(5), smoothing=power).toarray())
    torch.testing.assert_close(found, best.clamp(min=0))


def test_independent_words_have_nothing():
    share = np.array([0.1, 0.2, 0.7])
    assert ppmi(sparse.csr_array(np.outer(share, share) * 1000)).data.max(initial=0) < 1e-9


def test_two_words_that_always_meet():
    found = ppmi(sparse.csr_array(np.kron(np.eye(4), np.array([[0.0, 3.0], [3.0, 0.0]]))))
    np.testing.assert_allclose(found.data, math.log(8))  # P(w, c) = 1/8, P(w) P(c) = 1/64


def test_nothing_but_positive_entries_is_stored():
    table = counts(1)
    table.data[0] = 0.0  # stored, and no count
    found = ppmi(table)
    assert (found.data > 0).all()
    assert found.nnz < table.nnz


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_vectors_are_those_of_scikit_learn_up_to_signs(power):
    matrix = ppmi(counts(2))
    peer = TruncatedSVD(4, algorithm="arpack").fit(matrix)
    projected = peer.transform(matrix) / peer.singular_values_ ** (1 - power)  # U Σᵖ
    found = svd_vectors(matrix, 4, power=power).numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(projected), rtol=1e-4, atol=1e-5)


def test_it_is_the_best_approximation():
    """Eckart & Young: the error is what the other singular values leave."""
    matrix = ppmi(counts(5))
    values = np.linalg.svd(matrix.toarray(), compute_uv=False)
    vectors = svd_vectors(matrix, 3, power=1.0).double().numpy()
    gram = matrix.toarray() @ matrix.toarray().T
    assert np.linalg.norm(gram - vectors @ vectors.T) == pytest.approx(
        np.sqrt((values[3:] ** 4).sum()), rel=1e-4
    )


def test_signs_and_order_do_not_depend_on_the_start():
    matrix = ppmi(counts(6))
    first, second = (svd_vectors(matrix, 3, seed=seed) for seed in (0, 1))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
    lengths = first.norm(dim=0)
    assert bool((lengths[:-1] >= lengths[1:]).all())
    assert bool((first.gather(0, first.abs().argmax(0, keepdim=True)) > 0).all())


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="counts must be ≥ 0 and finite, got -1"):
        require_counts(sparse.csr_array(np.array([[0.0, -1.0], [1.0, 0.0]])))
    with pytest.raises(ValueError, match="counts must be ≥ 0 and finite, got nan"):
        require_counts(sparse.csr_array(np.array([[0.0, np.nan], [1.0, 0.0]])))
    with pytest.raises(ValueError, match=r"counts must be \[V, V\], got shape \[2, 3\]"):
        require_counts(sparse.csr_array(np.ones((2, 3))))
    with pytest.raises(ValueError, match="counts must not all be 0"):
        require_counts(sparse.csr_array((3, 3)))
    for shift in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"shift must be ≥ 0 and finite, got {shift}"):
            ppmi(counts(), shift=shift)
    with pytest.raises(ValueError, match=r"smoothing must be in \[0, 1\], got 2"):
        ppmi(counts(), smoothing=2)
    with pytest.raises(ValueError, match="dimension must be < V = 12, got 12"):
        svd_vectors(ppmi(counts()), 12)
    with pytest.raises(ValueError, match=r"power must be in \[0, 1\], got 3"):
        svd_vectors(ppmi(counts()), 3, power=3)
