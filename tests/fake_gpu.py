"""A fake GPU for tests: tensors with shapes, dtypes and devices, and no values."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._python_dispatch import TorchDispatchMode

WRONG_DEVICE = r"cuda.*cpu|cpu.*cuda"


class Answers(TorchDispatchMode):
    """Answers a question for a value: by `number` where one is asked for, else by yes."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else self.number
        return func(*args, **(kwargs or {}))


@contextmanager
def fake_gpu(number: float = 1.0, *, sizes_from_data: bool = False) -> Iterator[None]:
    """Tensors made inside are fake.

    Args:
        number: the answer to every question for a value.
        sizes_from_data: whether a size may depend on values, as of `x[mask]`.
    """
    shapes = ShapeEnv() if sizes_from_data else None
    with FakeTensorMode(shape_env=shapes), Answers(number):
        yield


def gpu(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, device="cuda", dtype=dtype)


def tensors(result: Any) -> list[Tensor]:
    """The tensors in a result, however it is nested."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list):
        return [tensor for item in result for tensor in tensors(item)]
    return []


def public_functions(topic: ModuleType) -> set[str]:
    """module.function for all that the modules of a topic define and do not hide."""
    return {
        f"{info.name}.{name}"
        for info in pkgutil.iter_modules(topic.__path__)
        for name, function in inspect.getmembers(
            importlib.import_module(f"{topic.__name__}.{info.name}"), inspect.isfunction
        )
        if not name.startswith("_") and function.__module__ == f"{topic.__name__}.{info.name}"
    }
