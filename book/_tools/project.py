"""Where things lie, which chapters there are, and the one environment in which notebooks execute."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("zh", "en")
WORK = "_build"  # everything that can be made again lies below this folder of the project
SITE = "site"

#: What a rendered page or an executed cell depends on; the stamp of a site covers all of it.
INPUTS = (
    "_config.yml",
    "_toc.yml",
    "requirements.lock",
    "requirements-d2l.lock",
    "pyproject.toml",
    "CHANGELOG.md",
    "book",
    "d2lcompanion",
    "results",
)
#: What the output of a code cell depends on besides its own page.
EXECUTION_INPUTS = ("d2lcompanion", "results", "requirements.lock", "requirements-d2l.lock")

#: Numbers may not depend on threads, hash order, time zone, encoding, a hub or a reader's own settings.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
EXECUTION_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "PYTHONIOENCODING": "utf-8",
    "TZ": "UTC",
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MPLCONFIGDIR": "",  # set below: a user's matplotlibrc may not restyle the figures,
    "IPYTHONDIR": "",  # nor a user's start-up files change the kernel
}
#: No history of earlier sessions; no notice about unencrypted sockets of this machine.
KERNEL_CONFIGURATION = "c.HistoryManager.enabled = False\nc.IPKernelApp.log_level = 40\n"


@dataclass(frozen=True)
class Page:
    """One entry of the table of contents, the same in every language."""

    slug: str  # optimization/gradient-descent

    def path(self, language: str, root: Path = ROOT) -> Path:
        """The page's MyST file in `language`."""
        return root / "book" / language / f"{self.slug}.md"


def _toc_files(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("file", "root"):
                yield str(value)
            elif key != "meta":
                yield from _toc_files(value)
    elif isinstance(node, list):
        for item in node:
            yield from _toc_files(item)


def read_toc(root: Path = ROOT) -> dict[str, object]:
    """The table of contents as `_toc.yml` has it: Chinese file names and captions."""
    return dict(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))


def pages(root: Path = ROOT) -> list[Page]:
    """Every page of the table of contents, in its order."""
    prefix = "book/zh/"
    names = list(_toc_files(read_toc(root)))
    wrong = [name for name in names if not name.startswith(prefix)]
    if wrong:
        raise ValueError(f"_toc.yml: {wrong[0]!r} must start with {prefix!r}")
    return [Page(name.removeprefix(prefix)) for name in names]


def slug_of(docname: str) -> str:
    """`optimization/gradient-descent` from the document name of any build."""
    return docname.removeprefix("book/zh/")


def has_code(text: str) -> bool:
    """Whether a page's source contains a code cell."""
    return any(line.startswith("```{code-cell}") for line in text.splitlines())


def chapters(root: Path = ROOT) -> list[Page]:
    """The pages that execute: those with a code cell in either language."""
    return [
        page
        for page in pages(root)
        if any(
            has_code(page.path(language, root).read_text(encoding="utf-8"))
            for language in LANGUAGES
            if page.path(language, root).exists()
        )
    ]


def input_files(names: Iterable[str], root: Path = ROOT) -> Iterator[Path]:
    """The files below `names`, in a fixed order, without caches."""
    for name in names:
        path = root / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(
                file
                for file in path.rglob("*")
                if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
            )


def digest(names: Iterable[str], root: Path = ROOT) -> str:
    """A hash over names and bytes of every file below `names`, and of the Python that runs them."""
    total = hashlib.sha256(f"{platform.python_version()} {sys.platform}".encode())
    for file in input_files(names, root):
        data = file.read_bytes()
        total.update(f"\0{file.relative_to(root).as_posix()}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()[:16]


def execution_cache(root: Path = ROOT) -> Path:
    """Where executed notebooks are kept; another folder as soon as the package or the lock changes."""
    return root / WORK / "executed" / digest(EXECUTION_INPUTS, root)


def execution_environment(
    base: Mapping[str, str] | None = None, root: Path = ROOT, **settings: str
) -> dict[str, str]:
    """Variables under which every notebook executes: for the site, the references and nbval.

    A reader's own `D2LC_*` variables are dropped, except where the data lie; `settings` adds some.
    One thread, unless COURSE_THREADS says otherwise: a test shows that the digits do not depend on it.
    """
    source = os.environ if base is None else base
    kept = {
        name: value
        for name, value in source.items()
        if not name.startswith("D2LC_") or name == "D2LC_DATA_DIR"
    }
    folders = {
        name: root / WORK / folder
        for name, folder in (("MPLCONFIGDIR", "matplotlib"), ("IPYTHONDIR", "ipython"))
    }
    profile = folders["IPYTHONDIR"] / "profile_default" / "ipython_kernel_config.py"
    if not profile.exists():
        profile.parent.mkdir(parents=True, exist_ok=True)
        profile.write_text(KERNEL_CONFIGURATION, encoding="utf-8")
    folders["MPLCONFIGDIR"].mkdir(parents=True, exist_ok=True)
    # `root` first: the package of this checkout (or of a temporary copy) is the one that runs.
    path = os.pathsep.join([str(root), *filter(None, [kept.get("PYTHONPATH")])])
    fixed = {**EXECUTION_ENVIRONMENT, "PYTHONPATH": path, **{n: str(f) for n, f in folders.items()}}
    threads = dict.fromkeys(THREADS, source.get("COURSE_THREADS", "1"))
    return {**kept, **threads, **fixed, **settings}
