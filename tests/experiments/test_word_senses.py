"""Vectors in context: against sentence-transformers, and what two senses do to them."""

import pytest
import torch

from d2lcompanion.data.minilm import minilm_file
from d2lcompanion.experiments.word_senses import (
    SENSES,
    compare_senses,
    pretrained,
    rows_of,
    senses_of,
    sentence_vectors,
    vectors_in_context,
)


@pytest.mark.parametrize("word", SENSES)
def test_senses_are_told_apart_and_one_static_vector_cannot(word):
    sentences, sense = senses_of(word)
    found = compare_senses(vectors_in_context(word, sentences), sense)
    assert found.within > found.between + 0.02  # crane: 0.91 and 0.87
    assert found.nearest >= 0.75
    part = pretrained()
    table = part.model.embeddings.word.weight.detach()
    static = table[part.tokenizer.encode(word)].expand(len(sense), -1)
    alike = compare_senses(static, sense)
    assert alike.within == pytest.approx(alike.between) == pytest.approx(1)


def test_sentence_vectors_are_those_of_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    sentences = [s for word in SENSES for s in senses_of(word)[0]]
    theirs = SentenceTransformer(str(minilm_file("config.json").parent), device="cpu")
    expected = torch.as_tensor(theirs.encode(sentences))
    torch.testing.assert_close(sentence_vectors(sentences), expected, atol=1e-5, rtol=0)


def test_by_hand_three_vectors():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    found = compare_senses(vectors, torch.tensor([0, 0, 1, 1]))
    assert found == (1.0, 0.0, 1.0)


BAD = {
    "word": (lambda: senses_of("bat"), "word must be one of .*, got 'bat'"),
    "sentence": (lambda: vectors_in_context("bank", ["No such word."]), "'bank' must occur in 'No such word.'"),
    "pieces": (lambda: vectors_in_context("polysemous", ["x"]), "the word must be one piece, got 'polysemous'"),
    "none": (lambda: rows_of([], pretrained()), "sentences must hold one, got none"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
