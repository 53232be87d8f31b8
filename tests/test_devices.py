"""Every function of `optimization` on a fake GPU: a tensor made on the wrong device raises.

`FakeTensorMode` keeps shapes, dtypes and devices, and no values. Where a function asks for a value
(`float(loss)`, `if ok.all()`), `Answers` gives one, so that the code behind the question runs too.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

import d2lcompanion.optimization
from d2lcompanion.optimization import (
    adaptive,
    checks,
    convexity,
    deep_gradients,
    descent,
    least_squares_noise,
    logistic,
    matrix_products,
    minibatch,
    momentum,
    muon,
    objectives,
    random_matrices,
    rules,
    schedule_free,
    stationary_points,
    stochastic,
    torch_optimizer,
)
from d2lcompanion.optimization.objectives import Objective
from tests.fake_gpu import WRONG_DEVICE, fake_gpu, gpu, public_functions


def tensors(result: Any) -> list[Tensor]:
    """The tensors in a result, however it is nested."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list):
        return [tensor for item in result for tensor in tensors(item)]
    if isinstance(result, descent.Trajectory):
        return [result.points, result.values, result.gradient_norms]
    if isinstance(result, stochastic.StochasticTrajectory):
        return [result.points, result.values]
    return []


def evaluate(objective: Objective, dim: int | None = None) -> list[Tensor]:
    """f, ∇f and ∇²f at a batch of points on the GPU."""
    x = gpu(4, dim or objective.dim or 3)
    return [objective(x), objective.gradient(x), objective.hessian(x)]


def on_data(objective: Objective) -> list[Tensor]:
    """As `evaluate`, with the minimizer, which lies where the data are."""
    assert objective.minimizers is not None
    return [*evaluate(objective), objective.minimizers]


def bowl() -> Objective:
    return objectives.quadratic(gpu(3, 3), linear=gpu(3))


def run(method: descent.Method, **options: Any) -> descent.Trajectory:
    return descent.minimize(bowl(), gpu(3), method, steps=2, **options)


on_the_simplex = partial(convexity.projected_gradient, lr=0.1, project=convexity.project_simplex)


def labels(*shape: int) -> Tensor:
    return gpu(*shape, dtype=torch.long)


def signals() -> deep_gradients.Signals:
    weights = [gpu(5, 4), gpu(6, 5), gpu(3, 6)]
    return deep_gradients.backpropagate(weights, gpu(7, 4), deep_gradients.SIGMOID, torch.tanh)


# name → (what the questions are answered, the call)
CASES: dict[str, tuple[float, Callable[[], Any]]] = {
    "objectives.quadratic": (1.0, lambda: on_data(objectives.quadratic(gpu(3, 3), linear=gpu(3)))),
    "objectives.quadratic_with_spectrum": (
        1.0,
        lambda: on_data(
            objectives.quadratic_with_spectrum(gpu(3), generator=torch.Generator("cpu"))
        ),
    ),
    "objectives.least_squares": (1.0, lambda: on_data(objectives.least_squares(gpu(5, 2), gpu(5)))),
    "objectives.cosine": (1.0, lambda: evaluate(objectives.cosine())),
    "objectives.perturbed_cosine": (1.0, lambda: evaluate(objectives.perturbed_cosine())),
    "objectives.cosh": (1.0, lambda: evaluate(objectives.cosh())),
    "objectives.tanh": (1.0, lambda: evaluate(objectives.tanh())),
    "objectives.rosenbrock": (1.0, lambda: evaluate(objectives.rosenbrock())),
    "objectives.beale": (1.0, lambda: evaluate(objectives.beale())),
    "objectives.risk_gap": (
        1.0,
        lambda: objectives.risk_gap(objectives.cosine(), objectives.perturbed_cosine(), gpu(9)),
    ),
    "descent.gradient_descent": (1.0, lambda: descent.gradient_descent(gpu(3), lr=0.1)),
    "descent.preconditioned": (
        1.0,
        lambda: descent.preconditioned(gpu(4, 3), lr=0.1, diagonal=gpu(3)),
    ),
    "descent.first_order": (
        1.0,
        lambda: descent.first_order(descent.gradient_descent, lr=0.1)(bowl(), gpu(3), ()),
    ),
    "descent.newton": (1.0, lambda: descent.newton(bowl(), gpu(3), ridge=0.1)),
    "descent.backtracking_line_search": (
        -1.0,
        lambda: descent.backtracking_line_search(bowl(), gpu(3), gpu(3), sufficient_decrease=1e-20),
    ),
    "descent.steepest_descent": (
        -1.0,
        lambda: descent.steepest_descent(bowl(), gpu(3), sufficient_decrease=1e-20),
    ),
    "descent.minimize": (1.0, lambda: run(descent.newton)),
    "descent.optimal_step": (1.0, lambda: descent.optimal_step(1.0, 2.0)),
    "descent.contraction_factor": (1.0, lambda: descent.contraction_factor(0.1, 1.0, 2.0)),
    "descent.closed_form_iterates": (
        1.0,
        lambda: descent.closed_form_iterates(gpu(3), gpu(3), 0.1, 5),
    ),
    "descent.descent_lemma_bound": (
        1.0,
        lambda: descent.descent_lemma_bound(gpu(), gpu(), 0.1, 2.0),
    ),
}
CASES |= {
    "checks.require_shape": (1.0, lambda: checks.require_shape("x", gpu(3), [3])),
    "checks.require_vector": (1.0, lambda: checks.require_vector("x", gpu(3))),
    "checks.require_finite": (1.0, lambda: checks.require_finite("x", gpu(3))),
    "checks.require_gradient": (1.0, lambda: checks.require_gradient(gpu(3), velocity=gpu(3))),
}


