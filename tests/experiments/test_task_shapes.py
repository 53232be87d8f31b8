"""Four shapes: what the examples are, how answers are judged, and what learns what."""

import dataclasses
import json

import pytest
import torch
from sklearn.metrics import f1_score

from d2lcompanion.data.wikipedia import load_wikipedia, words_of
from d2lcompanion.experiments import task_shapes
from d2lcompanion.experiments.task_examples import (
    BLOCKS,
    TOPICS,
    Sizes,
    blocks,
    cloze_questions,
    tagged_words,
)
from d2lcompanion.experiments.task_heads import SHAPES
from d2lcompanion.experiments.task_judges import (
    judge_answers,
    nearest_name,
    span_scores,
    tag_scores,
    threshold_accuracy,
)
from d2lcompanion.experiments.task_shapes import (
    Preset,
    apply_rules,
    divide,
    examples,
    frozen_vectors,
    learn_all,
    learn_head,
)
from d2lcompanion.experiments.word_senses import pretrained
from d2lcompanion.training.results_table import results_table
from d2lcompanion.training.runner import run_experiment
from d2lcompanion.training.settings import Settings

SMALL = Preset(10, 30, 20, 5, 8, head_steps=40, steps=3, batch=4)


@pytest.mark.parametrize("name", SHAPES)
def test_articles_of_the_test_are_not_in_training(name):
    data = examples(name, SMALL.sizes)
    train, test = divide(data, 2)
    assert len(test) > 0
    assert set(data.block[test].tolist()) == {2}
    assert 2 not in data.block[train].tolist()


def test_every_topic_is_in_every_block():
    titles = load_wikipedia().titles
    for names in TOPICS.values():
        own = [titles.index(title) for title in names.split("|")]
        assert set(blocks()[own].tolist()) == set(range(BLOCKS))
    assert blocks().bincount().tolist() == [20] * 5


def test_tags_say_what_the_text_had():
    found = list(tagged_words("Plato knew Dion. He left Athens in 387 BC."))
    assert found == [
        ("plato", 2), ("knew", 0), ("dion", 1), ("he", 2), ("left", 0), ("athens", 1),
        ("in", 0), ("bc", 1),
    ]  # fmt: skip


def test_a_tag_stands_at_the_first_piece_of_each_word():
    data = examples("tags", SMALL.sizes)
    pieces = pretrained().tokenizer.pieces
    for row, words in enumerate(data.texts):
        at = (data.targets[row] >= 0).nonzero()[:, 0].tolist()
        assert len(at) == len(words) == 8
        for place, word in zip(at, words, strict=True):
            piece = pieces[int(data.rows.ids[row, place])]
            assert (
                word.startswith(piece)
                or piece == "[UNK]"
                or not piece.isascii()
                or not word.isascii()
            )


def test_pairs_are_balanced_and_have_lost_the_titles_words():
    data = examples("pairs", SMALL.sizes)
    assert data.targets.tolist() == [0, 1] * 10
    assert all(a != b for a, b in data.texts)
    assert max(len(text.split()) for both in data.texts for text in both) <= 8


def test_the_tokens_of_the_target_are_the_answer():
    data = examples("answers", SMALL.sizes)
    asked = cloze_questions(5)
    own = data.tested.sum()
    assert len(data.targets) == own + 5
    for row, (question, answer, n, start) in enumerate(asked, int(own)):
        first, last = data.targets[row].tolist()
        ids = data.rows.ids[row, first : last + 1].tolist()
        assert ids == pretrained().tokenizer.encode(answer)
        assert "what" in question
        assert load_wikipedia().texts[n][start:].startswith(answer)
        assert bool(data.rows.second[row, first : last + 1].all())


def test_scores_of_tags_are_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    said, true = torch.randint(0, 3, (2, 200), generator=generator)
    expected = f1_score(true, said, labels=[1, 2], average="macro")
    assert tag_scores(said, true)["f1"] == pytest.approx(expected)


