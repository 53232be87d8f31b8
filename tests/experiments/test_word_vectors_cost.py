"""What the ways cost: the sizes asked for are the sizes timed, by slow recounts."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from d2lcompanion.data.wikipedia import load_wikipedia
from d2lcompanion.experiments import word_vectors_cost as experiment
from d2lcompanion.experiments.word_vector_stages import STAGES, Size, beginning, prepare
from d2lcompanion.experiments.word_vectors_cost import PRESETS, Preset, exponent, measure
from d2lcompanion.text.token_stream import TokenStream, encode
from d2lcompanion.text.vocab import Vocab
from d2lcompanion.training.experiment import RunContext
from d2lcompanion.training.progress import silent
from d2lcompanion.training.settings import Settings

CPU = torch.device("cpu")
SMALL = Preset((400, 800), (30, 60), (4, 8), Size(800, 60, 8), rounds=2)


def slow_beginning(words: list[int], tokens: int, size: int) -> list[int]:
    """One word after another until enough of them are frequent; words as they are."""
    for length in range(len(words) + 1):
        frequent = [word for word, _ in Counter(words[:length]).most_common(size)]
        kept = [word for word in words[:length] if word in frequent]
        if len(kept) == tokens:
            return kept
    raise AssertionError


@pytest.mark.parametrize(("tokens", "size"), [(300, 20), (500, 100), (40, 3)])
def test_the_beginning_has_the_tokens_and_the_words_asked_for(tokens, size):
    paragraphs = load_wikipedia().paragraphs[:40]
    vocab = Vocab.from_sequences(paragraphs)
    whole = encode(paragraphs, vocab)
    found = beginning(whole, tokens, size)
    slow = slow_beginning(whole.ids.tolist(), tokens, size)
    assert len(found.ids) == len(found.sentence) == tokens
    counts = torch.bincount(found.ids)
    assert len(counts) == size
    assert int(counts.min()) > 0
    assert counts.tolist() == sorted(Counter(slow).values(), reverse=True)
    assert bool((found.sentence.diff() >= 0).all())


def test_a_text_too_short_is_refused():
    text = TokenStream(torch.tensor([0, 1, 0, 2]), torch.zeros(4).long())
    assert beginning(text, 4, 3).ids.tolist() == [0, 1, 0, 2]
    with pytest.raises(ValueError, match="5 tokens of 3 words, got 4 of 3"):
        beginning(text, 5, 3)
    with pytest.raises(ValueError, match="2 tokens of 4 words, got 4 of 3"):
        beginning(text, 2, 4)
    with pytest.raises(ValueError, match="words must be ≤ 2 where 2 tokens are asked for, got 3"):
        beginning(text, 2, 3)


def test_every_stage_takes_its_task_and_leaves_it():
    task = prepare(Size(800, 60, 8), CPU)
    before = task.counts.copy(), task.entries.counts.clone()
    for act in STAGES.values():
        act(task, torch.Generator().manual_seed(0))
    assert (task.counts != before[0]).nnz == 0
    assert torch.equal(task.entries.counts, before[1])
    assert task.counts.shape == (60, 60)
    assert len(task.entries.counts) == task.counts.nnz


def test_every_size_is_measured_in_every_round():
    tasks = {size: prepare(size, CPU) for size in (Size(400, 30, 4), Size(800, 30, 4))}
    seconds = measure(tasks, 3, torch.Generator().manual_seed(0))
    assert set(seconds) == set(STAGES) == set(experiment.LABELS)
    for by_size in seconds.values():
        assert all(len(times) == 3 and min(times) > 0 for times in by_size.values())


def test_the_exponent_of_a_power_law():
    sizes = [1, 2, 4, 8]
    assert exponent(sizes, [3 * n**0.75 for n in sizes]) == pytest.approx(0.75)
    assert str(exponent(sizes, [432487.0] * 4)) == "0.0"


def test_a_run_gives_numbers():
    context = RunContext(
        Settings(), CPU, torch.float32, torch.Generator().manual_seed(0), silent, None
    )
    found = json.loads(json.dumps(experiment.run(SMALL, context), allow_nan=False))
    assert set(found) == {"tokens", "words", "dimension"}
    assert found["tokens"]["sizes"] == [400, 800]
    for sweep in found.values():
        assert all(min(sweep[name]) > 0 for name in STAGES)
        slope = np.polyfit(np.log(sweep["sizes"]), np.log(sweep["sgns"]), 1)[0]
        assert sweep["exponent"]["sgns"] == pytest.approx(slope)
    assert found["dimension"]["entries"][0] == found["dimension"]["entries"][1]
    assert found["tokens"]["entries"][0] < found["tokens"]["entries"][1]


def test_bad_presets_are_named():
    for values in ((5,), (5, 5), (1, 5)):
        with pytest.raises(ValueError, match="tokens must be two or more rising sizes"):
            Preset(values, (30, 60), (4, 8), Size(800, 60, 8), 1)
    with pytest.raises(ValueError, match="rounds must be ≥ 1, got 0"):
        Preset((5, 6), (30, 60), (4, 8), Size(800, 60, 8), 0)
    with pytest.raises(ValueError, match="sizes must be ≥ 2, got"):
        Preset((5, 6), (30, 60), (4, 8), Size(800, 60, 1), 1)
    grown = {name: len(set(sweep)) for name, sweep in PRESETS["ci"].sweeps().items()}
    assert grown == {"tokens": 4, "words": 4, "dimension": 4}
