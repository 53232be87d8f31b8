"""EfficientNet-Lite0: a network of 4.7 million parameters that has seen ImageNet.

Sixteen blocks. Each widens its input to six times as many channels, filters every channel
by itself, and narrows the result; where shapes allow, the input is added. "Lite": ReLU6 and no
squeeze-and-excitation, so that 8 bits suffice.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from d2lcompanion.vision.checks import require_at_least, require_images

SIDE = 224  # pixels, as trained
FEATURES = 1280
EPSILON = 1e-3  # of batch norms, as TensorFlow has it


class Stage(NamedTuple):
    """Blocks that share a width; the first has the stride."""

    widen: int
    channels: int
    blocks: int
    stride: int
    kernel: int


STAGES = (
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)


class SamePadding(nn.Module):
    """Zeros around an image so that stride s leaves ⌈side/s⌉; an odd one goes right and below.

    TensorFlow's "SAME", with which the weights were trained. PyTorch's padding = 1 puts
    the filters one pixel further left and up where the side is even.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] → [n, c, h + p, w + q]."""
        edges = []
        for side in (x.shape[3], x.shape[2]):
            steps = -(-side // self.stride)
            missing = max((steps - 1) * self.stride + self.kernel - side, 0)
            edges += [missing // 2, missing - missing // 2]
        return pad(x, edges)


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int, groups: int
) -> list[nn.Module]:
    """Padding, convolution, batch norm."""
    return [
        SamePadding(kernel, stride),
        nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=EPSILON, momentum=0.01),
    ]


class MBConv(nn.Module):
    """Widen, filter, narrow: [n, c, h, w] → [n, c', ⌈h/s⌉, ⌈w/s⌉]; + x if it fits."""

    def __init__(
        self, inputs: int, outputs: int, widen: int, stride: int, kernel: int
    ) -> None:
        super().__init__()
        wide = widen * inputs
        self.expand = (
            nn.Sequential(*_conv(inputs, wide, 1, 1, 1), nn.ReLU6())
            if widen > 1
            else nn.Sequential()
        )
        self.depthwise = nn.Sequential(
            *_conv(wide, wide, kernel, stride, wide), nn.ReLU6()
        )
        self.project = nn.Sequential(*_conv(wide, outputs, 1, 1, 1))
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """No ReLU at the end: in few channels it would lose what it cuts."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return y + x if self.adds_input else y


class EfficientNetLite0(nn.Module):
    """Images (x − 127)/128 to logits; sides of any size, best near 224.

    Args:
        classes: logits of each image.
        generator: on the CPU, draws the weights: He's rule by outputs for convolutions,
            uniform in ±1/√inputs for the last layer.
    Raises:
        ValueError: if classes < 1.
    Source:
        Tan & Le (2019), *EfficientNet*, table 1; "Lite" as TensorFlow's repository has it.
    """

    def __init__(
        self, classes: int = 1000, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        require_at_least("classes", classes, 1)
        self.stem = nn.Sequential(*_conv(3, 32, 3, 2, 1), nn.ReLU6())
        blocks, inputs = [], 32
        for stage in STAGES:
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                blocks.append(
                    MBConv(inputs, stage.channels, stage.widen, stride, stage.kernel)
                )
                inputs = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(*_conv(inputs, FEATURES, 1, 1, 1), nn.ReLU6())
        self.fc = nn.Linear(FEATURES, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", generator=generator
                )
        for parameter in self.fc.parameters():
            nn.init.uniform_(
                parameter, -(FEATURES**-0.5), FEATURES**-0.5, generator=generator
            )

    def feature_map(self, x: Tensor) -> Tensor:
        """[n, 3, H, W] → [n, 1280, ⌈H/32⌉, ⌈W/32⌉]: at 224 pixels 7×7."""
        require_images("x", x)
        found: Tensor = self.last(self.blocks(self.stem(x)))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits, [n, 3, H, W] → [n, classes], of the mean over the last map."""
        logits: Tensor = self.fc(self.feature_map(x).mean((2, 3)))
        return logits


def as_input(pixels: Tensor) -> Tensor:
    """[n, 3, H, W] of uint8 → (x − 127)/128, float32.

    Raises:
        ValueError: if they are not three channels of uint8.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ValueError(
            f"pixels must be [n, 3, H, W] of uint8, got {list(pixels.shape)}, {pixels.dtype}"
        )
    return (pixels.float() - 127) / 128


# The names of the published file, piece by piece, and ours.
_RENAMED = (
    (r"^_conv_stem\.", "stem.1."),
    (r"^_bn0\.", "stem.2."),
    (r"^_conv_head\.", "last.1."),
    (r"^_bn1\.", "last.2."),
    (r"^_fc\.", "fc."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.1."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.2."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.1."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.2."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.1."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.2."),
)


def published_network(state: Mapping[str, Tensor]) -> EfficientNetLite0:
    """The network with published weights, in evaluation mode.

    Args:
        state: name in the published file → tensor.
    Raises:
        ValueError: if a name or shape is not the network's, or one is missing; names it.
    """
    ours: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, new in _RENAMED:
            if re.match(pattern, name):
                ours[re.sub(pattern, new, name)] = tensor
                break
        else:
            raise ValueError(f"unknown tensor {name!r}")
    net = EfficientNetLite0()
    expected = net.state_dict()
    if surplus := sorted(set(ours) - set(expected)):
        raise ValueError(f"the network has no {surplus[0]}, which the file holds")
    for name, tensor in expected.items():
        if name not in ours:
            raise ValueError(
                f"the file must hold {name}, got {len(ours)} other tensors"
            )
        if ours[name].shape != tensor.shape:
            raise ValueError(
                f"{name} must have shape {list(tensor.shape)}, got {list(ours[name].shape)}"
            )
    net.load_state_dict(ours)
    return net.eval()
