"""Batches, noise scales, speed and matrix products against slow loops, torch and d2l."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.optimization import matrix_products
from d2lcompanion.optimization.critical_batch import Tradeoff, best_rate, fit_tradeoff
from d2lcompanion.optimization.descent import gradient_descent
from d2lcompanion.optimization.minibatch import (
    NoiseScale,
    Throughput,
    gradient_noise_scale,
    minibatches,
    throughput,
    two_batch_noise_scale,
)
from d2lcompanion.optimization.stochastic import gradient_variance, least_squares_sum, sgd


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradients(n: int = 6, p: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, p, generator=generator(seed), dtype=torch.float64) + 0.5


# ------------------------------------------------------------------------------------------ batches


@settings(max_examples=80, deadline=None)
@given(n=st.integers(1, 40), drop_last=st.booleans(), shuffle=st.booleans(), data=st.data())
def test_an_epoch_is_a_permutation(n, drop_last, shuffle, data):
    b = data.draw(st.integers(1, n))
    order = generator(n) if shuffle else None
    batches = [
        x.tolist()
        for (x,) in minibatches(torch.arange(n), batch_size=b, generator=order, drop_last=drop_last)
    ]
    rows = [row for batch in batches for row in batch]
    assert len(set(rows)) == len(rows) == (n - n % b if drop_last else n)
    assert set(rows) <= set(range(n))
    assert all(len(batch) == b for batch in batches[:-1])
    assert len(batches) == (n // b if drop_last else math.ceil(n / b))
    if not shuffle:
        assert rows == list(range(len(rows)))


def test_every_epoch_has_another_order_and_a_seed_repeats_it():
    g = generator(3)
    one, two = ([x.tolist() for (x,) in minibatches(torch.arange(50), batch_size=7, generator=g)]
                for _ in range(2))  # fmt: skip
    assert one != two
    again = [
        x.tolist() for (x,) in minibatches(torch.arange(50), batch_size=7, generator=generator(3))
    ]
    assert again == one


def test_rows_of_all_tensors_stay_together():
    x = torch.arange(20.0).view(10, 2)
    for a, b in minibatches(x, x[:, 0], batch_size=3, generator=generator()):
        assert torch.equal(a[:, 0], b)


def test_the_order_is_that_of_torch_s_data_loader():
    """It draws a seed for its workers first, then the same permutation."""
    x = torch.arange(23)
    dataset = torch.utils.data.TensorDataset(x)
    theirs = torch.utils.data.DataLoader(
        dataset, batch_size=5, shuffle=True, generator=generator(9)
    )
    g = generator(9)
    torch.empty((), dtype=torch.int64).random_(generator=g)
    ours = minibatches(x, batch_size=5, generator=g)
    for (a,), (b,) in zip(theirs, ours, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("tensors", "b", "message"),
    [
        ((torch.zeros(4),), 0, "batch_size must be a whole number ≥ 1, got 0"),
        ((torch.zeros(4),), -2, "got -2"),
        ((torch.zeros(4),), 2.5, r"got 2\.5"),
        ((torch.zeros(4),), True, "got True"),
        ((torch.zeros(4),), math.nan, "got nan"),
        ((torch.zeros(4),), 5, "batch_size must be ≤ n, got 5 and 4"),
        ((torch.zeros(0, 3),), 1, r"one length n ≥ 1, got \[0\]"),
        ((), 1, r"one length n ≥ 1, got \[\]"),
        ((torch.zeros(4), torch.zeros(3)), 1, r"got \[4, 3\]"),
        ((torch.tensor(1.0),), 1, r"got \[0\]"),
    ],
)
def test_bad_batches_are_refused_at_once(tensors, b, message):
    with pytest.raises(ValueError, match=message):
        minibatches(*tensors, batch_size=b)  # not even iterated


# -------------------------------------------------------------------------------------------- noise


def test_the_noise_scale_is_that_of_numpy_s_covariance():
    import numpy as np

    g = gradients(9, 4)
    scale = gradient_noise_scale(g)
    assert scale.noise == pytest.approx(np.trace(np.cov(g.numpy().T, bias=True)))
    assert scale.signal == pytest.approx(float(np.square(g.numpy().mean(0)).sum()))
    assert scale.batch == scale.noise / scale.signal
    h = torch.diag(torch.tensor([1.0, 2, 3, 4], dtype=torch.float64))
    weighted = gradient_noise_scale(g, hessian=h)
    assert weighted.noise == pytest.approx(np.trace(h.numpy() @ np.cov(g.numpy().T, bias=True)))
    mean = g.mean(0)
    assert weighted.signal == pytest.approx(float(mean @ h @ mean))


def batch_lengths(g: torch.Tensor, b: int, *, replacement: bool) -> float:
    """E‖g_B‖² over every batch there is."""
    draw = itertools.product(range(len(g)), repeat=b) if replacement else itertools.combinations(range(len(g)), b)  # fmt: skip
    lengths = [float(g[list(rows)].mean(0).square().sum()) for rows in draw]
    return math.fsum(lengths) / len(lengths)


@pytest.mark.parametrize("b", [1, 2, 3, 4])
def test_the_variance_of_a_batch_over_every_batch(b):
    """σ²/b with replacement; without it (n − b)/(n − 1) of that."""
    g = gradients(6)
    scale = gradient_noise_scale(g)
    with_it = batch_lengths(g, b, replacement=True) - scale.signal
    without = batch_lengths(g, b, replacement=False) - scale.signal
    assert with_it == pytest.approx(scale.noise / b, rel=1e-12)
    assert without == pytest.approx(scale.noise / b * (6 - b) / 5, rel=1e-12)


@pytest.mark.parametrize(("small", "big"), [(1, 3), (2, 4), (1, 2)])
def test_two_batches_are_unbiased_in_exact_expectation(small, big):
    g = gradients(5)
    exact = gradient_noise_scale(g)
    lengths = [batch_lengths(g, b, replacement=True) for b in (small, big)]
    estimate = two_batch_noise_scale(*lengths, small=small, big=big)
    assert estimate == pytest.approx(exact, rel=1e-10)


def test_without_replacement_two_batches_estimate_the_population():
    """tr Σ divides by n − 1 then, and ‖G‖² loses the noise that G itself has."""
    n = 5
    g = gradients(n)
    exact = gradient_noise_scale(g)
    lengths = [batch_lengths(g, b, replacement=False) for b in (1, n)]
    estimate = two_batch_noise_scale(*lengths, small=1, big=n)
    sample = exact.noise * n / (n - 1)
    assert estimate.noise == pytest.approx(sample)
    assert estimate.signal == pytest.approx(exact.signal - sample / n)


def test_two_batches_by_monte_carlo_on_diabetes():
    data = load_diabetes()
    problem = least_squares_sum(data.features, data.target)
    zero, draws = torch.zeros(10, dtype=torch.float64), 20_000
    each = problem.sample_gradient(zero.expand(442, -1), torch.arange(442)[:, None])
    exact = gradient_noise_scale(each)
    assert exact.noise == pytest.approx(gradient_variance(problem, zero))
    g = generator(1)
    signals, noises = [], []
    for b, big in ((2, 20),):
        small_rows = torch.randint(442, (draws, b), generator=g)
        big_rows = torch.randint(442, (draws, big), generator=g)
        for s, t in zip(each[small_rows].mean(1).square().sum(1).tolist(),
                        each[big_rows].mean(1).square().sum(1).tolist(), strict=True):  # fmt: skip
            found = two_batch_noise_scale(s, t, small=b, big=big)
            signals.append(found.signal)
            noises.append(found.noise)
    for values, truth in ((signals, exact.signal), (noises, exact.noise)):
        v = torch.tensor(values, dtype=torch.float64)
        assert abs(float(v.mean()) - truth) < 5 * float(v.std()) / math.sqrt(draws)


def test_no_signal_has_an_infinite_scale():
    assert NoiseScale(0.0, 1.0).batch == math.inf
    assert NoiseScale(-0.1, 1.0).batch == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradient_noise_scale(torch.zeros(0, 3)), r"\[n, p\] with n ≥ 1, got \[0, 3\]"),
        (lambda: gradient_noise_scale(torch.zeros(3)), r"got \[3\]"),
        (
            lambda: gradient_noise_scale(torch.tensor([[1.0, math.nan]])),
            r"gradients must be finite, got nan at \[0, 1\]",
        ),
        (
            lambda: gradient_noise_scale(torch.ones(2, 2), hessian=torch.full((2, 2), math.inf)),
            r"hessian must be finite, got inf at \[0, 0\]",
        ),
        (lambda: gradient_noise_scale(torch.ones(2, 2), hessian=torch.ones(3)), r"\[2, 2\]"),
        (
            lambda: two_batch_noise_scale(1.0, 1.0, small=4, big=4),
            "small must be < big, got 4 and 4",
        ),
        (lambda: two_batch_noise_scale(1.0, 1.0, small=0, big=4), "small must be .* got 0"),
        (lambda: two_batch_noise_scale(math.inf, 1.0, small=1, big=4), "small_squared .* got inf"),
        (lambda: two_batch_noise_scale(1.0, -1.0, small=1, big=4), "big_squared .* got -1.0"),
    ],
)
def test_bad_noise_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------------- trade


def test_the_best_rate_is_the_best_on_a_quadratic():
    """Exact expectation of f after a step on f = ½xᵀHx with noise Σ/B, by a fine scan."""
    h = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
    x = torch.tensor([2.0, 1.0], dtype=torch.float64)
    noise = torch.tensor([[1.0, 0.3], [0.3, 2.0]], dtype=torch.float64)
    g = h @ x
    signal, blur = float(g @ h @ g), float((h @ noise).trace())
    largest = float(g @ g) / signal
    for b in (1, 4, 50):

        def expected(eta: float, b: int = b) -> float:
            y = x - eta * g
            return float(0.5 * y @ h @ y + 0.5 * eta**2 * (h @ noise).trace() / b)

        rate = best_rate(b, largest=largest, noise_scale=blur / signal)
        best = min((i * 1e-5 for i in range(60_000)), key=expected)
        assert rate == pytest.approx(best, abs=2e-5)
        gain, most = expected(0.0) - expected(rate), 0.5 * float(g @ g) * largest
        assert gain == pytest.approx(most / (1 + blur / signal / b))


@settings(max_examples=50, deadline=None)
@given(st.floats(1.0, 1e4), st.floats(2.0, 1e6))
def test_the_fit_finds_what_made_the_steps(least, examples):
    made, sizes = Tradeoff(least, examples), (1, 4, 32, 512, 4096)
    found = fit_tradeoff(sizes, [made.steps(b) for b in sizes])
    if 1e-3 < made.critical_batch < 1e6:
        assert found.min_steps == pytest.approx(least, rel=1e-3)
        assert found.critical_batch == pytest.approx(made.critical_batch, rel=1e-3)


def test_the_fit_is_scipy_s():
    optimize = pytest.importorskip("scipy.optimize")
    sizes, steps = [1, 4, 16, 64, 256], [900.0, 260.0, 80.0, 30.0, 19.0]

    def misfit(p):
        return [math.log(math.exp(p[0]) * (1 + math.exp(p[1]) / b) / s) for b, s in zip(sizes, steps, strict=True)]  # fmt: skip

    theirs = optimize.least_squares(misfit, [2.0, 3.0]).x
    ours = fit_tradeoff(sizes, steps)
    assert [math.log(ours.min_steps), math.log(ours.critical_batch)] == pytest.approx(
        theirs, abs=1e-4
    )


def test_the_hyperbola_and_twice_the_least():
    t = Tradeoff(30.0, 1500.0)
    assert t.critical_batch == 50
    assert (t.steps(50), t.examples(50)) == (60, 3000)
    for b in (1, 7, 900):
        assert (t.steps(b) / 30 - 1) * (t.examples(b) / 1500 - 1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_tradeoff([4, 4], [1.0, 2.0]), r"two or more batch sizes .* got \[4, 4\]"),
        (lambda: fit_tradeoff([1, 4], [1.0]), "as many steps"),
        (lambda: fit_tradeoff([1, 4], [1.0, math.inf]), "steps must be > 0 and finite, got inf"),
        (lambda: fit_tradeoff([0, 4], [2.0, 1.0]), "batch_sizes must be > 0 and finite, got 0"),
        (lambda: fit_tradeoff([1, 2, 4], [5.0, 5.0, 5.0]), r"no critical batch size: \[5.0, 5.0"),
        (lambda: fit_tradeoff([1, 2, 4], [8.0, 4.0, 2.0]), "no critical batch size"),
        (lambda: best_rate(0, largest=1.0, noise_scale=1.0), "batch_size must be > 0"),
        (lambda: best_rate(1, largest=math.nan, noise_scale=1.0), "largest .* got nan"),
        (lambda: best_rate(1, largest=1.0, noise_scale=-1.0), "noise_scale .* got -1.0"),
        (lambda: Tradeoff(1.0, 2.0).steps(0), "batch_size must be > 0 and finite, got 0"),
    ],
)
def test_bad_trades_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------------- speed


class Ticks:
    """A clock that moves only when work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def loader(self, batches: int, seconds: float):
        for _ in range(batches):
            self.now += seconds
            yield torch.zeros(8, 2), torch.zeros(8)

    def step(self, batch) -> None:
        self.now += 1.0


