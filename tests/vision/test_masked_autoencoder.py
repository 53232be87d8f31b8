"""What the encoder may see, what the loss may count, and torch's own layer as an oracle."""

import pytest
import torch
from torch import nn

from d2lcompanion.vision.masked_autoencoder import (
    Block,
    MaskedAutoencoder,
    MaskedConfig,
    Painted,
    hidden_loss,
)
from d2lcompanion.vision.patches import patchify, random_masking

CONFIG = MaskedConfig((1, 12, 12), patch=3, width=16, layers=2, heads=4, decoder_width=8)
VISIBLE = 4


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    return MaskedAutoencoder(CONFIG, generator())


@pytest.fixture
def patches():
    return patchify(torch.rand(5, 1, 12, 12, generator=generator(1)), 3)


@pytest.fixture
def order():
    return random_masking(5, 16, 0.75, generator(2))


def test_hidden_patches_cannot_reach_the_encoder_nor_the_picture(model, patches, order):
    """Not a single bit: hidden pixels may even be nan."""
    spoiled = patches.clone()
    for image in range(5):
        spoiled[image, order[image, VISIBLE:]] = float("nan")
    kept = order[:, :VISIBLE]
    assert torch.equal(model.encoder(patches, kept), model.encoder(spoiled, kept))
    clean, dirty = model(patches, order, VISIBLE), model(spoiled, order, VISIBLE)
    assert torch.equal(clean.patches, dirty.patches)


def test_visible_patches_do_reach_it(model, patches, order):
    """Every visible patch has a gradient in the painting of every hidden one."""
    patches.requires_grad_()
    painted = model(patches, order, VISIBLE)
    gradient = torch.autograd.grad(painted.patches[0, order[0, -1]].sum(), patches)[0]
    reached = gradient.abs().sum(-1) > 0
    expected = torch.zeros(5, 16, dtype=torch.bool)
    expected[0, order[0, :VISIBLE]] = True
    assert torch.equal(reached, expected)


def test_the_loss_ignores_visible_patches_and_equals_a_loop(model, patches, order):
    painted = model(patches, order, VISIBLE)
    errors = [
        float((painted.patches.detach()[n, k] - patches[n, k]).square().mean())
        for n in range(5)
        for k in order[n, VISIBLE:].tolist()
    ]
    loss = hidden_loss(painted, patches)
    assert float(loss.detach()) == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    other = painted.patches.clone()
    for n in range(5):
        other[n, order[n, :VISIBLE]] = 1e9
    assert torch.equal(hidden_loss(Painted(other, painted.hidden), patches), loss)


def test_a_painting_does_not_depend_on_the_order_in_which_patches_are_named(model, patches, order):
    """Vectors carry their position; the same visible set gives the same picture."""
    turned = torch.cat([order[:, :VISIBLE].flip(1), order[:, VISIBLE:].flip(1)], 1)
    first, second = model(patches, order, VISIBLE), model(patches, turned, VISIBLE)
    torch.testing.assert_close(first.patches, second.patches)


def test_all_patches_kept_is_the_same_as_none_named(model, patches):
    every = torch.arange(16).expand(5, -1)
    torch.testing.assert_close(model.encoder(patches), model.encoder(patches, every))
    image = torch.rand(5, 1, 12, 12, generator=generator(1))
    torch.testing.assert_close(model.encoder.features(image), model.encoder(patches).mean(1))


def test_a_layer_equals_torchs():
    ours = Block(16, 4).double()
    theirs = nn.TransformerEncoderLayer(
        16, 4, 64, dropout=0, activation="gelu", norm_first=True, batch_first=True
    ).double()
    names = {
        "self_attn.in_proj_": "qkv.", "self_attn.out_proj.": "out.", "linear1.": "inner.",
        "linear2.": "outer.", "norm1.": "norm.", "norm2.": "map_norm.",
    }  # fmt: skip
    state = {
        prefix + kind: ours.state_dict()[own + kind]
        for prefix, own in names.items()
        for kind in ("weight", "bias")
    }
    theirs.load_state_dict(state)
    x = torch.randn(2, 7, 16, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


def test_one_seed_gives_one_model():
    first, second = (MaskedAutoencoder(CONFIG, generator(7)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["position"], MaskedAutoencoder(CONFIG, generator(8)).position)


def test_it_learns_to_paint_what_the_neighbours_tell():
    """Images of one grey each: hidden patches follow from visible ones."""
    x = torch.rand(64, 1, 12, 12, generator=generator(3))[:, :, :1, :1].expand(-1, -1, 12, 12)
    patches, model, draw = (
        patchify(x.contiguous(), 3),
        MaskedAutoencoder(CONFIG, generator()),
        generator(5),
    )
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        loss = hidden_loss(model(patches, random_masking(64, 16, 0.75, draw), VISIBLE), patches)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1 * float(
        patches.var()
    )  # the variance is what the mean grey pays


def test_bad_input_is_named(model, patches, order):
    with pytest.raises(ValueError, match=r"order must have shape \[5, 16\], got \[5, 15\]"):
        model(patches, order[:, :15], VISIBLE)
    with pytest.raises(ValueError, match=r"patches must have shape \[5, 16, 9\], got \[4, 16, 9\]"):
        hidden_loss(model(patches, order, VISIBLE), patches[:4])
    for sizes, message in (
        ({"patch": 5}, r"patch must divide \(28, 28\), got 5"),
        ({"width": 30}, "widths must be multiples of heads, got 30, 4"),
        ({"layers": 0}, "layers must be a whole number ≥ 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            MaskedConfig(**sizes)
