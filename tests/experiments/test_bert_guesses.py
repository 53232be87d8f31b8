"""Guesses on the way: the run is the one of `bert`, and the sentences were not trained on."""

import itertools
import math
import re
from dataclasses import replace

import pytest
import torch

from d2lcompanion.experiments import bert, bert_guesses, guess_sentences, guess_views
from d2lcompanion.experiments.bert_text import articles, split_documents
from d2lcompanion.experiments.guess_sentences import OWN, quoted_sentences, sentences_of
from d2lcompanion.text.wordpiece import INSIDE, normalize, words
from d2lcompanion.training.results import read_results
from tests.experiments.contexts import context

SMALL = replace(bert_guesses.PRESETS["ci"], steps=6, warmup=2, evaluations=3)
LAPTOP = bert_guesses.PRESETS["laptop"]


@pytest.fixture(scope="module")
def run():
    return bert_guesses.run(SMALL, context())


@pytest.fixture(scope="module")
def committed():
    """The run at laptop scale."""
    (found,) = read_results(experiment="bert-guesses")
    return found


@pytest.fixture(scope="module")
def task():
    """The text of that run."""
    return bert.load_task(LAPTOP, 0)


# ----------------------------------------------------------------------------------------- the run


def test_asking_changes_nothing_in_the_run_of_bert(run):
    alone = bert.run(SMALL, context())
    for key in ("steps_curve", "words_curve", "next_curve", "train_curve", "words", "next"):
        assert run[key] == alone[key]
    assert len(set(run["words_curve"])) == 4


def test_the_committed_run_is_the_committed_run_of_bert(committed):
    (alone,) = (r for r in read_results(experiment="bert") if (r.scale, r.seed) == ("laptop", 0))
    assert committed.preset == alone.preset
    for key in ("words_curve", "next_curve", "train_curve"):
        assert committed.metric(key) == alone.metric(key)


def test_answers_stand_for_every_place_of_every_sentence(run):
    assert run["asked"] == [0, 2, 4, 6]
    assert len(run["guesses"]) == 4
    for step in run["guesses"]:
        for sentence, answers in zip(run["sentences"], step, strict=True):
            assert len(answers) == len(sentence["pieces"].split())


def test_guesses_fall_and_the_rank_agrees(committed, task):
    pieces = {piece: n for n, piece in enumerate(task.tokenizer.pieces)}
    for step in committed.metric("guesses"):
        for sentence, answers in zip(committed.metric("sentences"), step, strict=True):
            for true, answer in zip(sentence["pieces"].split(), answers, strict=True):
                guessed, shares = answer["pieces"].split(), answer["shares"]
                assert len(guessed) == len(shares) == len(set(guessed)) == 6
                assert set(guessed) <= set(pieces)
                assert sum(shares) + answer["share"] * (answer["rank"] > 6) <= 1.001
                assert all(a >= b > 0 for a, b in itertools.pairwise(shares))
                assert (true in guessed) == (answer["rank"] <= 6)
                if true in guessed:
                    assert guessed.index(true) + 1 == answer["rank"]
                    assert shares[answer["rank"] - 1] == answer["share"]
                else:
                    assert answer["share"] <= shares[-1]
                    assert answer["rank"] <= len(pieces)


