"""The loop that pretrains BERT: one global batch a step, whatever it is divided among.

Every process draws the whole batch from the same generator and computes its own rows. So
sentences and masks are those of one process, and the loss, whose counts are known to
all, is the same up to the order of addition. A batch may also be taken in parts
("gradient accumulation") where memory is short.
"""

import contextlib
import itertools
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from d2lcompanion.experiments.bert_checkpoint import (
    Evaluation,
    History,
    load_checkpoint,
    save_checkpoint,
)
from d2lcompanion.experiments.bert_feed import (
    Feed,
    Recipe,
    make_optimizer,
    probe_of,
    rate_at,
)
from d2lcompanion.experiments.bert_text import Task
from d2lcompanion.text.bert_data import Batch
from d2lcompanion.text.bert_heads import BertForPretraining
from d2lcompanion.text.bert_loss import (
    LossSums,
    masked_step,
    pretraining_loss,
)
from d2lcompanion.text.masking import IGNORE, Masked
from d2lcompanion.training.experiment import RunContext


def train(
    model: BertForPretraining,
    task: Task,
    recipe: Recipe,
    context: RunContext,
    *,
    probe: Feed | None = None,
    evaluations: int = 10,
    checkpoint: Path | None = None,
    save_every: int = 500,
    on_look: Callable[[int], None] | None = None,
) -> History:
    """Train; look at the held-out rows before, at equal distances, and after.

    Args:
        model: trained in place.
        task: on the CPU; documents go to the device.
        recipe: how.
        context: device, precision, processes, seed.
        probe: held-out rows, on the device; None: those of `probe_of`.
        evaluations: how often to look, beside the first time.
        checkpoint: written every `save_every` steps and at the end; where it exists, the
            run goes on from there.
        save_every: steps.
        on_look: called with the number of steps taken, after each look at the held-out
            rows; the model is the one given. It must draw no random numbers.
    Raises:
        ValueError: if the checkpoint is of another run, or a number is out of range.
        FloatingPointError: if a loss is not finite; names the step.
    """
    seed = context.settings.seed
    feed = Feed(task.train.to(context.device), task, recipe, seed)
    probe = probe or probe_of(task, recipe, context)
    optimizer = make_optimizer(model.to(context.device), recipe)
    wrapped, optimizer = context.accelerator.prepare(model, optimizer)
    history, first = History([], [], [], []), 0
    identity = {"recipe": asdict(recipe), "seed": seed, "evaluations": evaluations}
    if checkpoint is not None and checkpoint.exists():
        history, first = load_checkpoint(checkpoint, model, optimizer, identity)
    looks = {round(n * recipe.steps / evaluations) for n in range(evaluations + 1)}
    with torch.random.fork_rng(_cuda(context)):
        for step in context.track(range(first, recipe.steps + 1), "pretraining"):
            if step in looks and step not in history.steps:
                history.steps.append(step)
                history.held_out.append(evaluate(model, probe, context))
                if on_look is not None:
                    on_look(step)
            if step == recipe.steps:
                break
            torch.manual_seed(feed.seed_of(step) + context.accelerator.process_index)
            sums = take_step(wrapped, optimizer, feed(step), step, recipe, context)
            _record(history, sums, step)
            done = step + 1
            if checkpoint is not None and done % save_every == 0:
                save_checkpoint(
                    checkpoint, model, optimizer, history, done, identity, context
                )
    if checkpoint is not None and first < recipe.steps:
        save_checkpoint(
            checkpoint, model, optimizer, history, recipe.steps, identity, context
        )
    return history


def take_step(
    model: Any,
    optimizer: Any,
    rows: tuple[Batch, Masked],
    step: int,
    recipe: Recipe,
    context: RunContext,
) -> LossSums:
    """One step on the whole batch; sums over all processes, before the step."""
    accelerator = context.accelerator
    batch, masked = rows
    hidden = (masked.targets != IGNORE).sum()
    number = torch.full_like(hidden, len(batch.label))
    mine = _shares(len(batch.label), accelerator.num_processes)[
        accelerator.process_index
    ]
    parts = [
        slice(mine.start + part.start, mine.start + part.stop)
        for part in _shares(mine.stop - mine.start, recipe.parts)
    ]
    for group in optimizer.param_groups:
        group["lr"] = rate_at(step + 1, recipe)
    found: LossSums | None = None
    for part in parts:
        last = part is parts[-1]
        wait = contextlib.nullcontext() if last else accelerator.no_sync(model)
        with wait:
            sums = masked_step(
                model,
                Batch(*(x[part] for x in batch)),
                Masked(*(x[part] for x in masked)),
                count=False,
            )
            loss = pretraining_loss(
                sums, hidden, number, next_weight=recipe.next_weight
            )
            # gradients are averaged over processes; the loss is a sum over them
            accelerator.backward(loss * accelerator.num_processes)
        detached = LossSums(*(x.detach() for x in sums))
        found = detached if found is None else found + detached
    accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
    optimizer.step()
    optimizer.zero_grad()
    assert found is not None
    return LossSums(*(accelerator.reduce(x, "sum") for x in found))


@torch.no_grad()
def evaluate(model: BertForPretraining, probe: Feed, context: RunContext) -> Evaluation:
    """Means over one epoch of held-out rows, the same rows and masks each time."""
    was = model.training
    model.eval()
    total: LossSums | None = None
    for step in range(probe.per_epoch):
        batch, masked = probe(step)
        with context.autocast():
            sums = masked_step(model, batch, masked)
        total = sums if total is None else total + sums
    model.train(was)
    assert total is not None
    words, following, hidden, rows, words_right, next_right = (float(x) for x in total)
    return Evaluation(
        words / hidden, following / rows, words_right / hidden, next_right / rows
    )


def _shares(rows: int, parts: int) -> list[slice]:
    """Rows in so many parts of about equal size.

    Raises:
        ValueError: if there are fewer rows than parts.
    """
    if not 1 <= parts <= rows:
        raise ValueError(f"a batch of {rows} rows cannot be divided by {parts}")
    edges = [round(n * rows / parts) for n in range(parts + 1)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def _record(history: History, sums: LossSums, step: int) -> None:
    loss = float(sums.words / sums.hidden.clamp(min=1))
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss of step {step} is {loss}: lower the rate")
    history.losses.append(loss)
    history.next_losses.append(float(sums.next / sums.rows))


def _cuda(context: RunContext) -> list[int]:
    return [context.device.index or 0] if context.device.type == "cuda" else []
