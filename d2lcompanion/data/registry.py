"""Files that are too large to ship: where they are, whose they are, and how to know them again.

A checksum says whose bytes it belongs to (`origin`). Mirrors are tried in order; what
arrives is verified before it gets its name, so that a file in the data directory is
whole or absent.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from d2lcompanion.data.mirrors import download, pooch_module
from d2lcompanion.extras import require

DATA_DIR_VARIABLE = "D2LC_DATA_DIR"


@dataclass(frozen=True)
class Checksum:
    """A digest and where it comes from.

    Attributes:
        algorithm: how it is computed.
        digest: lower-case hexadecimal.
        origin: a sentence: which bytes it was computed from, or which package publishes
            it.
    """

    algorithm: Literal["sha256", "sha1", "md5"]
    digest: str
    origin: str


@dataclass(frozen=True)
class Entry:
    """One file to download.

    Attributes:
        name: what `d2lc data fetch` takes.
        file_name: the name in the data directory.
        urls: addresses of the same bytes, in the order in which they are tried.
        checksum: None where nobody has one: fetching then needs `allow_unverified`.
        licence: of the data.
        size_bytes: of the file, None where unknown.
        citation: who made the data.
        tried: whether this project has downloaded it from these addresses.
    """

    name: str
    file_name: str
    urls: tuple[str, ...]
    checksum: Checksum | None
    licence: str
    size_bytes: int | None
    citation: str
    tried: bool


ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="airfoil",
        file_name="airfoil_self_noise.dat",
        urls=(
            "https://archive.ics.uci.edu/ml/machine-learning-databases/00291/airfoil_self_noise.dat",
            "https://d2l-data.s3-accelerate.amazonaws.com/airfoil_self_noise.dat",
            "http://d2l-data.s3-accelerate.amazonaws.com/airfoil_self_noise.dat",
        ),
        checksum=Checksum(
            "sha256",
            "74c75fd71783f1e6b71f8a622b993dc592897a97cd689c5090a07147a1b097b3",
            "computed from a copy of the UCI table with its header line removed; the SHA-1 of "
            "these bytes is the one that d2l 1.0.3 publishes for its copy",
        ),
        licence="CC-BY-4.0",
        size_bytes=59_984,
        citation="Brooks, Pope & Marcolini (1989), Airfoil Self-Noise and Prediction, NASA RP-1218",
        tried=False,
    ),
)
# part → (file in the original set, MD5 of it)
_FASHION_MNIST = {
    "train-images": ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    "train-labels": ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
    "test-images": ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
    "test-labels": ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
}
ENTRIES += tuple(
    Entry(
        name=f"fashion-mnist-{part}",
        file_name=f"fashion-mnist-{original}",
        urls=(
            f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{original}",
            f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{original}",
        ),
        checksum=Checksum("md5", md5, "published in torchvision 0.29.1's FashionMNIST"),
        licence="MIT",
        size_bytes=None,
        citation="Xiao, Rasul & Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747",
        tried=False,
    )
    for part, (original, md5) in _FASHION_MNIST.items()
)
# Photos of 32×32 pixels, read out of their archive, which is never unpacked.
ENTRIES += (
    Entry(
        name="cifar-10",
        file_name="cifar-10-python.tar.gz",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
        checksum=Checksum(
            "md5",
            "c58f30108f718f92721af3b95e74349a",
            "published in torchvision 0.29.1's CIFAR10",
        ),
        licence="none is stated; the page asks to cite the report",
        size_bytes=170_498_071,
        citation="Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, "
        "University of Toronto",
        tried=False,
    ),
)
# Photos for fine-tuning, and a network to tune.
ENTRIES += (
    Entry(
        name="hotdog",
        file_name="hotdog.zip",
        urls=(
            "https://d2l-data.s3-accelerate.amazonaws.com/hotdog.zip",
            "http://d2l-data.s3-accelerate.amazonaws.com/hotdog.zip",
        ),
        checksum=Checksum(
            "sha1",
            "fba480ffa8aa7e0febbb511d181409f899b9baa5",
            "published in d2l 1.0.3",
        ),
        licence="none is stated; photos found on the web",
        size_bytes=None,
        citation="Zhang, Lipton, Li & Smola (2023), Dive into Deep Learning, Cambridge",
        tried=False,
    ),
    Entry(
        name="resnet18-imagenet",
        file_name="resnet18-f37072fd.pth",
        urls=("https://download.pytorch.org/models/resnet18-f37072fd.pth",),
        checksum=None,  # eight digits of the SHA-256 stand in the name: hot_dogs.py looks
        licence="BSD-3-Clause (torchvision); trained on ImageNet, for research",
        size_bytes=None,
        citation="He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition, CVPR",
        tried=False,
    ),
)
# Text. It is read out of its archive, which is never unpacked.
ENTRIES += (
    Entry(
        name="ptb",
        file_name="ptb.zip",
        urls=(
            "https://d2l-data.s3-accelerate.amazonaws.com/ptb.zip",
            "http://d2l-data.s3-accelerate.amazonaws.com/ptb.zip",
        ),
        checksum=Checksum(
            "sha1",
            "319d85e578af0cdc590547f26231e4e31cdf1e42",
            "published in d2l 1.0.3 for its copy of Mikolov's preparation of the Penn Treebank",
        ),
        licence="of the Linguistic Data Consortium (LDC99T42): for research; text of the Wall "
        "Street Journal",
        size_bytes=None,
        citation="Marcus, Santorini & Marcinkiewicz (1993), Building a Large Annotated Corpus of "
        "English: The Penn Treebank, Computational Linguistics 19(2)",
        tried=False,
    ),
    Entry(
        name="wikitext-2",
        file_name="wikitext-2-v1.zip",
        urls=(
            "https://wikitext.smerity.com/wikitext-2-v1.zip",
            "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
        ),
        checksum=Checksum(
            "sha1",
            "3c914d17d80b1459be871a5039ac23e752a53cbe",
            "published in d2l 1.0.3 for the archive at its old address, which is said to be dead",
        ),
        licence="CC-BY-SA (text of Wikipedia)",
        size_bytes=None,
        citation="Merity, Xiong, Bradbury & Socher (2017), Pointer Sentinel Mixture Models, ICLR",
        tried=False,
    ),
    Entry(
        name="wikitext-103",
        file_name="wikitext-103-v1.zip",
        urls=("https://wikitext.smerity.com/wikitext-103-v1.zip",),
        checksum=None,
        licence="CC-BY-SA (text of Wikipedia)",
        size_bytes=None,
        citation="Merity, Xiong, Bradbury & Socher (2017), Pointer Sentinel Mixture Models, ICLR",
        tried=False,
    ),
    Entry(
        name="text8",
        file_name="text8.zip",
        urls=("https://mattmahoney.net/dc/text8.zip",),
        checksum=None,
        licence="CC-BY-SA (text of Wikipedia)",
        size_bytes=None,
        citation="Mahoney (2006), About the Test Data, http://mattmahoney.net/dc/textdata.html",
        tried=False,
    ),
)
# Pictures.
ENTRIES += (
    Entry(
        name="banana-detection",
        file_name="banana-detection.zip",
        urls=(
            "https://d2l-data.s3-accelerate.amazonaws.com/banana-detection.zip",
            "http://d2l-data.s3-accelerate.amazonaws.com/banana-detection.zip",
        ),
        checksum=Checksum(
            "sha1",
            "5de26c8fce5ccdea9f91267273464dc968d20d72",
            "published in d2l 1.0.3 for its own data",
        ),
        licence="not stated; published with d2l, whose text is CC-BY-SA-4.0",
        size_bytes=None,
        citation="Zhang, Lipton, Li & Smola (2023), Dive into Deep Learning, Cambridge "
        "University Press",
        tried=False,
    ),
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}


def find_entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        ValueError: if there is none, naming those that there are.
    """
    if name not in REGISTRY:
        raise ValueError(
            f"unknown data set {name!r}; known: {', '.join(sorted(REGISTRY))}"
        )
    return REGISTRY[name]


