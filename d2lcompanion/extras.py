"""Optional dependencies: an import that fails says which extra to install."""

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import a module that comes with an extra of this package.

    Args:
        module: dotted name, for example "sklearn.datasets".
        extra: the extra in pyproject.toml that installs it, for example "data".
    Raises:
        ImportError: if it is not installed, with the line that installs it. A module
            that is installed and fails on its own keeps its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        install = f'pip install "d2lcompanion[{extra}]"'
        raise ImportError(
            f"{module} is not installed; it comes with: {install}"
        ) from error
