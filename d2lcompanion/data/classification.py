"""The form in which every classification data set arrives."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class ClassificationData:
    """A table of real numbers and the class of every row.

    Attributes:
        name: short, for tables.
        features: [n, d], float64.
        labels: [n], int64, from 0 to classes − 1.
        classes: k ≥ 2.
        source: a sentence: what was loaded, from where, and what was done to it.
    """

    name: str
    features: Tensor
    labels: Tensor
    classes: int
    source: str

    def __post_init__(self) -> None:
        rows, labels = self.features.shape[:1], self.labels.shape
        if self.features.ndim != 2 or labels != rows or len(self.labels) == 0:
            raise ValueError(
                f"{self.name}: features {list(self.features.shape)} and labels "
                f"{list(labels)} do not match"
            )
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.classes:
            raise ValueError(
                f"{self.name}: labels must be from 0 to {self.classes - 1}, "
                f"got {low} to {high}"
            )

    def only(self, *kept: int) -> "ClassificationData":
        """The rows of some classes, which become 0, 1, … in the order given.

        Raises:
            ValueError: if fewer than two classes are kept, or one is not there.
        """
        if len(set(kept)) < 2 or not set(kept) <= set(range(self.classes)):
            raise ValueError(
                f"two or more classes from 0 to {self.classes - 1} must be kept, "
                f"got {list(kept)}"
            )
        matches = self.labels[:, None] == self.labels.new_tensor(kept)  # [n, kept]
        rows = matches.any(1)
        return ClassificationData(
            name=f"{self.name}, classes {', '.join(map(str, kept))}",
            features=self.features[rows],
            labels=matches[rows].long().argmax(1),
            classes=len(kept),
            source=f"{self.source} Only classes {', '.join(map(str, kept))}.",
        )
