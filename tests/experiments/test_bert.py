"""Pretraining: one process and two, in parts, interrupted, and what bad input says."""

import json
import math
import shlex
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch

from d2lcompanion.experiments import bert, bert_pretraining
from d2lcompanion.experiments.bert_feed import (
    Feed,
    Recipe,
    make_optimizer,
    probing,
    rate_at,
)
from d2lcompanion.experiments.bert_pretraining import train
from d2lcompanion.experiments.bert_text import split_documents, split_prose
from d2lcompanion.text.masking import IGNORE
from d2lcompanion.training.runner import command_line
from d2lcompanion.training.settings import Settings
from tests.experiments.contexts import context

PRESET = bert.Preset(
    vocabulary=300, min_sign=200, width=16, inner=32, length=24, batch=8, steps=6, warmup=2,
    evaluations=2, save_every=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def task():
    return bert.load_task(PRESET, 0)


def trained(task, preset=PRESET, **options):
    """The model after a run, and what the run saw."""
    model = bert.build(preset, task, torch.Generator().manual_seed(0))
    history = train(
        model, task, preset.recipe, context(), evaluations=preset.evaluations,
        save_every=preset.save_every, **options,
    )  # fmt: skip
    return model.state_dict(), history


def changed(**values):
    return bert.Preset(**{**asdict(PRESET), **values})


class Stopped(Exception):
    """As if the machine had gone off."""


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_resumed_run_is_bit_for_bit_the_one_that_was_not_interrupted(
    task, tmp_path, monkeypatch, dropout
):
    preset = changed(dropout=dropout)
    whole, history = trained(task, preset)
    path = tmp_path / "bert.pt"
    step = bert_pretraining.take_step

    def stop_at_five(model, optimizer, rows, number, *rest):
        if number == 4:
            raise Stopped
        return step(model, optimizer, rows, number, *rest)

    monkeypatch.setattr(bert_pretraining, "take_step", stop_at_five)
    with pytest.raises(Stopped):
        trained(task, preset, checkpoint=path)
    monkeypatch.setattr(bert_pretraining, "take_step", step)
    resumed, seen = trained(task, preset, checkpoint=path)
    assert seen == history
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    again, same = trained(task, preset, checkpoint=path)  # nothing is left to do
    assert same == history
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_batch_in_parts_gives_the_same_run(task):
    whole, history = trained(task)
    parts, seen = trained(task, changed(parts=3))
    for one, other in zip(history.losses, seen.losses, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    # Adam divides by the size of gradients, also of those that are rounding alone
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], atol=2e-4, rtol=1e-3)


def test_a_checkpoint_of_another_run_or_a_broken_one_is_refused(task, tmp_path):
    path = tmp_path / "bert.pt"
    trained(task, checkpoint=path)
    with pytest.raises(ValueError, match=r"bert.pt must be of a run with recipe .*0.5"):
        trained(task, changed(rate=0.5), checkpoint=path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"bert.pt is no checkpoint of this experiment"):
        trained(task, checkpoint=path)


