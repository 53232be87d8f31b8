"""The targets of make.py, inside the environment: python -m book._tools TARGET NAME=VALUE ..."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from book._tools import project
from book._tools.project import LANGUAGES, ROOT, SITE, Page

Settings = dict[str, str]
D2L = "d2l==1.0.3\n"  # a peer and an oracle; its own pins are ancient, so it has a lock of its own


class UsageError(ValueError):
    """A setting that the target does not take."""


def take(settings: Settings, *names: str) -> dict[str, str]:
    """The settings that a target knows; any other one is an error."""
    unknown = sorted(set(settings) - set(names))
    if unknown:
        allowed = ", ".join(names) or "none"
        raise UsageError(
            f"unknown setting {unknown[0]}={settings[unknown[0]]}; this target takes: {allowed}"
        )
    return {name: settings[name] for name in names if name in settings}


def chapters_of(settings: Settings) -> list[Page]:
    """All chapters, or the one that CHAPTER names."""
    chapters = project.chapters()
    wanted = settings.get("CHAPTER")
    if wanted is None:
        return chapters
    chosen = [page for page in chapters if wanted in (page.slug, page.slug.rsplit("/", 1)[-1])]
    if not chosen:
        raise UsageError(f"no chapter {wanted!r}; there are: {', '.join(p.slug for p in chapters)}")
    return chosen


def run(*command: str) -> None:
    """Run a tool of this environment in the root folder; a failure ends the target."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.returncode)


def book(settings: Settings) -> None:
    """Build both sites."""
    from book._tools import site

    take(settings)
    started = time.perf_counter()
    built = site.build_book()
    state = f"built in {time.perf_counter() - started:.0f} s" if built else "up to date"
    print(f"site: {state}: {(ROOT / SITE / 'index.html').as_uri()}  (serve it: make serve)")


def page(settings: Settings) -> None:
    """Build one page again."""
    from book._tools import site

    given = take(settings, "P")
    if "P" not in given:
        raise UsageError("name the page: make page P=optimization/gradient-descent")
    site.build_page(given["P"])
    for language in LANGUAGES:
        print((ROOT / SITE / language / f"{given['P']}.html").as_uri())


def serve(settings: Settings) -> None:
    """Serve the site."""
    from book._tools import site

    port = take(settings, "PORT").get("PORT", "8000")
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(f"PORT must be a number from 0 to 65535, got {port!r}")
    site.serve(int(port))


def lint() -> None:
    """Style of the code."""
    run("ruff", "check", "--quiet")
    run("ruff", "format", "--check", "--quiet")


def test(settings: Settings) -> None:
    """Everything that CI runs."""
    strict = ["--forbid-skips"] if take(settings, "CI").get("CI") else []
    lint()
    run("mypy")
    book({})
    run("pytest", "-n", "2", "--dist", "loadscope", "-q", "--durations=15", *strict)


def test_fast(settings: Settings) -> None:
    """The inner loop."""
    take(settings)
    lint()
    run("pytest", "-q", "-n", "2", "-m", "not nbval and not book and not browser and not slow")


def references(settings: Settings) -> None:
    """Execute chapters and write their reference outputs."""
    from book._tools import references

    chosen = chapters_of(take(settings, "CHAPTER"))
    for chapter in chosen:
        changed = references.refresh(chapter)
        print(changed or f"{chapter.slug}: unchanged", flush=True)
    if "CHAPTER" not in settings:
        for problem in references.orphans():
            print(problem)


def notebooks(settings: Settings) -> None:
    """Execute chapters at another scale and keep them."""
    from book._tools import export

    given = take(settings, "SCALE", "DEVICE", "PRECISION", "SEED", "SET", "CHAPTER")
    chosen = chapters_of(given)
    given.pop("CHAPTER", None)
    for file in export.run_at_scale(chosen, {name.lower(): value for name, value in given.items()}):
        print(file.relative_to(ROOT), flush=True)


def lab(settings: Settings) -> None:
    """Open JupyterLab on the exported notebooks."""
    from book._tools import export

    given = take(settings, "PORT")
    folder = export.export_all()
    command = ["jupyterlab", "--ServerApp.root_dir", str(folder)]
    command += ["--LabApp.default_url=/lab/tree/zh/index.ipynb"]
    if "PORT" in given:
        command += ["--port", given["PORT"]]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["--allow-root"]  # in a container
    run(*command)


def export(settings: Settings) -> None:
    """Write notebooks with outputs."""
    from book._tools import export

    take(settings)
    print(f"notebooks: {export.export_all()}")


def reformat(settings: Settings) -> None:
    """Format the code."""
    take(settings)
    run("ruff", "check", "--fix", "--quiet")
    run("ruff", "format", "--quiet")


def lock(settings: Settings) -> None:
    """Resolve the dependencies for every supported Python and platform, with hashes."""
    take(settings)
    uv = shutil.which("uv")
    if uv is None and importlib.util.find_spec("uv") is None:
        raise UsageError("`make lock` needs uv: pip install uv")
    command = [uv] if uv else [sys.executable, "-m", "uv"]
    common = [
        "pip",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
        "--no-emit-index-url",
    ]
    subprocess.run(
        [*command, *common, "--universal", "--fork-strategy", "fewest", "--python-version", "3.11",
         "--all-extras", "pyproject.toml", "-o", "requirements.lock"],
        cwd=ROOT,
        check=True,
    )  # fmt: skip
    subprocess.run(
        [*command, *common, "--no-deps", "-", "-o", "requirements-d2l.lock"],
        cwd=ROOT,
        check=True,
        input=D2L.encode(),
    )
    from book._tools import environment

    environment.write_environment()


TARGETS: dict[str, Callable[[Settings], None]] = {
    "book": book,
    "page": page,
    "serve": serve,
    "test": test,
    "test-fast": test_fast,
    "references": references,
    "notebooks": notebooks,
    "lab": lab,
    "export": export,
    "format": reformat,
    "lock": lock,
}


def main(words: list[str]) -> int:
    """Run one target; errors a reader can mend are one line."""
    from book._tools.site import BuildError

    os.environ["PYTHONUTF8"] = "1"
    settings = dict(word.partition("=")[::2] for word in words[1:])
    try:
        TARGETS[words[0]](settings)
    except (UsageError, BuildError) as error:
        print(f"make {words[0]}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
