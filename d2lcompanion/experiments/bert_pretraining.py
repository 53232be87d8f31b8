"""The loop that pretrains BERT: one global batch a step, whatever it is divided among.

Every process draws the whole batch from the same generator and computes its own rows. So
sentences and masks are those of one process, and the loss, whose counts are known to
all, is the same up to the order of addition. A batch may also be taken in parts
("gradient accumulation") where memory is short.
"""

import contextlib
import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from d2lcompanion.experiments.bert_feed import (
    Feed,
    Recipe,
    make_optimizer,
    probing,
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


class Evaluation(NamedTuple):
    """Means over held-out rows.

    Attributes:
        words: −ln p(hidden word), nats; its exponential is the (pseudo-)perplexity.
        next: −ln p(label), nats.
        words_right: share of hidden words with the largest logit.
        next_right: share of labels.
    """

    words: float
    next: float
    words_right: float
    next_right: float


class History(NamedTuple):
    """What training saw.

    Attributes:
        steps: at which the held-out rows were looked at; 0 is before training.
        held_out: what they gave.
        losses: of words, of each step's batch before the step.
        next_losses: of the next sentence.
    """

    steps: list[int]
    held_out: list[Evaluation]
    losses: list[float]
    next_losses: list[float]


def train(
    model: BertForPretraining,
    task: Task,
    recipe: Recipe,
    context: RunContext,
    *,
    evaluations: int = 10,
    checkpoint: Path | None = None,
    save_every: int = 500,
) -> History:
    """Train; look at the held-out rows before, at equal distances, and after.

    Args:
        model: trained in place.
        task: on the CPU; documents go to the device.
        recipe: how.
        context: device, precision, processes, seed.
        evaluations: how often to look, beside the first time.
        checkpoint: written every `save_every` steps and at the end; where it exists, the
            run goes on from there.
        save_every: steps.
    Raises:
        ValueError: if the checkpoint is of another run, or a number is out of range.
        FloatingPointError: if a loss is not finite; names the step.
    """
    seed = context.settings.seed
    feed = Feed(task.train.to(context.device), task, recipe, seed)
    probe = Feed(task.held_out.to(context.device), task, probing(task, recipe), seed)
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


# ------------------------------------------------------------------------------------- checkpoints


def save_checkpoint(
    path: Path,
    model: BertForPretraining,
    optimizer: Any,
    history: History,
    step: int,
    identity: Mapping[str, object],
    context: RunContext,
) -> None:
    """All that the next step depends on; the file is complete or it is the old one."""
    if not context.accelerator.is_main_process:
        return
    held_out = [list(each) for each in history.held_out]
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": {**history._asdict(), "held_out": held_out},
        "step": step,
        "run": dict(identity),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(
    path: Path,
    model: BertForPretraining,
    optimizer: Any,
    identity: Mapping[str, object],
) -> tuple[History, int]:
    """Model and optimizer as they were; history and steps taken.

    Raises:
        ValueError: if the file is cut off or is none, or was written by a run with
            another recipe or seed; names the file and what differs.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        run = state["run"]
    except Exception as error:
        raise ValueError(
            f"{path} is no checkpoint of this experiment: {error}"
        ) from error
    for key, value in identity.items():
        if run.get(key) != value:
            raise ValueError(
                f"{path} must be of a run with {key} {value}, got {run.get(key)}"
            )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    kept = state["history"]
    kept["held_out"] = [Evaluation(*each) for each in kept["held_out"]]
    return History(**kept), state["step"]


# ------------------------------------------------------------------------------------- small parts


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
