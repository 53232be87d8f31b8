"""The task: copies are gone, parts do not overlap, and the text holds nothing of the test."""

import pytest
import torch

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.experiments.paragraph_task import (
    guess_by_title,
    load_task,
    misspell,
    near_duplicates,
    split,
    without_titles,
)


def resemblance(a, b) -> float:
    """The slow way."""
    sets = [{tuple(words[n : n + 3]) for n in range(len(words) - 2)} for words in (a, b)]
    return len(sets[0] & sets[1]) / max(1, len(sets[0] | sets[1]))


def test_near_duplicates_are_those_of_a_slow_loop():
    paragraphs = [list(p) for p in load_wikipedia().paragraphs[:60]]
    changed = [[*paragraphs[5][:-3], "quite", "another", "end"], paragraphs[9], paragraphs[9][:30]]
    documents = [tuple(p) for p in (*paragraphs, *changed)]
    slow = [
        n for n, b in enumerate(documents) if any(resemblance(a, b) > 0.3 for a in documents[:n])
    ]
    assert near_duplicates(documents) == slow
    assert {60, 61} <= set(slow)


def test_the_task_has_no_copies_and_enough_paragraphs():
    task = load_task(60)
    assert near_duplicates(task.paragraphs) == []
    assert task.copies + len(task.paragraphs) == len(load_wikipedia().paragraphs)
    assert task.labels[task.labels >= 0].bincount().min() >= 60
    place = int((task.labels == task.titles.index("Alabama")).nonzero()[0, 0])
    assert "alabama" in task.paragraphs[place]
    with pytest.raises(ValueError, match="two articles must have 1000 paragraphs, got 0"):
        load_task(1000)


def test_parts_do_not_overlap_and_the_text_is_the_rest():
    task = load_task(60)
    parts = split(task, (10, 5, 20), 3)
    places = torch.cat([part.places for part in parts[:3]])
    assert len(places.unique()) == len(places) == 35 * len(task.titles)
    assert len(parts.text) == len(task.paragraphs) - 25 * len(task.titles)
    held_out = {*parts.validation.documents, *parts.test.documents}
    assert not held_out & set(parts.text)
    assert set(parts.train.documents) <= set(parts.text)
    for part in parts[:3]:
        assert torch.equal(task.labels[part.places], part.labels)
    few = parts.train.rows(parts.train.first(4))
    assert torch.equal(few.labels.bincount(), torch.full((len(task.titles),), 4))
    assert not torch.equal(split(task, (10, 5, 20), 4).test.places, parts.test.places)
    with pytest.raises(ValueError, match=r"sum to at most \d+, got \[60, 5, 5\]"):
        split(task, (60, 5, 5), 0)


def test_titles_guess_and_can_be_taken_away():
    task = load_task(60)
    documents = [("the", "moon", "and", "alabama"), ("the", "moon")]
    assert guess_by_title(task, documents).tolist() == [task.titles.index("Alabama"), -1]
    assert without_titles(task, documents) == (("the", "moon", "and"), ("the", "moon"))


def test_misspelling_exchanges_two_inner_letters():
    generator = torch.Generator().manual_seed(0)
    words = ("moon", "landing", "on", "the") * 50
    found = misspell([words], 1.0, generator)[0]
    for word, other in zip(words, found, strict=True):
        assert sorted(word) == sorted(other)
        assert (word[0], word[-1]) == (other[0], other[-1])
    assert sum(a != b for a, b in zip(words, found, strict=True)) == 50  # "moon" may only be moon
    assert misspell([words], 0.0, generator) == (words,)