def test_by_hand_scores_of_answers():
    said = torch.tensor([[3, 5], [3, 5], [3, 5], [7, 7]])
    true = torch.tensor([[3, 5], [5, 6], [6, 6], [6, 8]])
    found = span_scores(said, true)
    assert found["exact"] == 0.25
    assert found["f1"] == pytest.approx((1 + 2 / 5 + 0 + 2 / 4) / 4)


def test_right_logits_are_judged_right():
    data = examples("answers", SMALL.sizes)
    logits = torch.zeros(*data.rows.ids.shape, 2)
    rows = torch.arange(len(logits))
    for side in range(2):
        logits[rows, data.targets[:, side], side] = 5.0
    assert judge_answers(logits, data.targets, data.rows) == {"exact": 1.0, "f1": 1.0}


def test_a_threshold_is_the_best_in_training():
    x, labels = torch.tensor([0.1, 0.2, 0.6, 0.7, 0.3]), torch.tensor([0, 0, 1, 1, 1])
    assert threshold_accuracy(x, labels, x, labels) == 1
    other, truth = torch.tensor([0.25, 0.35]), torch.tensor([0, 1])
    assert threshold_accuracy(x, labels, other, truth) == 1


def test_the_nearest_name_is_found():
    passage = (
        "Far away, beyond the hills, lives Anna Brown with her family and her seven old dogs. "
        "The bridge was built by Carl Green in 1907."
    )
    start, end = nearest_name("Who built the bridge?", passage)
    assert passage[start:end] == "Carl Green"
    assert nearest_name("Who?", "nobody here") == (0, 11)


def test_a_frozen_encoder_stays_as_it_was_and_beats_the_majority():
    before = {k: v.clone() for k, v in pretrained().model.state_dict().items()}
    larger = dataclasses.replace(SMALL, paragraphs=20, words=16)
    found = [learn_head("topic", larger, seed)["accuracy"] for seed in range(3)]
    assert sum(found) / 3 > 0.45
    after = pretrained().model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert frozen_vectors("topic", SMALL.sizes) is frozen_vectors("topic", SMALL.sizes)
    assert all(p.grad is None for p in pretrained().model.parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_heads_and_rules_give_numbers_and_repeat(name):
    found = learn_head(name, SMALL, 1)
    assert found == learn_head(name, SMALL, 1)
    rule = apply_rules(name, SMALL, 1)
    for scores in (found, rule):
        assert 0 <= scores[SHAPES[name].score] <= 1


def test_training_all_repeats():
    assert learn_all("answers", SMALL, 0) == learn_all("answers", SMALL, 0)


def test_a_run_has_numbers_for_all_four():
    small = dataclasses.replace(
        task_shapes.EXPERIMENT, presets=dict.fromkeys(("ci", "laptop", "gpu"), SMALL)
    )
    found = run_experiment(small, Settings(device="cpu")).metrics
    json.dumps(found, allow_nan=False)
    for name, shape in SHAPES.items():
        for what in ("rule", "frozen", "tuned"):
            assert 0 <= found[name][what][shape.score] <= 1


def test_the_table_of_committed_results_can_be_made():
    assert "frozen" in str(results_table(task_shapes.EXPERIMENT, "en"))


def test_words_are_those_of_the_texts():
    data = examples("topic", SMALL.sizes)
    written = {words_of(text)[:3] for text in load_wikipedia().texts}
    assert all(words_of(text)[:3] in written for (text,) in data.texts)


BAD = {
    "shape": (lambda: examples("chunks", SMALL.sizes), r"name must be one of \['topic'.* got 'chunks'"),
    "cloze": (lambda: cloze_questions(10**6), r"cloze must be at most \d+, got 1000000"),
    "rate": (lambda: dataclasses.replace(SMALL, rate=0.0), "rate must be > 0, got 0"),
    "words": (lambda: dataclasses.replace(SMALL, words=4), "words must be ≥ 5, got 4"),
    "many": (lambda: examples("topic", Sizes(9999, 10, 10, 0, 5)), "must be 9999 paragraphs to draw, got"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
