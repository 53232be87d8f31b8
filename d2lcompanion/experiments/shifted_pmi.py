"""Negative sampling with d = V, for powers and numbers of negatives, against its optimum."""

from dataclasses import dataclass

from d2lcompanion.experiments.optimal_scores import (
    by_dimension,
    count,
    free,
    normalizers,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers

POWERS = {"plain": 1.0, "smoothed": 0.75}

# ------------------------------------------------------------------------------------- the preset


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        vocabulary_size: V, the most frequent words that are left.
        window: words on either side.
        negatives: the k that are tried, each ≥ 1.
        dims: the d < V that are tried.
        iterations: quasi-Newton steps at most.
    Raises:
        ValueError: if a number is out of range.
    """

    vocabulary_size: int
    window: int
    negatives: tuple[int, ...]
    dims: tuple[int, ...]
    iterations: int

    def __post_init__(self) -> None:
        require_numbers(self, vocabulary_size=2, window=1, iterations=1)
        for name in ("negatives", "dims"):
            if min(getattr(self, name), default=0) < 1:
                raise ValueError(
                    f"{name} must be whole numbers ≥ 1, got {getattr(self, name)}"
                )


PRESETS = {
    "ci": Preset(60, 5, negatives=(1, 5), dims=(2, 4, 8, 16, 32), iterations=1000),
    "laptop": Preset(
        300, 5, negatives=(1, 5, 15), dims=(4, 8, 16, 32, 64, 128), iterations=1500
    ),
    "gpu": Preset(
        1000, 5, negatives=(1, 5, 15), dims=(16, 32, 64, 128, 256), iterations=8000
    ),
}

# --------------------------------------------------------------------------------- the experiment


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Both powers and every k with d = V, the corrected loss, and fewer dimensions."""
    seed = context.settings.seed
    found = count(preset.vocabulary_size, preset.window, seed=seed)
    pairs = found._replace(
        joint=found.joint.to(context.device), word=found.word.to(context.device)
    )
    more = {"iterations": preset.iterations, "seed": seed}
    tasks = [(name, k) for name in POWERS for k in preset.negatives]
    results: dict[str, dict[str, object]] = {name: {} for name in POWERS}
    for index in context.track(range(len(tasks)), "d = V"):
        name, k = tasks[index]
        results[name][f"k{k}"] = free(pairs, POWERS[name], k, **more)
    low = by_dimension(pairs, preset.dims, **more)
    return {
        "words": len(pairs.word),
        "pairs": pairs.total,
        "seen": float((pairs.joint > 0).double().mean()),
        **results,
        "corrected": normalizers(pairs, 5, **more),
        "dims": list(low),
        "correlations": [found.correlation for found in low.values()],
        "rms": [found.rms for found in low.values()],
    }


EXPERIMENT = Experiment(
    name="shifted-pmi",
    title=Text(
        "Scores of negative sampling with d = V against log P(w,c)/(P(w)Pₙ(c)) − log k, k = 5: "
        "root mean square over the pairs that occur",
        "负采样在 d = V 时的得分与 log P(w,c)/(P(w)Pₙ(c)) − log k 之差，k = 5："
        "出现过的词对上的均方根",
    ),
    chapter="text/approximate-training",
    presets=PRESETS,
    notes={
        "ci": "60 words, 10 minimizations: twenty seconds on one CPU thread",
        "laptop": "300 words, 13 minimizations: minutes on a CPU",
        "gpu": "1,000 words, 12 minimizations",
    },
    run=run,
    columns=(
        Column("words", Text("words", "词数"), ".0f"),
        Column("plain.k5.rms", Text("power 1", "1 次幂"), ".1e"),
        Column("smoothed.k5.rms", Text("power ¾", "¾ 次幂"), ".1e"),
        Column("plain.k5.spread", Text("spread of the target", "目标的标准差"), ".2f"),
        Column(
            "corrected.log_z",
            Text("NCE: largest |log Z|", "NCE：最大的 |log Z|"),
            ".1e",
        ),
    ),
    precision="fp64",
)
