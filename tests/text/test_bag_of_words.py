"""Counts of terms are scikit-learn's, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.text.bag_of_words import (
    character_terms,
    count_matrix,
    frequent_terms,
    one_hot,
    terms_of,
)

DOCUMENTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=8), min_size=1, max_size=8)
SHARES = st.sampled_from([0.3, 0.5, 1.0])


def peer(shortest: int, longest: int, **options: float) -> CountVectorizer:
    """On words that are cut already; ngrams are those of its own analyzer."""
    return CountVectorizer(
        tokenizer=list, preprocessor=lambda x: x, token_pattern=None, lowercase=False,
        ngram_range=(shortest, longest), **options,
    )  # fmt: skip


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 2), st.integers(0, 2), st.integers(1, 3), SHARES)
def test_terms_and_counts_are_those_of_count_vectorizer(documents, shortest, more, least, share):
    longest = shortest + more
    theirs = peer(shortest, longest, min_df=least, max_df=share)
    try:
        expected = theirs.fit_transform(documents)
    except ValueError:
        with pytest.raises(ValueError, match=r"a term must be in .* documents; none of \d+ is"):
            frequent_terms(
                documents, shortest=shortest, longest=longest, min_documents=least, max_share=share
            )
        return
    terms = frequent_terms(
        documents, shortest=shortest, longest=longest, min_documents=least, max_share=share
    )
    assert list(terms) == theirs.get_feature_names_out().tolist()
    found = count_matrix(documents, terms, shortest=shortest, longest=longest)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert found.has_sorted_indices
    binary = peer(shortest, longest, vocabulary=terms, binary=True).transform(documents)
    np.testing.assert_array_equal(one_hot(found).toarray(), binary.toarray())


def test_on_real_paragraphs_with_bigrams():
    documents = load_wikipedia().paragraphs[:300]
    theirs = peer(1, 2, min_df=3, max_df=0.5)
    expected = theirs.fit_transform(documents)
    terms = frequent_terms(documents, longest=2, min_documents=3, max_share=0.5)
    assert list(terms) == theirs.get_feature_names_out().tolist()
    found = count_matrix(documents, terms, longest=2)
    assert (found != expected).nnz == 0
    assert any(" " in term for term in terms)


@settings(deadline=None)
@given(
    st.text(alphabet="ab 月亮\t\n", max_size=30),
    st.integers(1, 4),
    st.integers(0, 3),
    st.booleans(),
)
def test_character_terms_are_those_of_scikit_learn_s_analyzers(text, shortest, more, in_words):
    theirs = CountVectorizer(
        analyzer="char_wb" if in_words else "char",
        ngram_range=(shortest, shortest + more),
        lowercase=False,
    ).build_analyzer()
    assert character_terms(text, shortest, shortest + more, in_words=in_words) == tuple(
        theirs(text)
    )


def test_character_counts_on_real_paragraphs():
    texts = load_wikipedia().texts[:100]
    documents = [character_terms(text.lower(), 2, 4, in_words=True) for text in texts]
    theirs = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2)
    expected = theirs.fit_transform(texts)
    terms = frequent_terms(documents, min_documents=2)
    assert list(terms) == theirs.get_feature_names_out().tolist()
    assert (count_matrix(documents, terms) != expected).nnz == 0


def test_by_hand():
    assert character_terms("不好", 1, 2) == ("不", "好", "不好")
    assert character_terms("to be", 4, 5, in_words=True) == (" to ", " be ")
    assert list(terms_of(["to", "be", "or"], 1, 2)) == ["to", "be", "or", "to be", "be or"]
    found = count_matrix([["to", "be", "or", "not", "to", "be"], []], ["be", "not", "so"])
    assert found.toarray().tolist() == [[2, 1, 0], [0, 0, 0]]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="must be a sequence of words, got the string 'a text'"):
        list(terms_of("a text"))
    with pytest.raises(ValueError, match="shortest must be a whole number ≥ 1, got 0"):
        list(terms_of(["a"], 0, 1))
    with pytest.raises(ValueError, match="longest must be a whole number ≥ 3, got 2"):
        list(terms_of(["a"], 3, 2))
    with pytest.raises(ValueError, match=r"max_share must be in \(0, 1\], got 1.5"):
        frequent_terms([["a"]], max_share=1.5)
    with pytest.raises(ValueError, match="min_documents must be a whole number ≥ 1, got 0"):
        frequent_terms([["a"]], min_documents=0)
    with pytest.raises(ValueError, match="a term must be in 1 to 0 of 0 documents; none of 0 is"):
        frequent_terms([])
    with pytest.raises(ValueError, match="longest must be a whole number ≥ 3, got 2"):
        character_terms("a", 3, 2)
    with pytest.raises(ValueError, match="shortest must be a whole number ≥ 1, got 0"):
        character_terms("a", 0, 2)
    with pytest.raises(ValueError, match="terms must differ, got 'a' twice"):
        count_matrix([["a"]], ["a", "b", "a"])
