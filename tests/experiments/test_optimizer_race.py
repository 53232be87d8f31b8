import json
import math
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from d2lcompanion.data.airfoil import load_airfoil
from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.data.fashion_mnist import load_fashion_mnist
from d2lcompanion.data.regression import RegressionData
from d2lcompanion.experiments.image_classification import History, Images, prepare
from d2lcompanion.experiments.image_race import (
    NETWORK,
    choose,
    image_race,
    muon_for_matrices,
)
from d2lcompanion.experiments.least_squares import solve
from d2lcompanion.experiments.optimizer_race import (
    LINEAR,
    Preset,
    _numbers,
    fit,
    linear_race,
)
from d2lcompanion.optimization import adaptive
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer

AIRFOIL = Path(__file__).resolve().parents[3] / "shared" / "data" / "airfoil_self_noise.dat"


@pytest.mark.parametrize(
    ("name", "peer", "options"),
    [
        ("sgd", torch.optim.SGD, {}),
        ("heavy_ball", torch.optim.SGD, {"momentum": 0.9}),
        ("adam", torch.optim.Adam, {}),
        ("amsgrad", torch.optim.Adam, {"amsgrad": True}),
        ("adadelta", torch.optim.Adadelta, {}),
    ],
)
def test_a_fit_is_torch_s(name, peer, options):
    data = load_diabetes()
    ours = fit(
        LINEAR[name],
        data,
        lr=0.01,
        passes=3,
        batch_size=64,
        generator=torch.Generator().manual_seed(5),
    )
    w = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimizer, generator = peer([w], lr=0.01, **options), torch.Generator().manual_seed(5)
    losses = [0.5]
    for _ in range(3):
        for batch in torch.randperm(442, generator=generator).split(64):
            optimizer.zero_grad()
            residual = data.features[batch] @ w - data.target[batch]
            (0.5 * residual.square().mean()).backward()
            optimizer.step()
        losses.append(float(0.5 * (data.features @ w.detach() - data.target).square().mean()))
    assert ours == pytest.approx(losses, rel=1e-6)


def test_no_method_falls_below_the_floor_and_all_come_near():
    data = load_diabetes()
    problem = solve(data)
    floor = float(0.5 * (data.features @ problem.minimizer - data.target).square().mean())
    race = linear_race(data, passes=20, batch_size=64, seed=7)
    for name, run in race.items():
        assert floor <= run.losses[-1] < floor + 0.01, name
    assert race == linear_race(data, passes=20, batch_size=64, seed=7)


def test_divergence_is_inf_and_never_chosen():
    data = load_diabetes()
    losses = fit(
        gradient_descent,
        data,
        lr=100.0,
        passes=80,
        batch_size=64,
        generator=torch.Generator().manual_seed(0),
    )
    assert losses[-1] == math.inf
    race = linear_race(
        data, passes=80, batch_size=64, seed=0, rates=(100.0, 0.01), methods=("sgd",)
    )
    assert race["sgd"].rate == 0.01


def test_muon_for_matrices_is_torch_s_muon_and_adam():
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    b = torch.randn(6, generator=generator, dtype=torch.float64)
    ours, theirs = ([p.clone().requires_grad_() for p in (w, b)] for _ in range(2))
    optimizers = [
        as_torch_optimizer(ours, muon_for_matrices, lr=0.01),
        torch.optim.Muon(theirs[:1], lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.Adam(theirs[1:], lr=0.01),
    ]
    for _ in range(5):
        for params in (ours, theirs):
            for p in params:
                p.grad = None
            (
                params[0].tanh().square().sum() + (params[0].sum(1) * params[1]).cos().sum()
            ).backward()
        for optimizer in optimizers:
            optimizer.step()
    # torch iterates in bfloat16, eight bits: directions agree to a percent or so.
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=3e-3)
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=3e-3)
    assert (ours[0] - w).abs().max() > 0.01
    # A filter [out, in, h, w] moves as the matrix [out, in·h·w] does.
    flat = torch.randn(3, 8, generator=generator, dtype=torch.float64)
    cube = flat.view(3, 2, 2, 2)
    one, _ = muon_for_matrices(flat, adaptive.AdamState.zeros(flat), param=flat, lr=0.1)
    two, _ = muon_for_matrices(cube, adaptive.AdamState.zeros(cube), param=cube, lr=0.1)
    torch.testing.assert_close(one, two.view(3, 8))


def test_every_method_has_as_many_rates_half_a_decade_apart():
    for _, _, rates in NETWORK.values():
        assert len(rates) == 4
        steps = [b / a for a, b in pairwise(rates)]
        assert all(2.9 < step < 3.4 for step in steps)


def test_the_image_race_repeats_and_becomes_numbers():
    full = prepare(load_fashion_mnist(), "cpu")
    few = Images(*(part[:200] for part in full))

    def once():
        return image_race(
            few, channels=2, epochs=1, batch_size=50, seed=1, methods=("lion", "muon")
        )

    found = once()
    assert found == once()
    shown = json.loads(json.dumps({name: _numbers(t) for name, t in found.items()}))
    assert shown["muon"]["rates"] == list(NETWORK["muon"][2])


def test_the_held_out_images_choose():
    def history(held_out: float, diverged_at: int | None = None) -> History:
        return History([1.0], [held_out], [0.5], diverged_at)

    runs = {0.1: history(0.9), 0.3: history(0.9), 1.0: history(0.99, 10)}
    assert choose("adam", runs).rate == 0.1
    with pytest.raises(ValueError, match=r"adam diverged at every rate: 1\.0"):
        choose("adam", {1.0: history(0.9, 3)})
    with pytest.raises(ValueError, match="passes must be ≥ 1, got 0"):
        Preset(0, "subset", 8, 1, 64)


# ------------------------------------------------------------------------- the book's airfoil runs

PUBLISHED = {  # rule, hyperparameters of the book (§12.7–12.10)
    "AdaGrad": (adaptive.adagrad, {"lr": 0.1, "eps": 1e-6, "inside_root": True}),
    "RMSProp": (adaptive.rmsprop, {"lr": 0.01, "gamma": 0.9, "eps": 1e-6, "inside_root": True}),
    "Adadelta": (adaptive.adadelta, {"rho": 0.9, "eps": 1e-5}),
    "Adam": (adaptive.adam, {"lr": 0.01, "eps": 1e-6}),
    "Yogi": (adaptive.yogi, {"lr": 0.01, "eps": 1e-3}),
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.skipif(not AIRFOIL.is_file(), reason=f"no real file at {AIRFOIL}")
def test_airfoil_ends_in_the_published_band(name):
    """Batch 10, two epochs, as the book; all stored runs since 2021 lie in .242–.249."""
    data = load_airfoil(AIRFOIL)
    x = torch.cat([data.features, torch.ones(1500, 1, dtype=torch.float64)], 1)
    with_ones = RegressionData("airfoil", x, data.target, (*data.feature_names, "1"), data.source)
    rule, numbers = PUBLISHED[name]
    lr = numbers.get("lr", 1.0)
    rest = {k: v for k, v in numbers.items() if k != "lr"}
    ends = [
        fit(
            partial(rule, **rest),
            with_ones,
            lr=lr,
            passes=2,
            batch_size=10,
            generator=torch.Generator().manual_seed(seed),
        )[-1]
        for seed in range(5)
    ]
    w = torch.linalg.lstsq(x, data.target).solution
    floor = float(0.5 * (x @ w - data.target).square().mean())
    assert floor == pytest.approx(0.24169, abs=5e-6)
    assert floor < min(ends)
    assert 0.242 - 5e-4 < sum(ends) / 5 < 0.249 + 5e-4