def data_directory() -> Path:
    """Where files are kept: $D2LC_DATA_DIR, else the cache folder of the operating system."""
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    return (
        Path(chosen).expanduser()  # a shell leaves "~" alone inside quotes
        if chosen
        else Path(pooch_module().os_cache("d2lcompanion"))
    )


def fetch(name: str, *, allow_unverified: bool = False, progress: bool = True) -> Path:
    """Download a file, unless it is there already, and return its path.

    Two processes may ask at once: one downloads, the other waits. Nothing is
    overwritten: a file with other bytes under that name is an error.

    Args:
        name: of a registry entry.
        allow_unverified: take a file that has no known checksum. Its SHA-256 is then
            written beside it, and holds from then on.
        progress: show a progress bar, on a terminal.
    Raises:
        ValueError: if the name is unknown, the entry has no checksum and
            allow_unverified is False, or a file with other bytes is in the way.
        OSError: if no address gives the right bytes; the message tells what each one
            gave.
    """
    entry = find_entry(name)
    path = data_directory() / entry.file_name
    (path.parent / ".locks").mkdir(parents=True, exist_ok=True)
    with require("filelock", "data").FileLock(
        path.parent / ".locks" / f"{path.name}.lock"
    ):
        known_hash = _known_hash(entry, path, allow_unverified)
        if not path.exists():
            download(entry.name, entry.urls, path, known_hash, progress)
        elif known_hash is not None and not _matches(path, known_hash):
            raise ValueError(
                f"{path} is not the file of the registry ({known_hash}): move it away"
            )
        if entry.checksum is None:
            digest = pooch_module().file_hash(str(path), alg="sha256")
            _record(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    return path


def _known_hash(entry: Entry, path: Path, allow_unverified: bool) -> str | None:
    """What the bytes must hash to, as "algorithm:digest"; None where nobody knows yet."""
    if entry.checksum is not None:
        return f"{entry.checksum.algorithm}:{entry.checksum.digest}"
    if not allow_unverified:
        raise ValueError(
            f"{entry.name} has no checksum: pass allow_unverified to trust it"
        )
    if _record(path).exists():
        return "sha256:" + _record(path).read_text(encoding="utf-8").split()[0]
    return None


def _record(path: Path) -> Path:
    """The file beside a download that keeps the SHA-256 it had when it was first seen."""
    return path.with_name(path.name + ".sha256")


def _matches(path: Path, known_hash: str) -> bool:
    algorithm, digest = known_hash.split(":")
    return bool(pooch_module().file_hash(str(path), alg=algorithm) == digest)