def step(rule: Any) -> Any:
    """One step of a rule: the update, and what it remembers."""
    x = gpu(4, 3)
    more = {"param": x} if rules.takes_param(rule) else {}
    update, state = rule(gpu(4, 3), rules.initial_state(rule, x), lr=0.1, **more)
    return update, [field for field in state if isinstance(field, Tensor)]


def wrapped(rule: Any) -> list[Tensor]:
    """A parameter after a step of the wrapped rule."""
    x = torch.nn.Parameter(gpu(4, 3))
    x.grad = gpu(4, 3)
    torch_optimizer.as_torch_optimizer([x], rule, lr=0.1).step()
    return [x.detach()]


CASES |= {
    "momentum.heavy_ball": (1.0, lambda: step(momentum.heavy_ball)),
    "momentum.nesterov": (1.0, lambda: step(momentum.nesterov)),
    "momentum.mode_matrix": (1.0, lambda: momentum.mode_matrix(gpu(3), 0.5)),
    "momentum.convergence_rate": (1.0, lambda: momentum.convergence_rate(gpu(3), gpu(3))),
    "momentum.nesterov_rate": (1.0, lambda: momentum.nesterov_rate(0.5, gpu(3))),
    "momentum.cycling_example": (1.0, lambda: evaluate(momentum.cycling_example())),
    "muon.orthogonalize": (1.0, lambda: muon.orthogonalize(gpu(4, 3))),
    "muon.muon": (1.0, lambda: step(muon.muon)),
    "schedule_free.schedule_free_sgd": (1.0, lambda: step(schedule_free.schedule_free_sgd)),
    "rules.initial_state": (1.0, lambda: rules.initial_state(momentum.heavy_ball, gpu(3))),
    "rules.checks_gradient": (1.0, lambda: step(adaptive.adam)),
    "torch_optimizer.as_torch_optimizer": (1.0, lambda: wrapped(momentum.nesterov)),
}
CASES |= {
    f"adaptive.{name}": (1.0, partial(step, getattr(adaptive, name)))
    for name in (
        "adagrad",
        "rmsprop",
        "adadelta",
        "adam",
        "adamw",
        "amsgrad",
        "yogi",
        "nadam",
        "lion",
    )
}
CASES |= {
    "convexity.jensen_gap": (1.0, lambda: convexity.jensen_gap(bowl(), gpu(4, 2, 3))),
    "convexity.find_nonconvexity": (
        1.0,
        lambda: convexity.find_nonconvexity(
            bowl(), gpu(3), gpu(3), pairs=5, generator=torch.Generator("cpu")
        )[:2],
    ),
    "convexity.project_ball": (1.0, lambda: convexity.project_ball(gpu(4, 3))),
    "convexity.project_box": (1.0, lambda: convexity.project_box(gpu(4, 3), 0.0, gpu(3))),
    "convexity.project_simplex": (1.0, lambda: convexity.project_simplex(gpu(4, 3))),
    "convexity.projected_gradient": (1.0, lambda: run(on_the_simplex)),
    "convexity.gradient_mapping": (
        1.0,
        lambda: convexity.gradient_mapping(bowl(), gpu(3), lr=0.1, project=convexity.project_ball),
    ),
    "convexity.smoothness_bounds": (1.0, lambda: convexity.smoothness_bounds(gpu(2, 3, 3))),
    "convexity.power_bounds": (
        1.0,
        lambda: convexity.power_bounds(lambda v: gpu(3, 3) @ v, gpu(3), steps=2),
    ),
    "convexity.lanczos_bounds": (
        1.0,
        lambda: convexity.lanczos_bounds(lambda v: gpu(3, 3) @ v, gpu(3), steps=2),
    ),
    "logistic.softmax_regression": (
        1.0,
        lambda: evaluate(logistic.softmax_regression(gpu(5, 2), labels(5), classes=3)),
    ),
    "logistic.hessian_product": (
        1.0,
        lambda: logistic.hessian_product(gpu(5, 2), gpu(6), classes=3)(gpu(6)),
    ),
    "logistic.softmax_smoothness": (1.0, lambda: logistic.softmax_smoothness(gpu(5, 2))),
}


