"""Windows and pair counts against slow loops over real sentences and invented ones."""

import collections

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.windows import pair_counts, windows

SENTENCES = st.lists(st.lists(st.integers(0, 5), max_size=7), max_size=6)


def laid_out(sentences: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = [word for sentence in sentences for word in sentence]
    numbers = [k for k, sentence in enumerate(sentences) for _ in sentence]
    return torch.tensor(ids, dtype=torch.int64), torch.tensor(numbers, dtype=torch.int64)


def slow_windows(sentences: list[list[int]], size: int) -> list[tuple[int, list[int]]]:
    found = []
    for sentence in sentences:
        for i, center in enumerate(sentence):
            around = sentence[max(0, i - size) : i] + sentence[i + 1 : i + 1 + size]
            if around:
                found.append((center, around))
    return found


@settings(max_examples=200, deadline=None)
@given(SENTENCES, st.integers(1, 9))
def test_against_a_slow_loop(sentences, size):
    expected = slow_windows(sentences, size)
    if not expected:
        with pytest.raises(ValueError, match="a word must have a neighbour in its sentence"):
            windows(*laid_out(sentences), size)
        return
    found = windows(*laid_out(sentences), size)
    rows = zip(*(part.tolist() for part in found), strict=True)
    assert [
        (center, [word for word, there in zip(row, mask, strict=True) if there])
        for center, row, mask in rows
    ] == expected
    assert found.contexts.shape == (len(expected), 2 * size)
    assert not bool(found.contexts[~found.mask].any())


@settings(max_examples=100, deadline=None)
@given(SENTENCES.filter(lambda s: any(len(row) > 1 for row in s)), st.integers(1, 4))
def test_pair_counts_against_a_counter(sentences, size):
    found = windows(*laid_out(sentences), size)
    counts = pair_counts(found.centers, found.contexts, 6, mask=found.mask)
    expected = collections.Counter(
        (center, word) for center, around in slow_windows(sentences, size) for word in around
    )
    for c in range(6):
        for o in range(6):
            assert int(counts[c, o]) == expected[c, o]
    assert torch.equal(counts, counts.T)  # windows of fixed size are symmetric


def test_the_places_of_a_window_and_a_minibatch():
    found = windows(torch.tensor([3, 1, 4, 1]), torch.tensor([0, 0, 0, 1]), 2)
    assert found.centers.tolist() == [3, 1, 4]  # the last is alone in its sentence
    assert found.contexts.tolist() == [[0, 0, 1, 4], [0, 3, 4, 0], [3, 1, 0, 0]]
    assert found.mask.int().tolist() == [[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]]
    batch = found.rows(torch.tensor([2, 0]))
    assert batch.centers.tolist() == [4, 3]
    assert torch.equal(batch.mask, found.mask[[2, 0]])


IDS, ONE = torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.int64)
YES = torch.ones(3, 1, dtype=torch.bool)
BAD = {
    "size": (lambda: windows(IDS, ONE, 0), "size must be a whole number ≥ 1, got 0"),
    "ids": (lambda: windows(IDS[None], ONE, 1), r"ids must be \[n\], got shape \[1, 3\]"),
    "sentences": (lambda: windows(IDS, ONE[:2], 1), r"sentences must have shape \[3\], got \[2\]"),
    "alone": (lambda: windows(IDS, IDS, 1), "of 3 words none has"),
    "empty": (lambda: windows(IDS[:0], IDS[:0], 1), "of 0 words none has"),
    "V": (lambda: pair_counts(IDS, IDS[:, None], 0, mask=YES), "vocabulary_size .* ≥ 1, got 0"),
    "id": (lambda: pair_counts(IDS, IDS[:, None], 2, mask=YES), r"centers must be ids in \[0, 2\)"),
    "contexts": (lambda: pair_counts(IDS, IDS, 3, mask=YES), r"contexts must be \[n, m\], got shape"),
    "mask": (
        lambda: pair_counts(IDS, IDS[:, None], 3, mask=YES[:2]),
        r"mask must have shape \[3, 1\], got \[2, 1\]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