@pytest.mark.slow
def test_two_processes_are_one_with_the_same_global_batch(tmp_path):
    """Through the command, on gloo: 8 rows by two, the loss on held-out rows within 1e-4."""
    curves = {}
    values = {k: v for k, v in asdict(PRESET).items() if k != "checkpoint"}
    for processes in (1, 2):
        path = tmp_path / f"{processes}.json"
        settings = Settings(device="cpu", devices=processes, overrides=values)
        line = shlex.split(command_line("bert", settings))
        if processes == 1:
            line = ["-m", "d2lcompanion.cli", *line[1:]]
        else:
            line = ["-m", "accelerate.commands.launch", *line[2:]]
        done = subprocess.run(
            [sys.executable, *line, "--json", str(path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        curves[processes] = metrics["words_curve"] + metrics["next_curve"]
    assert curves[1] == pytest.approx(curves[2], rel=1e-4)
    assert curves[1][0] != pytest.approx(curves[1][-4], rel=1e-3)  # something was learned


# --------------------------------------------------------------------------------------- the parts


def test_the_feed_is_a_function_of_seed_and_step(task):
    feed = Feed(task.train, task, PRESET.recipe, 0)
    late = feed(feed.per_epoch + 3)
    early = feed(3)
    again = Feed(task.train, task, PRESET.recipe, 0)
    for one, other in ((late, again(feed.per_epoch + 3)), (early, again(3))):
        assert torch.equal(one[0].ids, other[0].ids)
        assert torch.equal(one[1].ids, other[1].ids)
    assert not torch.equal(early[0].ids, late[0].ids)
    assert not torch.equal(early[0].ids, Feed(task.train, task, PRESET.recipe, 1)(3)[0].ids)


def test_an_epoch_takes_each_row_once(task):
    feed = Feed(task.train, task, PRESET.recipe, 0)
    rows = torch.cat([feed(step)[0].ids for step in range(feed.per_epoch)])
    ends = int((task.train.document.diff() == 0).sum())
    assert len(rows) == ends // PRESET.batch * PRESET.batch


def test_held_out_articles_are_others(task):
    documents = [[f"{n}"] for n in range(40)]
    train_part, rest = split_documents(documents, 0.1, 0)
    assert len(rest) == 4
    assert sorted(train_part + rest) == sorted(documents)
    with pytest.raises(ValueError, match=r"held_out must leave two documents .* got 0.01"):
        split_documents(documents, 0.01, 0)


def test_the_lines_against_counting_by_hand(task):
    probe = Feed(task.held_out, task, probing(task, PRESET.recipe), 0)
    found = bert.lines(task, probe)
    p = (task.counts + 1).double() / (task.counts + 1).sum()
    nats, count, strangers, rows = 0.0, 0, 0, 0
    for step in range(probe.per_epoch):
        batch, masked = probe(step)
        hidden = masked.targets[masked.targets != IGNORE]
        nats -= float(p[hidden].log().sum())
        count += len(hidden)
        strangers += int(batch.label.sum())
        rows += len(batch.label)
    assert found["unigram"] == pytest.approx(nats / count)
    share = strangers / rows
    assert found["label_entropy"] == pytest.approx(
        -share * math.log(share) - (1 - share) * math.log(1 - share)
    )


def test_the_rate_rises_and_falls_to_almost_nothing():
    recipe = Recipe(steps=10, warmup=4, rate=8.0)
    rates = [rate_at(step, recipe) for step in range(1, 11)]
    assert rates == pytest.approx([2, 4, 6, 8, 48 / 7, 40 / 7, 32 / 7, 24 / 7, 16 / 7, 8 / 7])


def test_only_matrices_decay(task):
    model = bert.build(PRESET, task, torch.Generator().manual_seed(0))
    decayed, plain = make_optimizer(model, PRESET.recipe).param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in plain["params"]} == {1}
    assert plain["weight_decay"] == 0 < decayed["weight_decay"]


def test_sentences_of_a_paragraph():
    text = 'It rains. "Does it?" J. Smith asked e.g. Dr. Who. Yes (always).'
    assert split_prose(text) == [
        "It rains.",
        '"Does it?"',
        "J. Smith asked e.g. Dr. Who.",
        "Yes (always).",
    ]


BAD = {
    "steps": ({"steps": 0}, "steps must be ≥ 1, got 0"),
    "rate": ({"rate": math.nan}, "rate must be > 0 and finite, got nan"),
}


@pytest.mark.parametrize(("values", "message"), BAD.values(), ids=list(BAD))
def test_bad_presets_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        changed(**values)


def test_what_does_not_fit_is_named(task):
    with pytest.raises(
        ValueError, match=r"batch must be at most \d+, the rows of an epoch, got 10000000"
    ):
        Feed(task.train, task, Recipe(batch=10_000_000), 0)
    with pytest.raises(ValueError, match="a batch of 8 rows cannot be divided by 9"):
        trained(task, changed(parts=9))
    with pytest.raises(FloatingPointError, match=r"the loss of step . is nan: lower the rate"):
        trained(task, changed(rate=1e30, warmup=1))