def test_throughput_counts_the_loading():
    ticks = Ticks()
    found = throughput(ticks.loader(5, 3.0), ticks.step, clock=ticks)
    assert found == Throughput(rows=40, loading=15.0, computing=5.0)
    assert (found.end_to_end, found.compute_only) == (2.0, 8.0)


def test_erratum_e20_a_timer_that_starts_after_the_draw_leaves_loading_out():
    """d2l 1.0.3, torch.py, train_ch6: `for i, (X, y) in enumerate(train_iter): timer.start()`."""
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    import inspect

    lines = [line.strip() for line in inspect.getsource(d2l.train_ch6).splitlines()]
    drawn = next(i for i, line in enumerate(lines) if line.startswith("for i, (X, y) in enumerate"))
    assert lines[drawn + 1] == "timer.start()"
    ticks, measured = Ticks(), 0.0
    for batch in ticks.loader(5, 3.0):
        start = ticks()
        ticks.step(batch)
        measured += ticks() - start
    book = 40 / measured
    ours = throughput(ticks.loader(5, 3.0), ticks.step, clock=ticks)
    assert book == ours.compute_only == 8.0
    assert ours.end_to_end == 2.0


def test_throughput_needs_batches_that_have_a_length():
    with pytest.raises(ValueError, match="one row or more, got none"):
        throughput([], lambda batch: None)
    with pytest.raises(TypeError, match="must have a length, got int"):
        throughput([(1, 2)], lambda batch: None)
    assert throughput(iter([torch.zeros(3), torch.zeros(2)]), lambda batch: None).rows == 5


