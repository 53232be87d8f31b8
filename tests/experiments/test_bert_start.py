"""Four beginnings of BERT: the same task, other first weights."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from d2lcompanion.experiments import bert, bert_start
from d2lcompanion.experiments.bert_presets import Preset
from d2lcompanion.text.bert_start import SD, sinusoids
from tests.experiments.contexts import context

SMALL = replace(bert_start.PRESETS["ci"], vocabulary=300, min_sign=200, steps=4, warmup=2)


@pytest.fixture(scope="module")
def task():
    return bert.load_task(SMALL, 0)


@pytest.mark.parametrize(("weights", "positions"), bert_start.WAYS)
def test_a_beginning_is_what_it_is_called(task, weights, positions):
    preset = replace(SMALL, weights=weights, positions=positions)
    model = bert.build(preset, task, torch.Generator().manual_seed(0))
    linear = model.bert.layers[0].inner.weight
    expected = 0.02 if weights == "published" else SMALL.width**-0.5
    assert float(linear.detach().std()) == pytest.approx(expected, rel=0.05)
    place = model.bert.embeddings.position.weight.detach()
    table = 2**0.5 * SD * sinusoids(*place.shape)
    assert torch.equal(place, table) == (positions == "sinusoidal")
    word = model.bert.embeddings.word.weight.detach()
    assert float(word.std()) == pytest.approx(0.02, rel=0.02)


def test_all_four_see_the_same_and_the_first_is_the_experiment_of_its_own():
    found = bert_start.run(SMALL, context())
    alone = bert.run(SMALL, context())
    assert found["lines"] == alone["lines"]
    assert found["published_published"]["words_curve"] == alone["words_curve"]
    curves = {tuple(found[f"{w}_{p}"]["train_curve"] or [found[f"{w}_{p}"]["words"]])
              for w, p in bert_start.WAYS}  # fmt: skip
    assert len(curves) == 4
    assert found["neighbours"]["both"] < found["neighbours"]["left"] < found["neighbours"]["none"]


def test_counting_is_left_out_where_its_tables_would_be_too_large(task, monkeypatch):
    monkeypatch.setattr(bert_start, "COUNTED", 10)
    assert bert_start.count_neighbours(task) == {}


@pytest.mark.parametrize(("name", "changed"), [("weights", "scaled"), ("positions", "sinusoidal")])
def test_unknown_beginnings_are_refused(name, changed):
    message = f"{name} must be one of ['published', '{changed}'], got 'other'"
    with pytest.raises(ValueError, match=re.escape(message)):
        Preset(**{name: "other"})


def test_a_checkpoint_is_refused():
    with pytest.raises(ValueError, match=r"checkpoint must be empty here, got 'x\.pt'"):
        bert_start.run(replace(SMALL, checkpoint="x.pt"), context())
