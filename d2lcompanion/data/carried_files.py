"""Files that installed packages carry, known again by their bytes."""

import hashlib
from pathlib import Path


def require_digest(path: Path, sha256: str) -> None:
    """A file with these bytes.

    Raises:
        ValueError: otherwise; names the file and both digests.
        FileNotFoundError: if there is none.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{path} must have the SHA-256 {sha256}; got {found}")
