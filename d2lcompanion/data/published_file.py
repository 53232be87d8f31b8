"""Where a published file lies: where the caller says, or in the data directory."""

from pathlib import Path

from d2lcompanion.data.registry import data_directory, fetch, find_entry


def published_file(
    name: str,
    file: Path | str | None = None,
    *,
    download: bool = False,
    allow_unverified: bool = False,
) -> Path:
    """The path of a file that exists.

    Args:
        name: of a registry entry.
        file: the path to use; None: the entry's file in the data directory.
        download: fetch and verify that file if it is not there; a path that was given is
            only read.
        allow_unverified: as in `fetch`.
    Raises:
        ValueError: if the name is unknown, or as in `fetch`.
        FileNotFoundError: if there is no file, and it was not to be fetched; says how to
            get it.
        OSError: if it could not be fetched.
    """
    path = data_directory() / find_entry(name).file_name
    if file is not None:
        path = Path(file)
    elif download and not path.is_file():
        path = fetch(name, allow_unverified=allow_unverified)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: run `d2lc data fetch {name}` where there is a "
            "network, or let D2LC_DATA_DIR name the folder that holds the file"
        )
    return path
