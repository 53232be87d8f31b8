"""ResNet-18: eight pairs of convolutions, each added to its own input.

y = ReLU(F(x) + x), where F is convolution, normalization, ReLU, convolution,
normalization. Where the shape changes, x goes through a convolution of one pixel. With
F ≈ 0 a block passes its input on, so depth costs nothing at first, and gradients reach the first
layer through the sums. Names of parameters are torchvision's, so its weights fit.
"""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from d2lcompanion.vision.checks import require_at_least

Stem: TypeAlias = Literal["photo", "small"]


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Without a bias: the normalization behind it takes any constant away."""
    return nn.Conv2d(
        inputs, outputs, size, stride=stride, padding=size // 2, bias=False
    )


class BasicBlock(nn.Module):
    """Two convolutions 3×3 and the sum with the input: [n, c, h, w] → [n, c', h/s, w/s]."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = (
            _conv(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
        )
        self.conv2, self.bn2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(
                _conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """ReLU(F(x) + x), the second x through `downsample`."""
        inner = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(inner)) + self.downsample(x))


class ResNet18(nn.Module):
    """Four stages of two blocks; each but the first halves the sides and doubles the channels.

    The stem of photos reduces sides to a quarter before the first stage (7×7 of stride 2,
    then a maximum of stride 2). Of 32×32 pixels a map of 1×1 would be left at the end, so
    the stem of small images is a 3×3 convolution alone, and the last map is 4×4.

    Args:
        classes: logits of each image.
        channels: of an image.
        width: of the first stage, the last has 8 times as many; 64 is ResNet-18.
        stem: "photo" as published and as in torchvision, "small" for CIFAR.
        generator: on the CPU, draws the weights: He's rule by outputs for convolutions,
            uniform in ±1/√inputs for the last layer. None: torch's own.
    Raises:
        ValueError: if a number is below 1 or the stem is unknown.
    Source:
        He, Zhang, Ren & Sun (2016), *Deep Residual Learning for Image Recognition*.
    """

    def __init__(
        self,
        classes: int,
        *,
        channels: int = 3,
        width: int = 64,
        stem: Stem = "photo",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("classes", classes),
            ("channels", channels),
            ("width", width),
        ):
            require_at_least(name, value, 1)
        if stem not in ("photo", "small"):
            raise ValueError(f"stem must be photo or small, got {stem!r}")
        small = stem == "small"
        self.conv1 = (
            _conv(channels, width, 3) if small else _conv(channels, width, 7, 2)
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        self.fc = nn.Linear(8 * width, classes)
        self._draw_weights(generator)

    def features(self, x: Tensor) -> Tensor:
        """The mean over the last map: [n, channels, H, W] → [n, 8·width]."""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits: [n, channels, H, W] → [n, classes]."""
        logits: Tensor = self.fc(self.features(x))
        return logits

    def _draw_weights(self, generator: torch.Generator | None) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight,
                    mode="fan_out",
                    nonlinearity="relu",
                    generator=generator,
                )
        bound = self.fc.in_features**-0.5
        for parameter in self.fc.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs)
    )
