"""EfficientNet-Lite0: the published weights in an independent forward pass, and what it sees."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.efficientnet import MBConv as TheirMBConv
from torchvision.models.efficientnet import MBConvConfig

from d2lcompanion.data.efficientnet_lite0 import load_efficientnet_lite0
from d2lcompanion.data.photos import load_photo
from d2lcompanion.vision.efficientnet import (
    EfficientNetLite0,
    MBConv,
    SamePadding,
    as_input,
    published_network,
)

STATE = load_efficientnet_lite0().state


@pytest.fixture(scope="module")
def net():
    return published_network(STATE)


def photo(name, side=224):
    """The middle square at 224 pixels, by torch's own resizing."""
    pixels = load_photo(name).pixels[None].float()
    height, width = pixels.shape[2:]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = pixels[..., top : top + edge, left : left + edge]
    small = F.interpolate(square, (side, side), mode="bilinear", antialias=True)
    return as_input(small.round().clamp(0, 255).to(torch.uint8))


def functional_forward(x):
    """The published file, tensor by tensor, by its own names; padding written out."""

    def conv(x, name, stride=1, groups=1):
        weight = STATE[f"{name}.weight"]
        k, n = weight.shape[-1], x.shape[-1]
        total = max((math.ceil(n / stride) - 1) * stride + k - n, 0)
        x = F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
        return F.conv2d(x, weight, stride=stride, groups=groups)

    def norm(x, name):
        mean, var, scale, shift = (
            STATE[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * scale + shift

    strides = {1: 2, 3: 2, 5: 2, 11: 2}  # blocks that halve the sides
    x = norm(conv(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    for i in range(16):
        block, y = f"_blocks.{i}.", x
        if i > 0:
            y = norm(conv(y, f"{block}_expand_conv"), f"{block}_bn0").clamp(0, 6)
        y = conv(y, f"{block}_depthwise_conv", strides.get(i, 1), y.shape[1])
        y = norm(y, f"{block}_bn1").clamp(0, 6)
        y = norm(conv(y, f"{block}_project_conv"), f"{block}_bn2")
        x = x + y if y.shape == x.shape else y
    features = norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6)
    return features, features.mean((2, 3)) @ STATE["_fc.weight"].T + STATE["_fc.bias"]


@torch.no_grad()
def test_the_forward_pass_written_out(net):
    x = torch.cat([photo("cat"), photo("coffee")])
    features, logits = functional_forward(x)
    assert net.feature_map(x).shape == features.shape == (2, 1280, 7, 7)
    torch.testing.assert_close(net.feature_map(x), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net(x), logits, rtol=1e-4, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("name", "classes"), [("cat", {281, 282, 285}), ("coffee", {967})])
def test_it_knows_the_cat_and_the_coffee(net, name, classes):
    """Classes 281, 282 and 285 are cats (tabby, tiger cat, Egyptian cat), 967 is espresso."""
    shares = net(photo(name)).softmax(1)[0]
    assert int(shares.argmax()) in classes
    assert float(shares[list(classes)].sum()) > 0.7


def test_sizes_as_published():
    net = EfficientNetLite0(generator=torch.Generator().manual_seed(0))
    assert sum(p.numel() for p in net.parameters()) == 4_652_008
    assert len(net.state_dict()) == 296
    net.eval()
    assert net.feature_map(torch.zeros(1, 3, 65, 97)).shape == (1, 1280, 3, 4)
    assert EfficientNetLite0(7)(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_a_block_is_torchvisions_without_squeeze_and_excitation():
    """At stride 1 both pad alike; torchvision's SiLU becomes ReLU6, its attention nothing."""
    ours = MBConv(8, 8, 6, 1, 5).eval()
    config = MBConvConfig(6, 5, 1, 8, 8, 1)
    theirs = TheirMBConv(config, 0.0, lambda n: nn.BatchNorm2d(n, eps=1e-3)).block.eval()
    del theirs[2]
    for part in theirs[:2]:
        part[2] = nn.ReLU6()
    for part, values in zip(theirs.parameters(), ours.parameters(), strict=True):
        part.data.copy_(values.data)
    x = torch.randn(2, 8, 9, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x) + x)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("side", [1, 7, 8, 15])
def test_same_padding(kernel, side):
    """Stride 1 is torch's "same"; with stride 2, ⌈side/2⌉ windows, no row of zeros too many."""
    x = torch.rand(1, 1, side, side, dtype=torch.float64)
    weight = torch.rand(1, 1, kernel, kernel, dtype=torch.float64)
    own = F.conv2d(SamePadding(kernel, 1)(x), weight)
    torch.testing.assert_close(own, F.conv2d(x, weight, padding="same"))
    padded = SamePadding(kernel, 2)(x)
    assert F.conv2d(padded, weight, stride=2).shape[-1] == math.ceil(side / 2)
    before = sum(padded[0, 0, :, -1 if kernel == 1 else kernel // 2].cumsum(0) == 0)
    after = padded.shape[-1] - side - int(before)
    assert int(before) <= after <= int(before) + 1 or kernel == 1


def test_input_is_scaled():
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert as_input(pixels).flatten().tolist() == [-127 / 128, 0, 1]
    with pytest.raises(
        ValueError, match=r"\[n, 3, H, W\] of uint8, got \[1, 3, 1, 1\], torch.float"
    ):
        as_input(pixels.float())


def test_weights_come_from_the_generator():
    nets = [EfficientNetLite0(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    flat = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in nets]
    assert flat[0].equal(flat[1])
    assert not flat[0].equal(flat[2])


def test_other_files_are_refused():
    with pytest.raises(ValueError, match=r"unknown tensor 'conv1\.weight'"):
        published_network({"conv1.weight": torch.zeros(1)})
    less = {name: value for name, value in STATE.items() if name != "_fc.bias"}
    with pytest.raises(ValueError, match=r"must hold fc.bias, got 295 other tensors"):
        published_network(less)
    more = {**STATE, "_blocks.16._bn1.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"has no blocks\.16\.depthwise\.2\.weight"):
        published_network(more)
    with pytest.raises(ValueError, match=r"fc.bias must have shape \[1000\], got \[7\]"):
        published_network({**STATE, "_fc.bias": torch.zeros(7)})
    with pytest.raises(ValueError, match="classes must be a whole number ≥ 1, got 0"):
        EfficientNetLite0(0)
    with pytest.raises(ValueError, match=r"x must be \[n, c, H, W\] of floats"):
        published_network(STATE).feature_map(torch.zeros(3, 224, 224))
