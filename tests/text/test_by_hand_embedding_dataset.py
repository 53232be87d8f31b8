"""The numbers that the chapter on the dataset computes by hand."""

import pytest
import torch

from d2lcompanion.text.pair_counts import expected_pairs, kept_moments
from d2lcompanion.text.skip_gram_data import (
    batchify,
    keep_probabilities,
)
from d2lcompanion.text.skip_gram_pairs import (
    center_context_pairs,
    slow_center_context_pairs,
)
from d2lcompanion.text.token_stream import TokenStream

COUNTS = torch.tensor([90, 9, 1])


def test_a_hundred_tokens_of_three_words():
    keep = keep_probabilities(COUNTS, 0.01)
    assert keep.tolist() == pytest.approx([0.1054, 0.3333, 1], abs=1e-4)
    mean, sd = kept_moments(COUNTS, keep)
    assert mean == pytest.approx(9.49 + 3 + 1, abs=0.005)
    assert sd**2 == pytest.approx(8.49 + 2 + 0, abs=0.005)
    keep = keep_probabilities(COUNTS, 0.01, "word2vec")
    assert keep.tolist() == pytest.approx([0.1165, 0.4444, 1], abs=1e-4)


def test_four_tokens_with_windows_of_two():
    stream = TokenStream(torch.tensor([0, 1, 2, 3]), torch.zeros(4, dtype=torch.int64))
    widths = [1, 2, 1, 2]
    expected = [(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]
    assert slow_center_context_pairs([[0, 1, 2, 3]], widths) == expected
    pairs = center_context_pairs(stream, torch.tensor(widths))
    assert list(zip(pairs.centers.tolist(), pairs.contexts.tolist(), strict=True)) == expected
    assert pairs.counts.tolist() == [1, 3, 2, 2]
    assert expected_pairs(torch.tensor([4]), 2) == 2 * 3 * 1 + 2 * 2 * 0.5 == 8


def test_two_rows_with_one_noise_word_each():
    batch = batchify(
        torch.tensor([7, 8]),
        torch.tensor([1, 2, 3, 4]),
        torch.tensor([[5], [6], [5], [6]]),
        torch.tensor([1, 3]),
    )
    assert batch.words.tolist() == [[1, 5, 0, 0, 0, 0], [2, 3, 4, 6, 5, 6]]
    assert batch.mask.sum(1).tolist() == [2, 6]
    assert batch.labels.sum(1).tolist() == [1, 3]
