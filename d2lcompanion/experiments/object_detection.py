"""A small single-shot detector on unseen coins and boots, on unseen surfaces; or on bananas.

What the choice of background anchors in the loss, and the number of sizes of anchors, do
to average precision; and hard against soft suppression, also where objects overlap.
"""

from dataclasses import dataclass
from typing import Literal

from d2lcompanion.data.bananas import load_bananas
from d2lcompanion.experiments.detector_training import (
    CLASSES,
    CROWDED,
    Pictures,
    Recipe,
    Trained,
    anchor_errors,
    evaluate,
    scenes,
    train_detector,
)
from d2lcompanion.training.experiment import Column, Experiment, RunContext, Text
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.training.wall_time import Stopwatch
from d2lcompanion.vision.detection_metrics import AveragePrecision
from d2lcompanion.vision.ssd import SSDConfig

Sizes = tuple[tuple[float, ...], ...]
SCENE_SIZES: Sizes = ((0.2, 0.27), (0.34, 0.42))
ONE_SIZE: Sizes = ((0.25,), (0.25,))
# Geometric means of neighbours beside each, as d2l's.
BANANA_SIZES: Sizes = ((0.2, 0.272), (0.37, 0.447), (0.54, 0.619))
VARIANTS = ("hard", "focal", "all", "one_size")


@dataclass(frozen=True)
class Preset:
    """What one run does.

    Attributes:
        pictures: "scenes", made here, or "bananas", d2l's, which must be downloaded.
        train, test: numbers of scenes; bananas have 1,000 and 100.
        widths: channels of the stages of the network.
        steps: of each training.
        batch_size: pictures a step.
        rate: largest learning rate.
        variants: what is trained, "hard" first: the kinds of negatives of
            `detection_loss`, and "one_size", hard negatives and anchors of one size.
    Raises:
        ValueError: if a number is below its least, or a variant is unknown.
    """

    pictures: Literal["scenes", "bananas"]
    train: int
    test: int
    widths: tuple[int, ...]
    steps: int
    batch_size: int
    rate: float = 0.01
    variants: tuple[str, ...] = VARIANTS

    def __post_init__(self) -> None:
        require_numbers(self, train=1, test=1, steps=2, batch_size=2)
        if not self.rate > 0:
            raise ValueError(f"rate must be > 0, got {self.rate}")
        if self.variants[:1] != ("hard",) or not set(self.variants) <= set(VARIANTS):
            raise ValueError(
                f"variants must begin with hard and be of {', '.join(VARIANTS)}, "
                f"got {self.variants}"
            )


PRESETS = {
    "ci": Preset("scenes", 800, 200, (12, 24, 48, 48), steps=300, batch_size=16),
    "laptop": Preset(
        "scenes", 4000, 400, (16, 32, 64, 64), 2000, 32, variants=("hard", "all")
    ),
    "gpu": Preset(
        "bananas", 1000, 100, (16, 32, 64, 128, 128), 4000, 32, variants=("hard", "all")
    ),
}


def config_of(preset: Preset, variant: str = "hard") -> SSDConfig:
    """The form of the network."""
    if preset.pictures == "bananas":
        return SSDConfig(3, 1, preset.widths, BANANA_SIZES)
    sizes = ONE_SIZE if variant == "one_size" else SCENE_SIZES
    return SSDConfig(1, len(CLASSES), preset.widths, sizes)


def recipe_of(preset: Preset, variant: str, seed: int) -> Recipe:
    """How it is trained."""
    recipe = Recipe(preset.steps, preset.batch_size, preset.rate, seed=seed)
    if variant in ("focal", "all"):
        return recipe._replace(negatives=variant)  # type: ignore[arg-type]
    return recipe


def load(preset: Preset, part: Literal["train", "test"], seed: int) -> Pictures:
    """Pictures of one part.

    Raises:
        FileNotFoundError: if bananas are wanted, and their file is not there.
    """
    if preset.pictures == "bananas":
        images, labels = load_bananas("train" if part == "train" else "val")
        return Pictures(images.float() / 255, labels)
    return scenes(part, preset.train if part == "train" else preset.test, seed)


