"""An encoder for a task: used as it is, its vectors kept, or trained on with the task's map."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from d2lcompanion.data.minilm import load_minilm
from d2lcompanion.experiments.bert_feed import Recipe, make_optimizer, rate_at
from d2lcompanion.text.bert import Bert, Encoded
from d2lcompanion.text.bert_config import BertConfig
from d2lcompanion.text.bert_state import infer_config, load_bert_state
from d2lcompanion.text.bert_tasks import Head
from d2lcompanion.text.checks import require_choice
from d2lcompanion.text.task_rows import Rows

Start = Literal["minilm", "random"]
ROWS = 32  # in a batch where nothing is trained


def encoder(start: Start, seed: int = 0, *, dropout: float = 0.0) -> Bert:
    """MiniLM with its weights, or with first weights drawn from the seed.

    Raises:
        ValueError: if start is neither "minilm" nor "random".
    """
    require_choice("start", start, ("minilm", "random"))
    found = load_minilm()
    if start == "minilm":
        return load_bert_state(found.state, heads=found.heads, dropout=dropout)
    config: BertConfig = infer_config(found.state, heads=found.heads, dropout=dropout)
    return Bert(config, torch.Generator().manual_seed(seed)).eval()


def trimmed(rows: Rows) -> Rows:
    """Without the columns in which all is padding."""
    longest = int(rows.valid.sum(1).max())
    return Rows(*(part[:, :longest] for part in rows))


@torch.no_grad()
def encode_rows(bert: Bert, rows: Rows) -> Encoded:
    """The vectors of all rows, [N, T, d] and [N, d], where the rows lie; 0 at padding.

    Rows of like length go together, so that little padding is computed.
    """
    device = next(bert.parameters()).device
    count, length = rows.ids.shape
    hidden = torch.zeros(count, length, bert.config.width)
    pooled = torch.zeros(count, bert.config.width)
    for which in rows.valid.sum(1).argsort(stable=True).split(ROWS):  # type: ignore[no-untyped-call]
        part = trimmed(rows.rows(which))
        found = bert(*(x.to(device) for x in (part.ids, part.segments, part.valid)))
        kept = found.hidden * part.valid[:, :, None].to(device)
        hidden[which, : part.ids.shape[1]] = kept.float().cpu()
        pooled[which] = found.pooled.float().cpu()
    return Encoded(hidden, pooled)


@torch.no_grad()
def logits_of(model: Head, rows: Rows) -> Tensor:
    """What the model says of all rows, on the CPU; 0 for tokens that are padding."""
    model.eval()
    encoded = encode_rows(model.bert, rows)
    device = next(model.parameters()).device
    moved = Encoded(*(x.to(device) for x in encoded))
    return model.score(moved, rows.valid.to(device)).cpu()


def fine_tune(
    model: Head,
    rows: Rows,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    recipe: Recipe,
    generator: torch.Generator,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[float]:
    """Train encoder and map together: AdamW, warm-up, epochs in a new order each.

    Args:
        model: changed in place; on the device where it is trained.
        rows: of the training examples.
        loss_of: logits of a batch, and which rows it has, [B], int64 → the loss.
        recipe: `batch`, `steps`, `rate` and what belongs to the optimizer.
        generator: of the order; its first seed is dropout's too.
        autocast: a context for the forward pass.
    Returns:
        The loss of each step.
    """
    device = next(model.parameters()).device
    optimizer = make_optimizer(model, recipe)
    order = _epochs(len(rows.ids), recipe.batch, generator)
    losses = []
    model.train()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(generator.initial_seed())  # of dropout
        for step in range(1, recipe.steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, recipe)
            which = next(order)
            part = trimmed(rows.rows(which))
            with autocast():
                logits = model(
                    *(x.to(device) for x in (part.ids, part.segments, part.valid))
                )
            loss = loss_of(logits.float(), which)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            losses.append(loss.detach())
    model.eval()
    return [float(loss) for loss in losses]


def _epochs(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Which rows each step has: every row once in an epoch, the last batch may be small."""
    while True:
        yield from torch.randperm(count, generator=generator).split(batch)  # type: ignore[no-untyped-call]
