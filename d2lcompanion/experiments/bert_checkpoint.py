"""What pretraining has seen so far, and a file of it from which a run goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from d2lcompanion.text.bert_heads import BertForPretraining
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
