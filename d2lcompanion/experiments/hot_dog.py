"""Hot dog or not: ResNet-18 from scratch, and with ImageNet's weights, on 2,000 photos."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from d2lcompanion.data.hot_dogs import (
    CLASS_NAMES,
    HotDogs,
    load_hot_dogs,
    load_resnet18_weights,
)
from d2lcompanion.experiments.transfer_methods import Labelled
from d2lcompanion.training.preset_checks import require_numbers
from d2lcompanion.vision.fine_tuning import (
    freeze,
    parameter_groups,
    replace_head,
    train_except,
)
from d2lcompanion.vision.geometric import random_flip
from d2lcompanion.vision.resized_crop import random_resized_crop, resized_crop
from d2lcompanion.vision.resnet import ResNet18

SIDE = 224
MEAN, SD = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)  # with which the weights were made
BODY = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True)
class HotDogPreset:
    """Sizes of the run, and rates for the mean of the loss.

    The book's: 5e-5 for the body and ten times that for the head, with the sum over
    128, are these for the mean; 5e-4 from scratch.

    Raises:
        ValueError: if a number is out of range.
    """

    epochs: int = 5
    batch_size: int = 128
    body_rate: float = 128 * 5e-5
    head_rate: float = 128 * 5e-4
    scratch_rate: float = 128 * 5e-4
    decay: float = 1e-3 / 128

    def __post_init__(self) -> None:
        require_numbers(self, epochs=1, batch_size=2)


def compare_on_hot_dogs(
    preset: HotDogPreset,
    seed: int,
    device: torch.device | str,
    data: HotDogs | None = None,
    source: nn.Module | None = None,
) -> dict[str, float]:
    """Test accuracies: from scratch, head only, all by groups of rates.

    Args:
        data, source: by default the archive and torchvision's weights, from the data
            directory.
    Raises:
        FileNotFoundError: if one of the two is not there.
    """
    photos = load_hot_dogs() if data is None else data
    if source is None:
        source = ResNet18(1000)
        source.load_state_dict(load_resnet18_weights())
    train = Labelled(photos.train_images.to(device), photos.train_labels.to(device))
    test = Labelled(photos.test_images.to(device), photos.test_labels.to(device))
    found = {}
    for name in ("scratch", "probe", "groups"):
        generator = torch.Generator().manual_seed(seed)
        net = replace_head(source, "fc", len(CLASS_NAMES), generator)
        frozen: tuple[str, ...] = ()
        rates: tuple[dict[str, float], float | None]
        rates = {"fc": preset.head_rate}, preset.body_rate
        if name == "scratch":
            net = ResNet18(len(CLASS_NAMES), generator=generator)
            rates = {}, preset.scratch_rate
        if name == "probe":
            freeze(net, BODY)
            frozen, rates = BODY, ({"fc": preset.head_rate}, None)
        net.to(device)
        groups = parameter_groups(net, *rates)
        _train(net, train, groups, frozen, preset, generator)
        found[name] = _accuracy(net, test)
    return found


def _train(
    net: nn.Module,
    data: Labelled,
    groups: list[dict[str, Any]],
    frozen: tuple[str, ...],
    preset: HotDogPreset,
    generator: torch.Generator,
) -> None:
    """SGD on the mean cross-entropy; crops and mirrors anew at every look."""
    optimizer = torch.optim.SGD(groups, weight_decay=preset.decay)
    for _ in range(preset.epochs):
        order = torch.randperm(len(data.labels), generator=generator)
        batches = order.split(preset.batch_size)  # type: ignore[no-untyped-call]
        train_except(net, frozen)
        for batch in batches:
            rows = batch.to(data.labels.device)
            x = data.images[rows].float() / 255
            x = random_resized_crop(x, generator, size=(SIDE, SIDE))
            x = standardized(random_flip(x, generator))
            loss = nn.functional.cross_entropy(net(x).float(), data.labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    net.eval()


def standardized(x: Tensor) -> Tensor:
    """[n, 3, H, W] in [0, 1] → as ImageNet's weights expect."""
    mean, sd = (x.new_tensor(v)[:, None, None] for v in (MEAN, SD))
    return (x - mean) / sd


@torch.no_grad()
def _accuracy(net: nn.Module, data: Labelled) -> float:
    """On the middle 224 of 256 pixels."""
    right = 0
    for start in range(0, len(data.labels), 128):
        x = data.images[start : start + 128].float() / 255
        edge = (x.shape[-1] - SIDE) / 2
        window = torch.tensor([[edge, edge, edge + SIDE, edge + SIDE]]).to(x)
        x = resized_crop(x, window.expand(len(x), 4), (SIDE, SIDE))
        guesses = net(standardized(x)).argmax(1)
        right += int((guesses == data.labels[start : start + 128]).sum())
    return right / len(data.labels)
