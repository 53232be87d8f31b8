"""Each rule behind `as_torch_optimizer` against torch's own optimizer with foreach=True.

20 tensors of 50,000 float32 numbers with given gradients, so that nothing but the update
is timed. The two run in turn, and the median of the ratios of neighbouring rounds is
reported: other work on the machine then slows both.

    python benchmarks/optimizers.py [--rounds 15] [--steps 20] [--threads 2] [--unchecked]
"""

import argparse
import statistics
import time

import torch

from d2lcompanion.optimization import adaptive, descent, momentum, muon
from d2lcompanion.optimization.rules import Rule
from d2lcompanion.optimization.torch_optimizer import as_torch_optimizer

TENSORS, SIZE = 20, 50_000
Optimizer = torch.optim.Optimizer
PEERS: dict[str, tuple[Rule, dict, type[Optimizer], dict]] = {
    "gradient descent": (descent.gradient_descent, {}, torch.optim.SGD, {}),
    "heavy ball": (momentum.heavy_ball, {}, torch.optim.SGD, {"momentum": 0.9}),
    "Nesterov": (momentum.nesterov, {}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "AdaGrad": (adaptive.adagrad, {}, torch.optim.Adagrad, {}),
    "RMSProp": (adaptive.rmsprop, {"gamma": 0.99}, torch.optim.RMSprop, {}),
    "Adadelta": (adaptive.adadelta, {}, torch.optim.Adadelta, {}),
    "Adam": (adaptive.adam, {}, torch.optim.Adam, {}),
    "AdamW": (adaptive.adamw, {}, torch.optim.AdamW, {}),
    "AMSGrad": (adaptive.amsgrad, {}, torch.optim.Adam, {"amsgrad": True}),
    "NAdam": (adaptive.nadam, {}, torch.optim.NAdam, {}),
    "Muon (200 × 250)": (muon.muon, {"iterate_in": torch.bfloat16}, torch.optim.Muon, {}),
}
LR = 1e-3


def parameters(shape: tuple[int, ...]) -> list[torch.nn.Parameter]:
    """The same numbers and gradients at every call."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for _ in range(TENSORS):
        parameter = torch.nn.Parameter(torch.randn(shape, generator=generator))
        parameter.grad = torch.randn(shape, generator=generator)
        made.append(parameter)
    return made


def seconds(optimizer: Optimizer, steps: int) -> float:
    """Wall time of so many steps."""
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.step()
    return time.perf_counter() - start


def ratios(name: str, rounds: int, steps: int, check_finite: bool) -> list[float]:
    """Ours over torch's, once a round; the order within a round alternates."""
    rule, ours, peer, theirs = PEERS[name]
    shape = (200, 250) if "Muon" in name else (SIZE,)
    foreach = {} if "Muon" in name else {"foreach": True}  # torch.optim.Muon has no such flag
    pair = [
        as_torch_optimizer(parameters(shape), rule, lr=LR, check_finite=check_finite, **ours),
        peer(parameters(shape), lr=LR, **foreach, **theirs),
    ]
    for optimizer in pair:
        seconds(optimizer, 3)  # states are made, memory is warm
    measured = []
    for number in range(rounds):
        order = pair if number % 2 else pair[::-1]
        times = {id(optimizer): seconds(optimizer, steps) for optimizer in order}
        measured.append(times[id(pair[0])] / times[id(pair[1])])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--unchecked", action="store_true", help="check_finite=False")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"torch {torch.__version__}, {chosen.threads} threads, {chosen.rounds} rounds")
    print(f"{'rule':18}{'median':>8}{'lowest':>8}{'highest':>8}   ours / torch foreach=True")
    for name in PEERS:
        found = ratios(name, chosen.rounds, chosen.steps, not chosen.unchecked)
        print(f"{name:18}{statistics.median(found):8.2f}{min(found):8.2f}{max(found):8.2f}")


if __name__ == "__main__":
    main()
