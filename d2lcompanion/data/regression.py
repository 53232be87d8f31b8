"""The form in which every regression data set arrives."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class RegressionData:
    """A table of real numbers and the column to be predicted.

    Attributes:
        name: short, for tables.
        features: [n, d], float64.
        target: [n], float64.
        feature_names: d names, in the order of the columns.
        source: a sentence: what was loaded, from where, and what was done to it.
    """

    name: str
    features: Tensor
    target: Tensor
    feature_names: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if (
            self.features.ndim != 2
            or self.target.shape != self.features.shape[:1]
            or len(self.feature_names) != self.features.shape[1]
        ):
            raise ValueError(
                f"{self.name}: features {list(self.features.shape)}, target "
                f"{list(self.target.shape)} and {len(self.feature_names)} names do not match"
            )


def standardize(x: Tensor) -> Tensor:
    """(x − mean)/sd for each column, with sd² = Σ(x − mean)²/n (ddof 0, as numpy; torch has n − 1).

    Args:
        x: [n] or [n, d], floats.
    Returns:
        The same shape; each column has mean 0 and standard deviation 1.
    Raises:
        ValueError: if a column is constant, or x is empty or not finite.
    """
    if x.numel() == 0 or not bool(x.isfinite().all()):
        bad = int((~x.isfinite()).sum())
        raise ValueError(
            f"x must hold finite numbers, got shape {list(x.shape)} with {bad} inf or nan"
        )
    sd = x.std(dim=0, correction=0)
    # Rounding leaves a constant column a spread of its own, about ε times its size.
    constant = (sd <= 1e-12 * x.abs().amax(0)).reshape(-1).nonzero().flatten().tolist()
    if constant:
        raise ValueError(f"constant columns cannot be standardized: {constant}")
    return (x - x.mean(dim=0)) / sd
