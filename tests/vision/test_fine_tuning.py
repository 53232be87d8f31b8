"""Heads, frozen parts and groups of rates: what changes, and above all what does not."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from d2lcompanion.vision.fine_tuning import (
    Counts,
    contains,
    count_parameters,
    feature_extractor,
    find_part,
    freeze,
    layer_rates,
    parameter_groups,
    replace_head,
    set_part,
    train_except,
)
from d2lcompanion.vision.resnet import ResNet18


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def small():
    """ResNet-18, two channels wide."""
    return ResNet18(5, channels=1, width=2, stem="small", generator=drawn())


def pictures(n=6):
    return torch.rand(n, 1, 16, 16, generator=drawn(1))


def flat(state):
    return {name: value.clone() for name, value in state.items()}


# -------------------------------------------------------------------------------------------- head


def test_a_new_head_on_the_same_features():
    net = small().eval()
    new = replace_head(net, "fc", 3, drawn()).eval()
    assert new(pictures()).shape == (6, 3)
    assert net(pictures()).shape == (6, 5)
    torch.testing.assert_close(new.features(pictures()), net.features(pictures()))
    assert float(new.fc.weight.detach().abs().max()) <= 16**-0.5
    assert float(new.fc.weight.detach().std()) == pytest.approx((3 * 16) ** -0.5, rel=0.25)
    assert new.fc.bias.tolist() == [0, 0, 0]


def test_the_copy_shares_no_memory():
    net = small()
    before = flat(net.state_dict())
    new = replace_head(net, "fc", 3)
    with torch.no_grad():
        for tensor in new.state_dict().values():
            tensor.fill_(7)
    assert all(before[name].equal(value) for name, value in net.state_dict().items())


def test_a_head_of_zeros_sends_no_gradient_down():
    """∂L/∂features = Wᵀ(p − e) = 0, so the first step moves the head alone."""
    new = replace_head(small(), "fc", 3)
    loss = nn.functional.cross_entropy(new(pictures()), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert float(loss.detach()) == pytest.approx(torch.log(torch.tensor(3.0)).item(), abs=1e-6)
    loss.backward()
    assert all(
        float(p.grad.abs().max()) == 0 for n, p in new.named_parameters() if not n.startswith("fc")
    )
    assert float(new.fc.weight.grad.abs().max()) > 0


def test_dtype_and_bias_follow_the_old_head():
    net = nn.Sequential(nn.Linear(3, 2, bias=False)).double()
    head = replace_head(net, "0", 4, drawn())[0]
    assert head.bias is None
    assert head.weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "classes", "message"),
    [
        ("head", 3, "no part 'head': the network has conv1, bn1, maxpool, layer1"),
        ("layer4.2", 3, "no part 'layer4.2': 'layer4' has 0, 1"),
        ("bn1", 3, "head 'bn1' must be Linear, got BatchNorm2d"),
        ("fc.weight", 3, "no part 'fc.weight': 'fc' has no parts"),
        ("fc", 0, "classes must be a whole number ≥ 1, got 0"),
        ("", 3, "head '' must be Linear, got ResNet18"),
    ],
)
def test_heads_that_are_not_there(name, classes, message):
    with pytest.raises(ValueError, match=message):
        replace_head(small(), name, classes)


# ------------------------------------------------------------------------------------------- frozen


def steps(net, names, how):
    """Three steps of SGD, momentum and decay, with the mode set before each."""
    optimizer = torch.optim.SGD(
        [p for p in net.parameters() if p.requires_grad], 0.1, momentum=0.9, weight_decay=0.1
    )
    for _ in range(3):
        how(net, names)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(pictures()), torch.arange(6) % 5).backward()
        optimizer.step()


FROZEN = ("conv1", "bn1", "layer1", "layer2")


def test_nothing_frozen_changes_and_all_else_does():
    net = small()
    freeze(net, FROZEN)
    before = flat(net.state_dict())
    steps(net, FROZEN, train_except)
    for name, value in net.state_dict().items():
        still = any(contains(part, name) for part in FROZEN)
        assert before[name].equal(value) == still, name


def test_with_train_alone_the_statistics_of_frozen_norms_move():
    """The trap: scale and shift stay, running means do not, and features drift."""
    net = small()
    freeze(net, FROZEN)
    before = flat(net.state_dict())
    steps(net, FROZEN, lambda net, _: net.train())
    moved = {n for n, v in net.state_dict().items() if not before[n].equal(v)}
    assert "bn1.running_mean" in moved
    assert "layer2.0.bn1.running_var" in moved
    assert "bn1.weight" not in moved
    old, new = small().eval(), net.eval()
    x = pictures()
    with torch.no_grad():
        assert not torch.allclose(old.bn1(old.conv1(x)), new.bn1(new.conv1(x)), atol=1e-3)


def test_no_dropout_in_frozen_parts():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2), nn.Dropout(0.5))
    train_except(net, ["0", "1"])
    assert [part.training for part in net] == [False, False, True, True]


def test_unknown_parts_change_nothing():
    net = small().train()
    for function in (freeze, train_except):
        with pytest.raises(ValueError, match="no part 'layer5'"):
            function(net, ["conv1", "layer5"])
    assert all(p.requires_grad for p in net.parameters())
    assert net.conv1.training


def test_the_empty_name_is_the_whole_network():
    net = small()
    freeze(net, [""])
    assert count_parameters(net) == Counts(0, sum(p.numel() for p in net.parameters()))
    assert not any(part.training for part in net.modules())


# ------------------------------------------------------------------------------------------- groups

PARTS = [name for name, part in small().named_modules() if name and list(part.parameters())]


@given(
    st.dictionaries(st.sampled_from(PARTS), st.floats(1e-5, 1), max_size=6),
    st.sets(st.sampled_from(["conv1", "layer1", "layer3.0", "fc"])),
)
def test_every_trained_parameter_is_in_one_group_with_its_longest_name(rates, frozen):
    net = small()
    freeze(net, sorted(frozen))
    trained = {n: p for n, p in net.named_parameters() if p.requires_grad}
    owner = {}
    for name in trained:
        path = name.split(".")
        above = [".".join(path[:k]) for k in range(len(path), 0, -1)]
        owner[name] = next((part for part in above if part in rates), "rest")
    if set(rates) - set(owner.values()):  # all frozen, or all taken by longer names
        with pytest.raises(ValueError, match="has no parameter that is trained"):
            parameter_groups(net, rates, 0.5)
        return
    groups = parameter_groups(net, rates, 0.5)
    where = {id(p): group for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(trained) == len(where)
    for name, parameter in trained.items():
        assert where[id(parameter)]["name"] == owner[name]
        assert where[id(parameter)]["lr"] == rates.get(owner[name], 0.5)


def test_groups_are_what_an_optimizer_takes():
    net = small()
    optimizer = torch.optim.SGD(parameter_groups(net, {"fc": 0.5}, 0.05))
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]
    before = flat(dict(net.named_parameters()))
    net(pictures()).square().mean().backward()
    slopes = {name: p.grad.clone() for name, p in net.named_parameters()}
    optimizer.step()
    for name, p in net.named_parameters():
        rate = 0.5 if name.startswith("fc") else 0.05
        torch.testing.assert_close(p.detach(), before[name].detach() - rate * slopes[name])


@pytest.mark.parametrize(
    ("rates", "rest", "message"),
    [
        ({"head": 0.1}, 0.1, "no part 'head'"),
        ({"fc": 0.0}, 0.1, "rate of 'fc' must be > 0 and finite, got 0.0"),
        ({"fc": 0.1}, -1.0, "rate of 'rest' must be > 0 and finite, got -1.0"),
        ({"fc": 0.1}, None, "rest must be given for conv1.weight, bn1.weight"),
        ({"maxpool": 0.1}, 0.1, "group 'maxpool' has no parameter that is trained"),
        ({"layer1": 0.1, "layer1.0": 0.2, "layer1.1": 0.3}, 0.1, "group 'layer1' has no"),
    ],
)
def test_groups_that_make_no_sense(rates, rest, message):
    with pytest.raises(ValueError, match=message):
        parameter_groups(small(), rates, rest)


def test_names_match_whole_steps_only():
    net = nn.ModuleDict({"a": nn.Linear(1, 1), "ab": nn.Linear(1, 1)})
    groups = parameter_groups(net, {"a": 0.1}, 0.2)
    assert [len(group["params"]) for group in groups] == [2, 2]


def test_rates_fall_by_a_factor():
    rates = layer_rates(["conv1", "layer1", "fc"], 0.1, 0.5)
    assert rates == {"conv1": 0.025, "layer1": 0.05, "fc": 0.1}
    with pytest.raises(ValueError, match=r"factor must be in \(0, 1\], got 2"):
        layer_rates(["fc"], 0.1, 2)
    with pytest.raises(ValueError, match=r"one or more, got \[\]"):
        layer_rates([], 0.1, 0.5)
    with pytest.raises(ValueError, match=r"different, and one or more, got \['a', 'a'\]"):
        layer_rates(["a", "a"], 0.1, 0.5)
    with pytest.raises(ValueError, match="head_rate must be > 0"):
        layer_rates(["a"], 0.0, 0.5)


# ----------------------------------------------------------------------------------------- features


def test_features_are_what_the_head_is_given():
    net = small().train()
    body = feature_extractor(net, "fc")
    given = []
    peer = copy.deepcopy(net).eval()
    peer.fc.register_forward_pre_hook(lambda _module, inputs: given.append(inputs[0]))
    peer(pictures())
    torch.testing.assert_close(body(pictures()), given[0])
    assert not body(pictures()).requires_grad
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    with pytest.raises(ValueError, match="no part 'head'"):
        feature_extractor(net, "head")


def test_parts_by_name():
    net = small()
    assert find_part(net, "") is net
    assert find_part(net, "layer4.1.conv2") is net.layer4[1].conv2
    set_part(net, "layer4.1", nn.Identity())
    assert isinstance(net.layer4[1], nn.Identity)
    with pytest.raises(ValueError, match="got '' for the whole network"):
        set_part(net, "", nn.Identity())
    with pytest.raises(ValueError, match="no part 'layer9'"):
        set_part(net, "layer9", nn.Identity())
    assert contains("layer1", "layer1.0")
    assert not contains("layer1", "layer10")
