"""Few labels: the split, what is cut out, equal use of labels, and a training that repeats."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from d2lcompanion.data.wikipedia import load_wikipedia, words_of
from d2lcompanion.experiments import few_labels
from d2lcompanion.experiments.few_label_task import few_task, mean_vectors
from d2lcompanion.experiments.few_labels import (
    NAMES,
    PRESETS,
    Preset,
    curve,
    prepare,
    probe,
    represent,
    tune,
)
from d2lcompanion.experiments.fine_tuning import encoder
from d2lcompanion.experiments.linear_probe import spread
from d2lcompanion.experiments.word_senses import sentence_vectors
from d2lcompanion.text.similarity import unit
from d2lcompanion.training.results_table import results_table
from d2lcompanion.training.runner import run_experiment
from d2lcompanion.training.settings import Settings

SMALL = Preset(3, 12, 12, (1, 4), 5, tuned=(4,), steps=4, batch=6)


@pytest.fixture(scope="module")
def study():
    return prepare(SMALL, 0)


def test_paragraphs_are_cut_and_have_lost_the_titles_words():
    few = few_task(3, 12, 12)
    names = {w for title in few.task.titles for w in words_of(title) if len(w) > 2}
    written = set(load_wikipedia().texts)
    assert names
    assert not names & {w for words in few.task.paragraphs for w in words}
    assert max(len(text.split()) for text in few.texts) == 12
    assert few.task.labels[few.task.labels >= 0].bincount().tolist() == [12] * 3
    assert any(t.split()[:12] == few.texts[0].split() for t in written)
    assert all(words_of(t) == w for t, w in zip(few.texts, few.task.paragraphs, strict=True))


def test_no_test_paragraph_is_read_before_the_test(study):
    train, test = (set(part.places.tolist()) for part in (study.parts.train, study.parts.test))
    assert not train & test
    assert len(train) == 3 * 4
    assert len(test) == 3 * 5
    assert len(study.parts.text) == len(study.few.texts) - 3 * (5 + 1)
    again = prepare(SMALL, 1)
    assert set(again.parts.test.places.tolist()) != test


def test_vectors_are_the_means_that_sentence_vectors_are_made_of(study):
    places = study.parts.test.places.tolist()
    texts = [study.few.texts[n] for n in places]
    found = torch.from_numpy(mean_vectors(study.few, places, encoder("minilm")))
    torch.testing.assert_close(unit(found), sentence_vectors(texts), atol=1e-5, rtol=0)
    kept = represent(study, "minilm")[1]
    np.testing.assert_allclose(kept, found.numpy(), atol=1e-5)


def test_the_probe_is_scikit_learns_on_so_many_labels(study):
    features = represent(study, "minilm")
    rows = study.parts.train.first(4).numpy()
    scale = spread(features[0][rows])
    theirs = LogisticRegression(C=1 / (len(rows) * SMALL.penalty), tol=1e-8, max_iter=2000)
    theirs.fit(features[0][rows] / scale, study.parts.train.labels.numpy()[rows])
    expected = theirs.score(features[1] / scale, study.parts.test.labels.numpy())
    assert probe(study, features, 4) == pytest.approx(expected, abs=1e-9)


def test_a_pretrained_encoder_beats_the_same_one_at_random():
    accuracy = {
        name: np.mean([curve(prepare(SMALL, seed), name)[-1] for seed in range(3)])
        for name in ("random", "minilm")
    }
    assert accuracy["minilm"] > accuracy["random"] + 0.1


def test_training_all_lowers_the_loss_and_repeats(study):
    right, losses = tune(study, "minilm", 4)
    assert 0 <= right <= 1
    assert len(losses) == 4
    assert tune(study, "minilm", 4) == (right, losses)
    longer = study._replace(preset=dataclasses.replace(SMALL, steps=12))
    assert np.mean(tune(longer, "minilm", 4)[1][-3:]) < losses[0]


def test_a_run_has_a_number_for_every_name():
    small = dataclasses.replace(
        few_labels.EXPERIMENT, presets=dict.fromkeys(("ci", "laptop", "gpu"), SMALL)
    )
    found = run_experiment(small, Settings(device="cpu")).metrics
    json.dumps(found, allow_nan=False)
    assert set(NAMES) <= set(found)
    assert len(found["minilm"]["accuracy"]) == 2
    assert len(found["minilm_tuned"]["accuracy"]) == 1
    assert found["minilm"]["at"]["4"] == found["minilm"]["accuracy"][1]


def test_the_table_of_committed_results_can_be_made():
    assert "MiniLM" in str(results_table(few_labels.EXPERIMENT, "en"))


BAD = {
    "pool": (lambda: Preset(3, 9, 12, (1, 4), 5), r"pool must be ≥ 10 = labels \+ 1 \+ test, got 9"),
    "tuned": (lambda: Preset(3, 12, 12, (1, 4), 5, tuned=(2,)), r"tuned must be of labels \(1, 4\), got \(2,\)"),
    "rate": (lambda: Preset(3, 12, 12, (1, 4), 5, rate=0), "rate must be > 0, got 0"),
    "classes": (lambda: few_task(33, 12, 12), "33 articles must have 12 paragraphs each; sizes are"),
    "name": (lambda: represent(prepare(SMALL, 0), "elmo"), "name must be tfidf, minilm or random, got 'elmo'"),
    "start": (lambda: encoder("gpt"), "start must be one of .* got 'gpt'"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_presets_have_test_paragraphs_for_every_class():
    for preset in PRESETS.values():
        assert (
            prepare(preset, 0).parts.test.labels.bincount().tolist()
            == [preset.test] * preset.classes
        )
