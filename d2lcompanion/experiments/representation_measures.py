"""One representation measured: accuracy and size with all labels, and accuracy with few."""

import time
from collections.abc import Sequence

import numpy as np

from d2lcompanion.experiments.fasttext_probe import choose_fasttext
from d2lcompanion.experiments.linear_probe import choose
from d2lcompanion.experiments.representation_study import Preset, Study, labels_of
from d2lcompanion.experiments.text_features import (
    Represent,
    numbers_a_row,
    representations,
)
from d2lcompanion.experiments.unlabelled_vectors import Documents


def measure(
    represent: Represent,
    parts: Sequence[Documents],
    labels: Sequence[np.ndarray],
    classes: int,
) -> dict[str, object]:
    """One representation with all labels, as numbers for JSON."""
    start = time.process_time()
    made = represent(parts)
    middle = time.process_time()
    found = choose(made.features, labels, classes)
    seconds = time.process_time() - middle
    columns = made.features[0].shape[1]
    return {
        "accuracy": found.test[0],
        "misspelt": found.test[-1],
        "validation": found.validation,
        "setting": found.penalty,
        "columns": columns,
        "numbers": numbers_a_row(made.features[2]),
        "table": made.table,
        "classifier": (columns + 1) * classes,
        "seconds": {"represent": middle - start, "classify": seconds},
    }


def learning_curve(
    study: Study, name: str, parts: list[Documents], preset: Preset, seed: int
) -> list[float]:
    """Test accuracy with few labels of each class, then more; the same validation for all."""
    labels, classes = labels_of(study), len(study.task.titles)
    represent = representations(study.parts.text, study.tables, preset.effort).get(name)
    found = []
    fixed = name not in ("counts", "sublinear", "fasttext")  # made without labels
    whole = represent(parts[:3]).features if represent and fixed else None
    for each in preset.labels:
        rows = study.parts.train.first(each).numpy()
        few = [labels[0][rows], *labels[1:3]]
        if whole is not None:
            chosen = choose([whole[0][rows], *whole[1:]], few, classes)
        else:
            documents = [[parts[0][n] for n in rows.tolist()], *parts[1:3]]
            chosen = (
                choose_fasttext(documents, few, classes, preset, seed)
                if represent is None
                else choose(represent(documents).features, few, classes)
            )
        found.append(chosen.test[0])
    return found