def run(preset: Preset, context: RunContext) -> dict[str, object]:
    """Average precision of all variants for `d2lc run`.

    Raises:
        SettingsError: for fp16, whose small gradients need a loss scaling that is not
            built in here.
        FileNotFoundError: if bananas are wanted, and their file is not there.
    """
    context.refuse_fp16()
    seed = context.settings.seed
    train, test = (
        Pictures(*(part.to(context.device) for part in load(preset, which, seed)))
        for which in ("train", "test")
    )
    found: dict[str, object] = {}
    with context.autocast():
        for variant in preset.variants:
            recipe = recipe_of(preset, variant, seed)
            with Stopwatch(context.device) as watch:
                trained = train_detector(
                    config_of(preset, variant), train, recipe,
                    context.track(range(recipe.steps), f"training, {variant}"),
                )  # fmt: skip
            with Stopwatch(context.device) as looking:
                precision = evaluate(trained.model, test)
            found[variant] = {
                **_numbers(precision),
                "train_ap": evaluate(
                    trained.model, Pictures(*(part[: preset.test] for part in train))
                ).mean,
                "seconds": watch.seconds,
            }
            if variant == "hard":
                found["images_per_second"] = len(test.images) / looking.seconds
                found |= _suppression(preset, context, trained, test)
    return found


def _suppression(
    preset: Preset, context: RunContext, trained: Trained, test: Pictures
) -> dict[str, object]:
    """Soft suppression, the crowded scenes, and d2l's two numbers."""
    wrong, away = anchor_errors(trained.model, test)
    found: dict[str, object] = {
        "soft": _numbers(evaluate(trained.model, test, soft=True)),
        "class_error": wrong,
        "box_error": away,
    }
    if preset.pictures == "scenes":
        crowd = scenes("test", preset.test, context.settings.seed, CROWDED)
        crowd = Pictures(*(part.to(context.device) for part in crowd))
        for name, soft in (("crowded", False), ("crowded_soft", True)):
            found[name] = _numbers(evaluate(trained.model, crowd, soft=soft))
    return found


def _numbers(precision: AveragePrecision) -> dict[str, object]:
    """AP, at single thresholds, and of each class."""
    by_threshold = precision.table.mean(1).tolist()
    return {
        "ap": precision.mean,
        "ap50": by_threshold[0],
        "ap75": by_threshold[5],
        "by_threshold": by_threshold,
        "by_class": precision.table.mean(0).tolist(),
    }


def _ap(name: str, en: str, zh: str) -> Column:
    return Column(name, Text(en, zh), ".3f")


EXPERIMENT = Experiment(
    name="object-detection",
    title=Text(
        "A small SSD on unseen coins, boots and surfaces: average precision",
        "小型 SSD 检测没见过的硬币、靴子与背景：平均精度",
    ),
    chapter="vision/object-detection",
    presets=PRESETS,
    notes={
        "ci": "800 scenes of 96×96 pixels, 300 steps, four trainings: a minute on one CPU thread",
        "laptop": "4,000 scenes, 2,000 steps, two trainings of about four minutes on a CPU",
        "gpu": "d2l's bananas, 256×256 pixels, 4,000 steps",
    },
    run=run,
    columns=(
        _ap("hard.ap", "AP", "AP"),
        _ap("hard.ap50", "AP50", "AP50"),
        _ap("hard.ap75", "AP75", "AP75"),
        _ap("all.ap", "AP, all negatives", "AP，全部负例"),
        _ap("soft.ap", "AP, soft-NMS", "AP，软 NMS"),
        Column("class_error", Text("class error", "类别误差"), ".2e"),
        Column("box_error", Text("box MAE", "边界框 MAE"), ".2e"),
    ),
)
