"""The committed guesses of a small BERT: the data of the explorer, and places to talk of."""

import json
from collections import Counter
from typing import Any, NamedTuple

from d2lcompanion.text.wordpiece import join_pieces
from d2lcompanion.training.results import Result

ORIGIN = """/* Guesses of our own small BERT, by d2lcompanion.experiments.guess_views.
   The held-out sentences are of the English Wikipedia, CC BY-SA. */"""
HIDDEN = "[MASK]"


class Place(NamedTuple):
    """One hidden piece, and what was guessed.

    Attributes:
        sentence: as words, with [MASK] at the place.
        true: the piece that stands there.
        best: the first guess, and best_share its probability.
        share: the probability of the true piece, and rank its rank.
    """

    sentence: str
    true: str
    best: str
    best_share: float
    share: float
    rank: int


def places(result: Result, look: int = -1) -> list[Place]:
    """All places of all sentences at one look, by its number in `asked`; −1 is the last."""
    found = []
    for sentence, answers in zip(
        result.metric("sentences"), result.metric("guesses")[look], strict=True
    ):
        pieces = sentence["pieces"].split()
        for place, answer in enumerate(answers):
            shown = [*pieces[:place], HIDDEN, *pieces[place + 1 :]]
            found.append(
                Place(
                    join_pieces(shown),
                    pieces[place],
                    answer["pieces"].split()[0],
                    answer["shares"][0],
                    answer["share"],
                    answer["rank"],
                )
            )
    return found


def first_guesses(result: Result, look: int = -1) -> list[str]:
    """The different first guesses of one look, the most frequent first."""
    counts = Counter(place.best for place in places(result, look))
    return [piece for piece, _ in counts.most_common()]


def explorer_script(result: Result) -> str:
    """The data of the explorer as JavaScript: a line for each sentence at each step.

    A place is [pieces, their shares, share and rank of the true piece].
    """
    preset = result.preset
    head = {
        "layers": preset["layers"],
        "width": preset["width"],
        "vocabulary": preset["vocabulary"],
        "steps": result.metric("asked"),
        "sentences": [
            {"pieces": sentence["pieces"].split(), "source": sentence["source"]}
            for sentence in result.metric("sentences")
        ],
    }
    steps = [
        "[\n" + ",\n".join(map(_line, sentences)) + "\n]"
        for sentences in result.metric("guesses")
    ]
    opening = json.dumps(head)[:-1]
    guesses = ",\n".join(steps)
    return f'{ORIGIN}\nglobalThis.courseGuesses = {opening}, "guesses": [\n{guesses}\n]}};\n'


def _line(answers: list[dict[str, Any]]) -> str:
    keys = ("pieces", "shares", "share", "rank")
    rows = [[answer[key] for key in keys] for answer in answers]
    return json.dumps(rows, separators=(",", ":"))