def sum_of_squares() -> stochastic.FiniteSum:
    return stochastic.least_squares_sum(gpu(5, 2), gpu(5))


def sampled(problem: stochastic.FiniteSum) -> list[Tensor]:
    """The gradients of 4 points, each from 2 rows, beside f itself."""
    rows = gpu(4, 2, dtype=torch.int64)
    return [*evaluate(problem.objective), problem.sample_gradient(gpu(4, 2), rows)]


CASES |= {
    "stochastic.least_squares_sum": (1.0, lambda: sampled(sum_of_squares())),
    "stochastic.absolute_deviations_sum": (
        1.0,
        lambda: sampled(stochastic.absolute_deviations_sum(gpu(5, 2), gpu(5))),
    ),
    "stochastic.gradient_covariance": (
        1.0,
        lambda: stochastic.gradient_covariance(sum_of_squares(), gpu(2)),
    ),
    "stochastic.gradient_variance": (
        1.0,
        lambda: stochastic.gradient_variance(sum_of_squares(), gpu(2), replacement=False),
    ),
    "stochastic.sgd": (
        1.0,
        lambda: stochastic.sgd(
            sum_of_squares(),
            gpu(2),
            descent.gradient_descent,
            indices=torch.empty(3, 4, 1, dtype=torch.int64),  # drawn on the CPU: 3 runs, 4 steps
            schedule=0.1,
        ),
    ),
    "stochastic.polyak_average": (1.0, lambda: stochastic.polyak_average(gpu(3, 5, 2), first=2)),
    "least_squares_noise.expected_gaps": (
        1.0,
        lambda: least_squares_noise.expected_gaps(
            gpu(5, 2), gpu(5), gpu(2), schedule=0.1, steps=2, batch_size=2
        ),
    ),
    "least_squares_noise.stationary_gap": (
        1.0,
        lambda: least_squares_noise.stationary_gap(gpu(5, 2), gpu(5), 0.1),
    ),
    "least_squares_noise.mean_square_edge": (
        1.0,
        lambda: least_squares_noise.mean_square_edge(gpu(5, 2), batch_size=2),
    ),
}
CASES |= {
    "minibatch.minibatches": (
        1.0,  # the order is drawn on the CPU
        lambda: list(
            minibatch.minibatches(gpu(5, 2), gpu(5), batch_size=2, generator=torch.Generator("cpu"))
        ),
    ),
    "matrix_products.elementwise": (
        1.0,
        lambda: matrix_products.elementwise(gpu(2, 3), gpu(3, 4)),
    ),
    "matrix_products.by_column": (1.0, lambda: matrix_products.by_column(gpu(2, 3), gpu(3, 4))),
    "matrix_products.in_full": (1.0, lambda: matrix_products.in_full(gpu(2, 3), gpu(3, 4))),
    "matrix_products.in_blocks": (
        1.0,
        lambda: matrix_products.in_blocks(gpu(2, 3), gpu(3, 4), columns=3),
    ),
}


def weighted_noise() -> Tensor:
    """The scale is made of numbers; what it is made from must not leave the GPU."""
    scale = minibatch.gradient_noise_scale(gpu(5, 2), hessian=gpu(2, 2))
    return gpu(1) * scale.signal * scale.noise


