"""Short sentences to hide pieces of: some that were never trained on, some of our own."""

from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.experiments.bert_text import Task
from d2lcompanion.text.wordpiece import INSIDE

# Written for this course.
OWN = (
    "The capital of the country is its largest city.",
    "The king lost the war and his son became king.",
    "He was born in New York and died in London.",
)
QUOTED = 3  # sentences of held-out articles
SHORTEST, LONGEST = 8, 16  # pieces of a quoted sentence


class Sentence(NamedTuple):
    """One sentence to be asked about.

    Attributes:
        ids: [T], int64, its pieces.
        source: "held-out": of an article that was not trained on; "course": our own.
    """

    ids: Tensor
    source: str


def quoted_sentences(task: Task, count: int = QUOTED) -> list[int]:
    """Numbers of held-out sentences: of ordinary words, not too short, one of a document.

    Of those with 8 to 16 pieces, of letters and commas with a full stop at the end, first
    come those with the fewest pieces inside words; of equals the longest; then in order.

    Raises:
        ValueError: if fewer documents have one.
    """
    part, pieces = task.held_out, task.tokenizer.pieces
    found: list[tuple[int, int, int]] = []
    for number, cut in enumerate(part.ids.tensor_split(part.start[1:-1].cpu())):
        shown = [pieces[n] for n in cut.tolist()]
        *text, end = (piece.removeprefix(INSIDE) for piece in shown)
        if not SHORTEST <= len(shown) <= LONGEST or end != ".":
            continue
        if all(piece.isalpha() or piece == "," for piece in text):
            inside = sum(piece.startswith(INSIDE) for piece in shown)
            found.append((inside, -len(shown), number))
    chosen: dict[int, int] = {}  # document → its best sentence
    for *_, number in sorted(found):
        chosen.setdefault(int(part.document[number]), number)
    if len(chosen) < count:
        raise ValueError(
            f"{count} held-out documents must have a sentence of {SHORTEST} to {LONGEST} "
            f"pieces of letters, got {len(chosen)}"
        )
    return list(chosen.values())[:count]


def sentences_of(task: Task) -> list[Sentence]:
    """Three of held-out articles, then three of our own."""
    part, encode = task.held_out, task.tokenizer.encode
    bounds = part.start.tolist()
    quoted = [part.ids[bounds[n] : bounds[n + 1]] for n in quoted_sentences(task)]
    return [
        *(Sentence(ids, "held-out") for ids in quoted),
        *(Sentence(torch.tensor(encode(text)), "course") for text in OWN),
    ]