def test_the_summary_is_that_of_the_places(committed):
    for n, step in enumerate(committed.metric("guesses")):
        places = [answer for answers in step for answer in answers]
        loss = -sum(math.log(each["share"]) for each in places) / len(places)
        told = {key: values[n] for key, values in committed.metric("summary").items()}
        assert told["loss"] == pytest.approx(loss, abs=1e-3)
        right = sum(each["rank"] == 1 for each in places) / len(places)
        assert told["right"] == pytest.approx(right)
        ranks = sorted(each["rank"] for each in places)
        middle = (ranks[(len(ranks) - 1) // 2] + ranks[len(ranks) // 2]) / 2
        assert told["rank"] == middle
    assert committed.metric("last") == told


def test_distances_are_those_of_a_slow_loop():
    generator = torch.Generator().manual_seed(0)
    shares = [torch.rand(n, 5, generator=generator).softmax(1) for n in (2, 3)]
    counts = torch.tensor([3, 1, 0, 2, 2])
    ids = torch.zeros(3, dtype=torch.long)
    answers = bert_guesses.Answers(
        0, shares, [bert_guesses.best_guesses(p, ids[: len(p)], 2) for p in shares]
    )
    found = bert_guesses.summarize(answers, counts)
    rows = torch.cat(shares).tolist()
    pairs = list(itertools.combinations(rows, 2))
    apart = sum(abs(a - b) for p, q in pairs for a, b in zip(p, q, strict=True)) / 2 / len(pairs)
    assert found["apart"] == pytest.approx(apart, rel=1e-6)
    known = [3 / 8, 1 / 8, 0, 2 / 8, 2 / 8]
    away = sum(abs(a - b) for p in rows for a, b in zip(p, known, strict=True)) / 2 / len(rows)
    assert found["from_counts"] == pytest.approx(away, rel=1e-6)


def test_counting_knows_the_most_frequent_pieces(committed, task):
    counted = committed.metric("counted")
    order = sorted(range(len(task.counts)), key=lambda n: -int(task.counts[n]))
    assert counted["pieces"].split() == [task.tokenizer.pieces[n] for n in order[:6]]
    total = int(task.counts.sum())
    expected = [int(task.counts[n]) / total for n in order[:6]]
    assert counted["shares"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("steps", "evaluations", "asked"),
    [
        (3600, 18, [0, 200, 400, 600, 1000, 1600, 2400, 3600]),
        (60, 6, [0, 10, 20, 30, 50, 60]),
        (5, 1, [0, 5]),
        (2, 9, [0, 1, 2]),
        (1, 1, [0, 1]),
    ],
)
def test_steps_asked_for_lie_apart(steps, evaluations, asked):
    assert bert_guesses.steps_asked(steps, evaluations) == asked


def test_a_checkpoint_is_refused():
    with pytest.raises(ValueError, match=r"checkpoint must be empty here, got 'x\.pt'"):
        bert_guesses.run(replace(SMALL, checkpoint="x.pt"), context())


# ----------------------------------------------------------------------------------- the sentences


def test_quoted_sentences_are_of_held_out_articles_and_nowhere_in_the_training_part(
    task, committed
):
    documents, _ = articles()
    train, rest = (
        {" ".join(words(normalize(sentence))) for document in part for sentence in document}
        for part in split_documents(documents, LAPTOP.held_out, 0)
    )
    quoted = [s for s in committed.metric("sentences") if s["source"] == "held-out"]
    assert len(quoted) == 3
    for sentence in quoted:
        text = sentence["pieces"].replace(f" {INSIDE}", "")
        assert text in rest
        assert text not in train
        assert 8 <= len(sentence["pieces"].split()) <= 16


def test_pieces_are_those_of_the_tokenizer(task, committed):
    stored = [sentence["pieces"].split() for sentence in committed.metric("sentences")]
    cut = [[task.tokenizer.pieces[n] for n in ids.tolist()] for ids, _ in sentences_of(task)]
    assert stored == cut
    again = [task.tokenizer.tokenize(" ".join(s).replace(f" {INSIDE}", "")) for s in stored]
    assert again == stored
    assert stored[3:] == [task.tokenizer.tokenize(text) for text in OWN]
    assert not any("[UNK]" in sentence for sentence in stored)


def test_the_chosen_are_the_longest_of_whole_words_one_of_a_document(task):
    part, pieces = task.held_out, task.tokenizer.pieces
    bounds = part.start.tolist()

    def shown(number):
        return [pieces[n] for n in part.ids[bounds[number] : bounds[number + 1]].tolist()]

    chosen = quoted_sentences(task)
    assert len({int(part.document[n]) for n in chosen}) == 3
    fit = [
        n
        for n in range(len(part.document))
        if 8 <= len(shown(n)) <= 16 and re.fullmatch(r"([a-z]+ |, )+\.", " ".join(shown(n)))
    ]
    longest = {}
    for n in fit:
        document = int(part.document[n])
        if document not in longest or len(shown(n)) > len(shown(longest[document])):
            longest[document] = n
    best = sorted(longest.values(), key=lambda n: -len(shown(n)))[:3]
    assert chosen == best


def test_too_few_documents_with_a_sentence_are_refused(task):
    with pytest.raises(ValueError, match=r"^99 held-out documents must have a sentence of 8 to 16"):
        guess_sentences.quoted_sentences(task, 99)


# ---------------------------------------------------------------------------------------- the views


@pytest.mark.parametrize("look", [0, 4, -1])
def test_places_are_those_of_a_look(committed, look):
    found = guess_views.places(committed, look)
    last = [answer for answers in committed.metric("guesses")[look] for answer in answers]
    assert [place.rank for place in found] == [answer["rank"] for answer in last]
    texts = [s["pieces"] for s in committed.metric("sentences")]
    assert len(found) == sum(len(text.split()) for text in texts)
    for place, answer in zip(found, last, strict=True):
        assert (place.true == place.best) == (place.rank == 1)
        assert place.sentence.count("[MASK]") == 1
        assert place.best_share == answer["shares"][0] >= place.share


def test_first_guesses_are_counted(committed):
    best = [place.best for place in guess_views.places(committed, 4)]
    found = guess_views.first_guesses(committed, 4)
    assert sorted(found) == sorted(set(best))
    assert [best.count(piece) for piece in found] == sorted(map(best.count, found), reverse=True)
    assert len(guess_views.first_guesses(committed)) > len(found)