CASES |= {
    "minibatch.gradient_noise_scale": (1.0, weighted_noise),
    "objectives.double_well": (1.0, lambda: evaluate(objectives.double_well())),
    "random_matrices.is_positive_definite": (
        1.0,
        lambda: random_matrices.is_positive_definite(gpu(4, 3, 3)).float(),
    ),
    "stationary_points.noisy_gradient_descent": (
        1.0,
        lambda: stationary_points.noisy_gradient_descent(
            gpu(4, 3), lr=0.1, noise=1.0, generator=torch.Generator("cpu")
        ),
    ),
    "deep_gradients.backpropagate": (1.0, lambda: signals()),
    "deep_gradients.weight_gradients": (1.0, lambda: deep_gradients.weight_gradients(signals())),
    "deep_gradients.gradient_norms": (1.0, lambda: deep_gradients.gradient_norms(signals())),
    "deep_gradients.cross_entropy_gradient": (
        1.0,
        lambda: deep_gradients.cross_entropy_gradient(gpu(4, 3), gpu(4, dtype=torch.int64)),
    ),
}
# These make a float of a tensor of any device, on the CPU: a fake tensor has no values to move.
ON_THE_CPU = {"descent.convergence_order", "descent.measured_rate", "objectives.saddle"}
# These draw where their generator is, or answer in words.
ON_THE_CPU |= {
    "random_matrices.gaussian_orthogonal_ensemble",
    "deep_gradients.gaussian_weights",
    "deep_gradients.mean_field_factor",
    "stationary_points.classify_stationary_point",
}
# These play one number in float64, on the CPU.
ON_THE_CPU |= {"online.play", "online.adagrad_bound"}
# These see no tensor.
PLAIN_NUMBERS = {
    "checks.require_positive",
    "checks.require_nonnegative",
    "checks.require_fraction",
    "checks.require_decay",
    "checks.require_at_least",
    "checks.require_curvatures",
    "momentum.optimal_heavy_ball",
    "momentum.nesterov_constants",
    "noisy_quadratic.mean_squares",
    "noisy_quadratic.best_rates",
    "noisy_quadratic.momentum_floor",
} | {
    f"schedules.{name}"
    for name in (
        "constant",
        "factor",
        "multi_step",
        "inverse_power",
        "polynomial",
        "cosine",
        "cosine_restarts",
        "warmup",
        "warmup_stable_decay",
        "one_cycle",
        "range_test",
        "chain",
        "as_lambda_lr",
    )
}
PLAIN_NUMBERS |= {
    "stochastic.sample_indices",
    "stochastic.averaged_bound",
}
PLAIN_NUMBERS |= {
    "minibatch.two_batch_noise_scale",
    "minibatch.throughput",
    "matrix_products.floating_point_operations",
    "critical_batch.best_rate",
    "critical_batch.fit_tradeoff",
}
PLAIN_NUMBERS |= {
    "random_matrices.positive_definite_share",
    "random_matrices.wilson_interval",
    "stationary_points.saddle_escape_steps",
    "online.rare_large_slopes",
    "rules.numbers_per_parameter",
}


@pytest.mark.parametrize(("number", "call"), CASES.values(), ids=list(CASES))
def test_results_stay_on_the_gpu(number, call):
    with fake_gpu(number):
        results = tensors(call())
    assert all(isinstance(result, FakeTensor) for result in results)
    assert {result.device.type for result in results} <= {"cuda"}
    assert {result.dtype for result in results} <= {torch.float32}


def test_every_public_function_of_the_topic_has_a_case():
    assert public_functions(d2lcompanion.optimization) == set(CASES) | ON_THE_CPU | PLAIN_NUMBERS


@pytest.mark.parametrize(
    "method",
    [
        descent.first_order(descent.gradient_descent, lr=0.1),
        partial(descent.newton, ridge=1.0),
    ],
    ids=["rule", "method"],
)
def test_a_whole_run_stays_on_the_gpu(method):
    with fake_gpu():
        trajectory = run(method)
    assert trajectory.points.shape == (3, 3)
    assert {tensor.device.type for tensor in tensors(trajectory)} == {"cuda"}


# ---------------------------------------------------------------- the check itself can say no


def forgets_the_device(x: Tensor) -> Tensor:
    return x + torch.ones(x.shape[-1])


def test_the_mode_catches_a_tensor_on_the_wrong_device():
    with fake_gpu(), pytest.raises(RuntimeError, match=WRONG_DEVICE):
        forgets_the_device(gpu(3))


def test_data_and_points_on_different_devices_raise():
    with fake_gpu():
        objective = objectives.quadratic(torch.empty(3, 3))
        with pytest.raises(RuntimeError, match=WRONG_DEVICE):
            objective.gradient(gpu(3))
        with pytest.raises(RuntimeError, match=WRONG_DEVICE):
            descent.preconditioned(gpu(3), lr=0.1, diagonal=torch.empty(3))
