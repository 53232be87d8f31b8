"""Which photo is this patch from? Features that have seen ImageNet, and others, with few labels.

Patches are grey and have one mean and spread, so that neither colour nor brightness tells.
Those to learn from lie in the left of each photo, those to judge in the right, a tenth of
the width between them.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from d2lcompanion.data.efficientnet_lite0 import load_efficientnet_lite0
from d2lcompanion.data.photos import load_photo
from d2lcompanion.experiments.image_classification import accuracy
from d2lcompanion.experiments.image_probes import features_of, few_labels, probe
from d2lcompanion.experiments.transfer_methods import Labelled, learn
from d2lcompanion.extras import require
from d2lcompanion.training.preset_checks import require_numbers, require_positive
from d2lcompanion.vision.efficientnet import (
    EfficientNetLite0,
    as_input,
    published_network,
)
from d2lcompanion.vision.fine_tuning import (
    feature_extractor,
    parameter_groups,
    replace_head,
)
from d2lcompanion.vision.resized_crop import resized_crop

EDGE = 64  # pixels of a patch
SCIKIT_IMAGE = ("brick", "grass", "gravel", "moon", "immunohistochemistry", "camera")
PHOTOGRAPHS = ("cat", "coffee", "china", "flower")
CLASSES = (*SCIKIT_IMAGE, *PHOTOGRAPHS)
GAP = 0.05  # of the width, left out on either side of the middle
SCRATCH_RATES = (1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class PatchPreset:
    """Sizes of the task.

    Attributes:
        labels: patches of each photo to learn from, one comparison each.
        test: patches of each photo to judge by.
        side: pixels to which EfficientNet's patches are enlarged.
        steps: of the network from scratch.
        tuned: steps in which all of EfficientNet is trained, 0 for none.
    Raises:
        ValueError: if a number is out of range.
    """

    labels: tuple[int, ...] = (1, 5, 20)
    test: int = 20
    side: int = 96
    steps: int = 100
    tuned: int = 0

    def __post_init__(self) -> None:
        require_numbers(self, test=1, side=32, steps=1, tuned=0)
        require_positive(self, "labels")


@cache
def grey_photos() -> tuple[Tensor, ...]:
    """The ten photos, [H, W] in [0, 1]; colours by the weights of ITU-R BT.601."""
    photos = [load_photo(name).pixels for name in PHOTOGRAPHS]
    for name in reversed(SCIKIT_IMAGE):
        pixels = torch.from_numpy(getattr(require("skimage.data", "vision"), name)())
        photos.insert(0, pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return tuple(
        ((p.float() / 255) * weights).sum(0) if len(p) == 3 else p[0].float() / 255
        for p in photos
    )


def draw_patches(count: int, part: str, generator: torch.Generator) -> Labelled:
    """So many of each photo: [n, 1, 64, 64] with mean ½ and standard deviation ⅕, cut to [0, 1].

    Args:
        part: "train", from the left, or "test", from the right.
    Raises:
        ValueError: if the part is another.
    """
    if part not in ("train", "test"):
        raise ValueError(f"part must be train or test, got {part!r}")
    patches, labels = [], []
    for label, photo in enumerate(grey_photos()):
        height, width = photo.shape
        low, high = (0.0, 0.5 - GAP) if part == "train" else (0.5 + GAP, 1.0)
        first, last = round(low * width), round(high * width) - EDGE
        for _ in range(count):
            left = int(torch.randint(first, last + 1, (1,), generator=generator))
            top = int(torch.randint(height - EDGE + 1, (1,), generator=generator))
            patch = photo[top : top + EDGE, left : left + EDGE]
            spread = patch.std().clamp(min=1e-3)
            patches.append((0.5 + 0.2 * (patch - patch.mean()) / spread).clamp(0, 1))
            labels.append(label)
    return Labelled(torch.stack(patches)[:, None], torch.tensor(labels))


def to_pixels(patches: Tensor, side: int) -> Tensor:
    """Grey patches as EfficientNet takes them: [n, 1, 64, 64] → [n, 3, side, side]."""
    whole = torch.tensor([[0.0, 0, EDGE, EDGE]]).expand(len(patches), 4)
    large = resized_crop(patches, whole.to(patches), (side, side))
    grey = (255 * large).round().clamp(0, 255).to(torch.uint8)
    return as_input(grey.expand(-1, 3, -1, -1))


def lite0() -> EfficientNetLite0:
    """With the weights of ImageNet."""
    return published_network(load_efficientnet_lite0().state)


def compare_on_patches(
    preset: PatchPreset, seed: int, device: torch.device | str = "cpu"
) -> dict[str, dict[str, float]]:
    """Test accuracy by number of labels and by method; every method sees the same patches.

    The network from scratch is given the best of its rates on the test patches, which
    favours it.
    """
    generator = torch.Generator().manual_seed(seed)
    every = draw_patches(max(preset.labels), "train", generator)
    test = draw_patches(preset.test, "test", generator)
    order = few_labels(every.labels, max(preset.labels), generator)
    pretrained = lite0()
    features = {}
    for name, body in (
        ("efficientnet", feature_extractor(pretrained, "fc").to(device)),
        ("random", feature_extractor(_random_lite0(seed), "fc").to(device)),
    ):
        features[name] = [
            features_of(body, to_pixels(part.images, preset.side).to(device))
            for part in (every, test)
        ]
    features["pixels"] = [
        nn.functional.avg_pool2d(part.images, 4).flatten(1).double().numpy()
        for part in (every, test)
    ]
    found: dict[str, dict[str, float]] = {}
    for count in preset.labels:
        rows = order[: count * len(CLASSES)]
        labels = every.labels[rows].numpy()
        found[f"labels_{count}"] = {
            name: probe(train[rows.numpy()], labels, judged, test.labels.numpy())
            for name, (train, judged) in features.items()
        }
        few = Labelled(every.images[rows].to(device), every.labels[rows].to(device))
        judges = Labelled(*(part.to(device) for part in test))
        scratch = [
            from_scratch(few, judges, rate, preset.steps, seed)
            for rate in SCRATCH_RATES
        ]
        found[f"labels_{count}"]["scratch"] = max(scratch)
        if preset.tuned:
            inputs = [
                Labelled(to_pixels(part.images, preset.side), part.labels)
                for part in (few, judges)
            ]
            found[f"labels_{count}"]["tuned"] = all_tuned(
                pretrained, inputs[0], inputs[1], preset.tuned, seed
            )
    return found


def _random_lite0(seed: int) -> EfficientNetLite0:
    return EfficientNetLite0(generator=torch.Generator().manual_seed(seed)).eval()


def texture_network(classes: int, generator: torch.Generator) -> nn.Sequential:
    """Three convolutions with batch norm, and the mean over all places.

    On these patches it does far better than a narrow ResNet-18, whose early strides lose
    the grain.
    """
    parts: list[nn.Module] = []
    inputs = 1
    for outputs, kernel in ((16, 5), (32, 3), (64, 3)):
        conv = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2)
        nn.init.kaiming_normal_(conv.weight, generator=generator)
        assert conv.bias is not None
        nn.init.zeros_(conv.bias)
        parts += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    head = nn.Linear(inputs, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def from_scratch(
    train: Labelled, test: Labelled, rate: float, steps: int, seed: int
) -> float:
    """Test accuracy of `texture_network`."""
    generator = torch.Generator().manual_seed(seed)
    net = texture_network(len(CLASSES), generator).to(train.images)
    groups = parameter_groups(net, {}, rate)
    options = {"steps": steps, "batch_size": 32, "generator": generator}
    learn(net, train, groups, (), **options)  # type: ignore[arg-type]
    return accuracy(net, *test)


def all_tuned(
    source: nn.Module, train: Labelled, test: Labelled, steps: int, seed: int
) -> float:
    """Test accuracy after training all of EfficientNet by groups; norms keep their statistics."""
    generator = torch.Generator().manual_seed(seed)
    net = replace_head(source, "fc", len(CLASSES)).to(train.images.device)
    groups = parameter_groups(net, {"fc": 1e-2}, 1e-4)
    options = {"steps": steps, "batch_size": 16, "generator": generator}
    learn(net, train, groups, [""], **options)  # type: ignore[arg-type]
    return accuracy(net, *test)
