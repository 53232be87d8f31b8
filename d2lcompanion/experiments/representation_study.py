"""What a comparison of text representations needs: the task, split, and vectors of its text.

What is learned without labels reads the extract without the validation and test
paragraphs. The seed splits the paragraphs and draws first vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from d2lcompanion.experiments.paragraph_task import (
    Split,
    Task,
    load_task,
    misspell,
    split,
)
from d2lcompanion.experiments.unlabelled_vectors import (
    LEARNERS,
    Documents,
    Effort,
    WordTable,
    published_table,
)
from d2lcompanion.training.preset_checks import require_numbers

MISSPELT = 0.3  # share of the longer words


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        least: paragraphs that an article has, to be a class.
        sizes: paragraphs of each class to train, validate and test.
        labels: of each class, for the learning curve; the last is all.
        min_count: rarer words have no vector.
        dimension: of all vectors that are learned here.
        sgns_epochs, subword_epochs, glove_epochs: passes.
        steps_epochs: passes of fastText's classifier over all labels; with fewer labels
            more passes, and as many steps.
        rates: of that classifier, for validation to choose from.
    Raises:
        ValueError: if a number is out of range.
    """

    least: int
    sizes: tuple[int, int, int]
    labels: tuple[int, ...]
    min_count: int
    dimension: int
    sgns_epochs: int
    subword_epochs: int
    glove_epochs: int
    steps_epochs: int
    rates: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)

    def __post_init__(self) -> None:
        require_numbers(
            self, least=1, min_count=1, dimension=1, sgns_epochs=1, subword_epochs=1,
            glove_epochs=1, steps_epochs=1,
        )  # fmt: skip
        if not self.rates or not min(self.rates) > 0:
            raise ValueError(f"rates must be positive numbers, got {self.rates}")
        rising = sorted(set(self.labels)) == list(self.labels)
        if not rising or not 1 <= self.labels[0] <= self.labels[-1] == self.sizes[0]:
            raise ValueError(
                f"labels must rise from ≥ 1 to {self.sizes[0]}, got {self.labels}"
            )

    @property
    def effort(self) -> Effort:
        """How vectors are learned without labels."""
        return Effort(
            self.min_count,
            self.dimension,
            self.sgns_epochs,
            self.subword_epochs,
            self.glove_epochs,
        )


class Study(NamedTuple):
    """The task, how the seed splits it, and vectors that were learned without labels."""

    task: Task
    parts: Split
    tables: dict[str, WordTable]


def prepare(
    preset: Preset, seed: int, learners: Sequence[str] = tuple(LEARNERS)
) -> Study:
    """Split, and learn vectors on the text that may be read."""
    task = load_task(preset.least)
    parts = split(task, preset.sizes, seed)
    tables = {
        name: LEARNERS[name](parts.text, preset.effort, seed) for name in learners
    }
    tables["published"] = published_table(parts.text)
    return Study(task, parts, tables)


def documents_of(study: Study, seed: int) -> list[Documents]:
    """Training, validation and test paragraphs, and the last misspelt."""
    train, validation, test, _ = study.parts
    generator = torch.Generator().manual_seed(seed)
    worse = misspell(test.documents, MISSPELT, generator)
    return [train.documents, validation.documents, test.documents, worse]


def labels_of(study: Study) -> list[np.ndarray]:
    """Theirs."""
    train, validation, test = (part.labels.numpy() for part in study.parts[:3])
    return [train, validation, test, test]
