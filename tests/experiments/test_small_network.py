import pytest
import torch

from d2lcompanion.data.diabetes import load_diabetes
from d2lcompanion.experiments.small_network import network_objective, random_parameters


def test_the_value_is_that_of_torchs_layers():
    data = load_diabetes()
    objective = network_objective(data, 4)
    p = random_parameters(49, generator=torch.Generator().manual_seed(0))
    assert objective.dim == len(p) == 49
    hidden, output = torch.nn.Linear(10, 4).double(), torch.nn.Linear(4, 1).double()
    with torch.no_grad():
        hidden.weight.copy_(p[:40].reshape(4, 10))
        hidden.bias.copy_(p[40:44])
        output.weight.copy_(p[44:48][None])
        output.bias.copy_(p[48:])
    prediction = output(torch.tanh(hidden(data.features)))[:, 0]
    loss = 0.5 * torch.nn.functional.mse_loss(prediction, data.target)
    assert float(objective(p)) == pytest.approx(float(loss))
    loss.backward()
    parameters = (*hidden.parameters(), *output.parameters())
    expected = torch.cat([q.grad.reshape(-1) for q in parameters])
    torch.testing.assert_close(objective.gradient(p), expected)
    batch = torch.stack([p, 2 * p])
    torch.testing.assert_close(objective(batch)[1], objective(2 * p))
    torch.testing.assert_close(objective.gradient(batch)[1], objective.gradient(2 * p))


def test_the_hessian_is_that_of_finite_differences():
    objective = network_objective(load_diabetes(), 2)
    p = random_parameters(25, generator=torch.Generator().manual_seed(1))
    hessian, step = objective.hessian(p), 1e-5
    for i in (0, 7, 21, 24):
        e = torch.zeros_like(p)
        e[i] = step
        column = (objective.gradient(p + e) - objective.gradient(p - e)) / (2 * step)
        torch.testing.assert_close(hessian[:, i], column, rtol=1e-5, atol=1e-8)
    assert torch.equal(hessian, hessian.T)


def test_starts_have_the_stated_spread():
    p = random_parameters(100_000, generator=torch.Generator().manual_seed(0))
    assert float(p.std()) == pytest.approx(0.5, rel=0.01)


def test_hidden_is_checked():
    with pytest.raises(ValueError, match="hidden must be ≥ 1, got 0"):
        network_objective(load_diabetes(), 0)
