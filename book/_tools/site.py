"""Build the site: both languages, strictly, aside, and swapped in only when everything succeeded."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from book._tools import ahead, project
from book._tools.project import LANGUAGES, ROOT, SITE, WORK, Page

STRICT = (
    "-W",
    "-n",
    "--keep-going",
)  # warnings are errors, missing references are warnings, report all
JUPYTER_BOOK = (
    "from jupyter_book.cli.main import main; main()"  # this interpreter's, whatever PATH says
)
KEPT_CACHES = 3


class BuildError(RuntimeError):
    """The build failed; the site that was there is untouched."""


def toc_of(node: Any, language: str, captions: dict[str, str]) -> Any:
    """The table of contents of one language, relative to book/<language>."""
    if isinstance(node, dict):
        return {
            key: captions.get(value, value)
            if key == "caption"
            else toc_of(value, language, captions)
            for key, value in node.items()
            if key != "meta"
        }
    if isinstance(node, list):
        return [toc_of(item, language, captions) for item in node]
    return node.removeprefix("book/zh/") if isinstance(node, str) else node


def config_of(language: str, root: Path = ROOT) -> dict[str, Any]:
    """`_config.yml` for the build of one language: absolute paths, its own titles and prompts."""
    config: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    sphinx = config["sphinx"]["config"]
    own = sphinx["course_languages"][language]["config"]
    sphinx |= own
    sphinx |= {"course_language": language, "course_bilingual": True}
    for key in ("templates_path", "html_static_path"):
        sphinx[key] = [str(root / path) for path in sphinx[key]]
    sphinx["html_favicon"] = str(root / sphinx["html_favicon"])
    local = config["sphinx"]["local_extensions"]
    config["sphinx"]["local_extensions"] = {name: str(root / path) for name, path in local.items()}
    config["bibtex_bibfiles"] = [str(root / file) for file in config["bibtex_bibfiles"]]
    config["title"] = own["html_title"]
    return config


def write_if_changed(path: Path, text: str) -> None:
    """Leave an equal file alone: its time is what Sphinx looks at."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def build_language(
    language: str, *, fresh: bool, root: Path = ROOT, page: str | None = None
) -> Path:
    """Run Jupyter Book for one language and return the folder of its HTML.

    A warm build is silent about pages that it does not read again, so a strict one starts `fresh`:
    it forgets what was parsed and keeps what was executed.
    """
    work = root / WORK / "book" / language
    captions = project.read_toc(root).get("meta", {}).get("captions", {}).get(language, {})
    for name, data in (
        ("_config.yml", config_of(language, root)),
        ("_toc.yml", toc_of(project.read_toc(root), language, captions)),
    ):
        write_if_changed(work / name, yaml.safe_dump(data, allow_unicode=True, sort_keys=False))
    output = work / "_build"
    if fresh:
        shutil.rmtree(output, ignore_errors=True)
    settings = {"COURSE_PAGE": page} if page else {}
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(root / "book" / language)]
    command += ["--config", str(work / "_config.yml"), "--toc", str(work / "_toc.yml")]
    command += ["--path-output", str(work), "--quiet", *STRICT]
    started = time.perf_counter()
    done = subprocess.run(
        command, env=project.execution_environment(root=root, **settings), cwd=root
    )
    print(f"book/{language}: {time.perf_counter() - started:.1f} s", flush=True)
    if done.returncode:
        raise BuildError(
            f"book/{language}: the build failed (exit {done.returncode}); see the messages above"
        )
    return output / "html"


def assemble(html: dict[str, Path], root: Path = ROOT) -> Path:
    """Put the languages and the root page together, beside the site that is being served."""
    new = root / WORK / "site-new"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(root / "book" / "_root", new)
    for language, folder in html.items():
        ignore = shutil.ignore_patterns(".buildinfo*", "objects.inv", "*.map", "jupyter_execute")
        shutil.copytree(folder, new / language, ignore=ignore)
    return new


def swap_in(new: Path, root: Path = ROOT) -> None:
    """Replace the site by the new one; whoever reads it sees the old or the new one, never half."""
    site, old = root / SITE, root / WORK / "site-old"
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    new.rename(site)
    shutil.rmtree(old, ignore_errors=True)


def stamp_file(root: Path = ROOT) -> Path:
    """Holds the digest of the inputs of the last strict success."""
    return root / WORK / "site.stamp"


def is_current(root: Path = ROOT) -> bool:
    """Whether the site was built, strictly, from exactly the inputs that lie here now."""
    stamp = stamp_file(root)
    return (
        stamp.exists()
        and all((root / SITE / language / "index.html").exists() for language in LANGUAGES)
        and stamp.read_text(encoding="utf-8") == project.digest(project.INPUTS, root)
    )


def prune_caches(root: Path = ROOT) -> None:
    """Keep the latest caches of executed notebooks; each belongs to one state of the package."""
    folders = sorted((root / WORK / "executed").glob("*"), key=lambda f: f.stat().st_mtime)
    for folder in folders[:-KEPT_CACHES]:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def exclusive(root: Path = ROOT) -> Iterator[None]:
    """One build at a time in a checkout."""
    from filelock import FileLock, Timeout

    (root / WORK).mkdir(exist_ok=True)
    try:
        with FileLock(root / WORK / "build.lock", timeout=0):
            yield
    except Timeout:
        raise BuildError("another build is running in this checkout; wait for it") from None


def build_book(root: Path = ROOT) -> bool:
    """Build both languages if anything changed since the last strict success; say whether it built."""
    if is_current(root):
        return False
    with exclusive(root):
        digest = project.digest(project.INPUTS, root)
        ahead.execute_missing(root)
        html = {language: build_language(language, fresh=True, root=root) for language in LANGUAGES}
        new = assemble(html, root)
        stamp_file(root).unlink(missing_ok=True)
        swap_in(new, root)
        if project.digest(project.INPUTS, root) == digest:  # nobody edited a page meanwhile
            stamp_file(root).write_text(digest, encoding="utf-8")
        prune_caches(root)
    return True


def build_page(slug: str, root: Path = ROOT) -> None:
    """Build one page again in every language; the other pages stay as the last full build left them."""
    known = [page.slug for page in project.pages(root)]
    if slug not in known:
        raise BuildError(f"no page {slug!r} in _toc.yml; there are: {', '.join(known)}")
    with exclusive(root):
        # Twin pages execute once: one language after the other, unless there is nothing to execute.
        with ThreadPoolExecutor(
            len(LANGUAGES) if ahead.is_executed(Page(slug), root) else 1
        ) as pool:
            folders = pool.map(
                lambda la: build_language(la, fresh=False, root=root, page=slug), LANGUAGES
            )
            html = dict(zip(LANGUAGES, folders, strict=True))
        new = assemble(html, root)
        stamp_file(root).unlink(missing_ok=True)
        swap_in(new, root)


def serve(port: int = 8000, root: Path = ROOT) -> None:
    """Serve the built site on this machine until interrupted."""
    folder = root / SITE
    if not (folder / "index.html").exists():
        raise BuildError("there is no site yet: run `make book` first")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=os.fspath(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/  (Ctrl+C stops)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