# --------------------------------------------------------------------------------- matrix products


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9))
def test_every_way_is_the_product(m, k, n, columns):
    g = generator(m + 10 * k + 100 * n)
    a, b = (torch.randn(s, generator=g, dtype=torch.float64) for s in ((m, k), (k, n)))
    slow = [
        [math.fsum(float(a[i, q] * b[q, j]) for q in range(k)) for j in range(n)] for i in range(m)
    ]
    slow = torch.tensor(slow, dtype=torch.float64)
    for ours in (
        matrix_products.elementwise(a, b),
        matrix_products.by_column(a, b),
        matrix_products.in_full(a, b),
        matrix_products.in_blocks(a, b, columns=columns),
    ):
        torch.testing.assert_close(ours, slow, rtol=1e-12, atol=1e-12)


def test_erratum_e10_the_operations_of_a_product():
    """2 · 256³ = 0.0336 · 10⁹. d2l-en 1.0.3, minibatch-sgd.md: `0.03 / i`; d2l-zh 2.0.0: `2 / i`."""
    count = matrix_products.floating_point_operations(256, 256, 256)
    assert count == 33_554_432
    slow = 0
    for _ in range(2 * 3):  # entries of [2, 5] times [5, 3]: 5 products and 5 additions each
        slow += 5 + 5
    assert matrix_products.floating_point_operations(2, 5, 3) == slow
    seconds = 0.001
    right, english, chinese = count / 1e9 / seconds, 0.03 / seconds, 2 / seconds
    assert right == pytest.approx(33.554432)
    assert english / right == pytest.approx(0.894, abs=1e-3)  # rounded down: 11 % too slow
    assert chinese / right == pytest.approx(59.6, abs=0.1)  # sixty times too fast


