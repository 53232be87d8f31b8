"""TF-IDF is scikit-learn's, exactly, and a number by hand."""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.bag_of_words import count_matrix, frequent_terms
from d2lcompanion.text.tfidf import inverse_document_frequency, tfidf

TABLES = st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=6)
NORMS = {"l2": "l2", "l1": "l1", "none": None}


@settings(deadline=None)
@given(TABLES, st.sampled_from(["smooth", "plain"]), st.booleans(), st.sampled_from(list(NORMS)))
def test_it_is_scikit_learns_transformer(table, variant, sublinear, norm):
    counts = sparse.csr_array(np.array(table, dtype=np.int64))
    if variant == "plain" and not np.array(table).any(0).all():
        with pytest.raises(
            ValueError, match=r"a term must be in a document for variant 'plain', got 0 for column"
        ):
            inverse_document_frequency(counts, variant)
        return
    theirs = TfidfTransformer(
        norm=NORMS[norm], smooth_idf=variant == "smooth", sublinear_tf=sublinear
    )
    expected = theirs.fit_transform(counts).toarray()
    weights = inverse_document_frequency(counts, variant)
    np.testing.assert_allclose(weights, theirs.idf_, rtol=1e-14)
    found = tfidf(counts, weights, sublinear=sublinear, norm=norm)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-13, atol=0)


def test_on_real_paragraphs_it_is_tfidf_vectorizer():
    documents = load_wikipedia().paragraphs[:300]
    terms = frequent_terms(documents[:200], min_documents=2)
    train, test = (count_matrix(part, terms) for part in (documents[:200], documents[200:]))
    theirs = TfidfVectorizer(
        tokenizer=list, preprocessor=lambda x: x, token_pattern=None, lowercase=False, min_df=2
    )
    theirs.fit(documents[:200])
    found = tfidf(test, inverse_document_frequency(train))
    expected = theirs.transform(documents[200:])
    assert found.shape == expected.shape
    assert abs(found - expected).max() < 1e-15


def test_by_hand():
    counts = sparse.csr_array(np.array([[2, 1], [1, 0], [0, 0], [3, 0]]))
    np.testing.assert_allclose(
        inverse_document_frequency(counts, "textbook"), [math.log(4 / 3), math.log(4)]
    )
    np.testing.assert_allclose(
        inverse_document_frequency(counts), [math.log(5 / 4) + 1, math.log(5 / 2) + 1]
    )
    row = tfidf(counts, np.array([1.0, 4.0]), sublinear=True, norm="none").toarray()[0]
    np.testing.assert_allclose(row, [1 + math.log(2), 4])


def test_a_term_in_every_document_says_nothing_in_the_textbook():
    counts = sparse.csr_array(np.array([[1, 2], [3, 0]]))
    assert inverse_document_frequency(counts, "textbook")[0] == 0
    assert inverse_document_frequency(counts, "plain")[0] == 1


def test_stored_zeros_are_no_occurrences():
    counts = sparse.csr_array((np.array([0, 2]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    assert inverse_document_frequency(counts)[0] == math.log(2 / 1) + 1
    assert tfidf(counts, np.ones(2), sublinear=True).nnz == 1


def test_bad_input_is_refused():
    counts = sparse.csr_array(np.array([[1, 0]]))
    with pytest.raises(ValueError, match=r"variant must be one of .*got 'bm25'"):
        inverse_document_frequency(counts, "bm25")
    with pytest.raises(ValueError, match=r"norm must be one of .*got 'max'"):
        tfidf(counts, np.ones(2), norm="max")
    with pytest.raises(ValueError, match=r"weights must have shape \[2\], got \[3\]"):
        tfidf(counts, np.ones(3))
    with pytest.raises(ValueError, match=r"counts must have a document, got shape \[0, 2\]"):
        inverse_document_frequency(sparse.csr_array((0, 2)))