@pytest.mark.parametrize("name", ["elementwise", "by_column", "in_full", "in_blocks"])
def test_matrices_that_do_not_fit_are_named(name):
    with pytest.raises(ValueError, match=r"got \[2, 3\] and \[4, 5\]"):
        getattr(matrix_products, name)(torch.zeros(2, 3), torch.zeros(4, 5))


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="columns must be a whole number ≥ 1, got 0"):
        matrix_products.in_blocks(torch.zeros(2, 2), torch.zeros(2, 2), columns=0)
    with pytest.raises(ValueError, match=r"k must be .* got 2\.5"):
        matrix_products.floating_point_operations(1, 2.5, 1)


# -------------------------------------------------------------------------------- the library's way


@pytest.mark.parametrize(
    ("factor", "lr", "equal"), [(0.5, 0.1, True), (1.0, 0.05, True), (1.0, 0.1, False)]
)
def test_erratum_e11_mse_loss_has_no_half(factor, lr, equal):
    """d2l 1.0.3, train_concise_ch11: nn.MSELoss and the rate of the version from scratch.

    Equal with half the loss, or half the rate; otherwise the gradient is doubled.
    """
    data = load_diabetes()
    problem = least_squares_sum(data.features, data.target)
    model = torch.nn.Linear(10, 1, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight)
    optimizer, g = torch.optim.SGD(model.parameters(), lr=lr), generator(4)
    x = torch.zeros(10, dtype=torch.float64)
    for _ in range(3):
        for (rows,) in minibatches(torch.arange(442), batch_size=10, generator=g):
            optimizer.zero_grad()
            predicted = model(data.features[rows])[:, 0]
            (factor * torch.nn.MSELoss()(predicted, data.target[rows])).backward()
            optimizer.step()
            x = sgd(problem, x, gradient_descent, indices=rows[None], schedule=0.1).points[-1]
    distance = float((model.weight[0].detach() - x).abs().max())
    assert distance < 1e-12 if equal else distance > 1e-3


def test_erratum_e11_in_d2l_itself(monkeypatch):
    """Its two trainers, from equal weights over equal batches: one step differs by 2."""
    d2l = pytest.importorskip("d2l.torch", reason="d2l is an oracle: requirements-d2l.lock")
    import inspect

    source = inspect.getsource(d2l.train_concise_ch11)
    assert "nn.MSELoss(reduction='none')" in source
    assert "num_epochs=4" in source
    assert "num_epochs=2" in inspect.getsource(d2l.train_ch11)
    y_hat, y = torch.tensor([3.0], requires_grad=True), torch.tensor([1.0])
    (scratch,) = torch.autograd.grad(d2l.squared_loss(y_hat, y).mean(), y_hat)
    (concise,) = torch.autograd.grad(torch.nn.MSELoss(reduction="none")(y_hat, y).mean(), y_hat)
    assert concise == 2 * scratch


def test_accumulated_gradients_are_those_of_the_large_batch():
    g = gradients(12)
    parts = [part.mean(0) / 4 for (part,) in minibatches(g, batch_size=3)]
    torch.testing.assert_close(sum(parts), g.mean(0), rtol=1e-14, atol=1e-14)
