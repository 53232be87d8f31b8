"""Chapters as .ipynb files that need no MyST: source included, equations, citations and numbers resolved."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import posixpath
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode
from pybtex.database import parse_file
from pybtex.plugin import find_plugin

from book._tools import errata, myst, notebooks, project, site
from book._tools.citations import authors
from book._tools.myst import Block
from book._tools.project import LANGUAGES, ROOT, WORK, Page

FOLDER = "notebooks"
MANIFEST = ".exported.json"  # what we wrote, so that a reader's own changes are never overwritten
IMAGES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}
OPTION = re.compile(r"^\s*-\s+\[(?P<mark>[x ])\]\s+(?P<option>.*?) — (?P<why>.*)$")

WORDS = {
    "zh": {
        "explorer": "（这里在网站上有一幅可以操作的图。）",
        "solution": "解答：", "exercise": "练习", "proof": "证明", "lemma": "引理", "theorem": "定理",
        "definition": "定义", "corollary": "推论", "proposition": "命题", "algorithm": "算法",
        "example": "例", "remark": "注", "note": "注", "tip": "提示", "warning": "警告",
        "important": "重要", "seealso": "另见", "right": "正确。", "wrong": "不对。", "source": "源代码：",
        "and": " 和 ", "others": " 等",
    },
    "en": {
        "explorer": "(On the site an interactive figure stands here.)",
        "solution": "Solution to ", "exercise": "Exercise", "proof": "Proof", "lemma": "Lemma",
        "theorem": "Theorem", "definition": "Definition", "corollary": "Corollary",
        "proposition": "Proposition", "algorithm": "Algorithm", "example": "Example",
        "remark": "Remark", "note": "Note", "tip": "Tip", "warning": "Warning",
        "important": "Important", "seealso": "See also", "right": "Right. ", "wrong": "Not so. ",
        "source": "Source: ", "and": " and ", "others": " et al.",
    },
}  # fmt: skip


class ExportError(ValueError):
    """Something on a page that has no form in a plain notebook yet."""


@cache
def bibliography(root: Path = ROOT) -> Any:
    """The database of cited works."""
    return parse_file(str(root / "book" / "references.bib"), bib_format="bibtex")


def source_of(path: Path, name: str) -> str:
    """The source of a function, class or method of a module, as `literalinclude :pyobject:` shows it."""
    text = path.read_text(encoding="utf-8")
    node: Any = ast.parse(text)
    for part in name.split("."):
        found = [n for n in node.body if getattr(n, "name", None) == part]
        if not found:
            raise ExportError(f"{path.name} has no {name}")
        node = found[-1]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return textwrap.dedent("\n".join(text.split("\n")[first - 1 : node.end_lineno]))


@dataclass
class Chapter:
    """What a page refers to, in one language, and the pictures that its cells attach."""

    page: Page
    language: str
    numbers: dict[str, dict[str, str]]
    titles: dict[str, str]
    formats: dict[str, str]
    glued: dict[str, dict[str, str]] = field(default_factory=dict)
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    cited: list[str] = field(default_factory=list)
    root: Path = ROOT

    def word(self, name: str) -> str:
        """A word of the notebook's own, in its language."""
        return WORDS[self.language].get(name, name.capitalize())

    def number(self, label: str) -> str:
        """The number that the site gives to a label."""
        for key in (label, f"equation-{label}"):
            if key in self.numbers:
                return self.numbers[key]["number"]
        raise ExportError(f"{self.page.slug}: no number for {label!r}")

    def reference(self, label: str) -> str:
        """Kind and number of a label, or the title of a section."""
        if label in self.numbers:
            kind = self.numbers[label]["kind"]
            form = self.formats.get(kind, "")
            if form in ("", f"{kind} %s"):  # sphinx-proof keeps its formats in English
                form = f"{self.word(kind)} %s"
            return form % self.numbers[label]["number"]
        if self.titles.get(label):
            return self.titles[label]
        raise ExportError(f"{self.page.slug}: nothing to refer to at {label!r}")

    def glue_text(self, text: str) -> str:
        """`key` or `key:format` as myst-nb shows it."""
        key, _, form = text.partition(":")
        plain = self.glued[key]["text/plain"]
        if not form:
            return plain.strip("'\"")
        return format(int(plain) if form.endswith("d") else float(plain), form)

    def cite(self, keys: str, kind: str) -> str:
        """Author and year of each work, as the site has them."""
        parts = []
        for key in (k.strip() for k in keys.split(",")):
            entry = bibliography(self.root).entries[key]
            who = authors(entry, self.word("and"), self.word("others"))
            year = entry.fields["year"]
            parts.append(f"{who} [{year}]" if kind == "t" else f"{who}, {year}")
            if key not in self.cited:
                self.cited.append(key)
        return ", ".join(parts) if kind == "t" else f"[{'; '.join(parts)}]"

    def role(self, match: re.Match[str]) -> str:
        """One role as plain Markdown."""
        name, text = match["name"], match["text"]
        titled = re.match(r"^(.*?)\s*<([^>]+)>$", text)
        if name in ("ref", "doc", "prf:ref", "numref") and titled:
            label = titled[2]
            return titled[1].replace("%s", self.number(label)) if name == "numref" else titled[1]
        if name == "doc":
            return self.page_link(text)
        if name == "eq":
            return f"({self.number(text)})"
        if name in ("ref", "numref", "prf:ref"):
            return self.reference(text)
        if name == "glue:text":
            return f"**{self.glue_text(text)}**"
        if name in ("cite:t", "cite:p"):
            return self.cite(text, name[-1])
        if name == "math":
            return f"${text}$"
        if name in ("py:func", "py:class", "py:mod"):
            return f"`{text.lstrip('~')}`"
        raise ExportError(f"{self.page.slug}: role {name!r} has no plain form")

    def page_link(self, target: str) -> str:
        """A link to another page's notebook, by that page's title."""
        folder = PurePosixPath(self.page.slug).parent
        slug = posixpath.normpath((folder / target).as_posix())
        source = Page(slug).path(self.language, self.root).read_text(encoding="utf-8")
        title = next(b.argument for b in myst.parse(source) if b.kind == "heading")
        return f"[{title}]({target}.ipynb)"

    def line(self, text: str) -> str:
        """A line of prose."""
        text = myst.ROLE.sub(self.role, text)
        return re.sub(r"\]\(([^)\s:]+)\.md(#[^)]*)?\)", r"](\1.ipynb\2)", text)

    def quoted(self, title: str, body: str) -> str:
        """A titled box."""
        return "\n".join(f"> {line}".rstrip() for line in [f"**{title}**", "", *body.split("\n")])

    def titled(self, block: Block, kind: str) -> str:
        """Kind, number and title of a theorem or an exercise."""
        label = block.options.get("label", "")
        head = self.reference(label) if label in self.numbers else self.word(kind)
        title = self.line(block.argument)
        left, right = ("（", "）") if self.language == "zh" else (" (", ")")
        return f"{head}{left}{title}{right}" if title else head

    def attach(self, name: str, image: dict[str, str]) -> str:
        """Carry a picture inside the notebook."""
        for mime, suffix in IMAGES.items():
            if mime in image:
                data = image[mime]
                if mime == "image/svg+xml":
                    data = base64.b64encode(data.encode()).decode()
                self.attachments[f"{name}.{suffix}"] = {mime: data}
                return f"attachment:{name}.{suffix}"
        raise ExportError(f"{self.page.slug}: {name!r} is no picture, it has {sorted(image)}")

    def figure(self, block: Block) -> str:
        """A picture with its number and caption."""
        if block.name == "glue:figure":
            target = self.attach(block.argument, self.glued[block.argument])
        else:
            file = (self.page.path(self.language, self.root).parent / block.argument).resolve()
            mime = {f".{s}": m for m, s in IMAGES.items()}[file.suffix]
            raw = file.read_bytes()
            text = raw.decode() if file.suffix == ".svg" else base64.b64encode(raw).decode()
            target = self.attach(file.stem, {mime: text})
        caption = self.markdown(block.children()).strip()
        name = block.options.get("name", "")
        head = f"**{self.reference(name)}** " if name in self.numbers else ""
        return f"![{block.options.get('alt', '')}]({target})\n\n{head}{caption}"

    def quiz(self, block: Block) -> str:
        """Questions whose options open to say whether they are right."""
        lines: list[str] = []
        for raw in block.body:
            if raw.strip() and lines and not re.match(r"^\s*(-|\d+\.)\s", raw):
                lines[-1] += " " + raw.strip()
            else:
                lines.append(raw)
        out = []
        for line in map(self.line, lines):
            option = OPTION.match(line)
            if option:
                verdict = self.word("right" if option["mark"] == "x" else "wrong")
                out.append(
                    f"<details><summary>{option['option']}</summary>\n\n{verdict}{option['why']}\n\n</details>"
                )
            else:
                out.append(line if line.strip() == "" else f"\n**{line.strip()}**\n")
        return "\n".join(out)

    def references(self) -> str:
        """The works that the chapter cites."""
        style = find_plugin("pybtex.style.formatting", "plain")()
        backend = find_plugin("pybtex.backends", "markdown")()
        entries = [bibliography(self.root).entries[key] for key in sorted(self.cited)]
        formatted = style.format_entries(entries)
        return "\n".join(f"- {entry.text.render(backend)}" for entry in formatted)

    def include(self, block: Block) -> str:
        """Package source, shown in full."""
        path = (self.page.path(self.language, self.root).parent / block.argument).resolve()
        name = path.relative_to(self.root).as_posix()
        code = source_of(path, block.options["pyobject"])
        return f"{self.word('source')}`{name}`\n\n```python\n{code}\n```"

    def results(self, block: Block) -> str:
        """Measured results, as on the site."""
        from d2lcompanion.experiments.catalog import find
        from d2lcompanion.training.results_table import results_table

        return results_table(find(block.argument), self.language)

    def errata(self, block: Block) -> str:
        """The errata, as on the site."""
        folder = PurePosixPath(self.page.slug).parent.as_posix()
        return self.markdown(myst.parse(errata.page_text(self.language, folder, self.root)))

    def directive(self, block: Block) -> str:
        """One directive as plain Markdown."""
        handlers: dict[str, Callable[[Block], str]] = {
            "chapter-badges": lambda b: "",
            "literalinclude": self.include,
            "glue:figure": self.figure,
            "figure": self.figure,
            "quiz": self.quiz,
            "results-table": self.results,
            "errata": self.errata,
            "explorer": lambda b: f"*{self.word('explorer')}*",
            "bibliography": lambda b: self.references(),
            "solution-start": lambda b: f"**{self.word('solution')}{self.reference(b.argument)}**",
            "solution-end": lambda b: "",
            "exercise": lambda b: (
                f"**{self.titled(b, 'exercise')}**\n\n{self.markdown(b.children())}"
            ),
        }
        if block.name in handlers:
            return handlers[block.name](block)
        if block.name.startswith("prf:"):
            return self.quoted(self.titled(block, block.name[4:]), self.markdown(block.children()))
        if block.name in ("note", "tip", "warning", "important", "seealso"):
            return self.quoted(self.word(block.name), self.markdown(block.children()))
        if block.name in ("admonition", "dropdown"):
            return self.quoted(self.line(block.argument), self.markdown(block.children()))
        raise ExportError(
            f"{self.page.slug}:{block.line}: directive {block.name!r} has no plain form"
        )

    def block(self, block: Block) -> str:
        """One block as plain Markdown."""
        if block.kind == "directive":
            return self.directive(block)
        if block.kind == "fence":
            return f"```{block.name}\n{block.text}\n```"
        if block.kind == "heading":
            return f"{'#' * block.level} {self.line(block.argument)}"
        if block.kind == "target":
            return f'<a id="{block.argument}"></a>'
        if block.kind == "math":
            tag = f" \\tag{{{self.number(block.argument)}}}" if block.argument else ""
            return f"$$\n{block.text.strip()}{tag}\n$$"
        return "\n".join(map(self.line, block.body))

    def markdown(self, blocks: list[Block]) -> str:
        """Blocks as plain Markdown."""
        return "\n".join(self.block(block) for block in blocks if block.kind != "front-matter")


def collect_glued(notebook: NotebookNode) -> dict[str, dict[str, str]]:
    """What `glue` kept in the outputs: name → type → value."""
    glued: dict[str, dict[str, str]] = {}
    for cell in notebooks.code_cells(notebook):
        for output in cell.outputs:
            record = output.get("metadata", {}).get("scrapbook")
            if record:
                data = {
                    mime.removeprefix(notebooks.GLUE): value for mime, value in output.data.items()
                }
                glued[record["name"]] = data
    return glued


def visible_outputs(cell: NotebookNode) -> list[NotebookNode]:
    """Outputs that a reader sees; what `glue` kept stands in the prose."""
    return [o for o in cell.outputs if not o.get("metadata", {}).get("scrapbook")]


def installation_cell(root: Path = ROOT) -> list[NotebookNode | None]:
    """A first cell that installs the package elsewhere (Colab); none while there is no address."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    repository = config["sphinx"]["config"]["course_address"]["repository"]
    if not repository:
        return []
    line = f'%pip install --quiet "d2lcompanion[data,run,notebook] @ git+{repository}"'
    return [nbformat.v4.new_code_cell(line, id="install")]


def chapter_of(page: Page, language: str, root: Path = ROOT) -> Chapter:
    """A page with the numbers that the last build gave it."""
    names = root / WORK / "book" / language / "_build" / "numbers.json"
    known = json.loads(names.read_text(encoding="utf-8"))
    return Chapter(page, language, **known, root=root)


def markdown_cell(chapter: Chapter, source: str, index: int) -> NotebookNode | None:
    """A cell of prose in plain Markdown with its pictures; none if nothing is left."""
    chapter.attachments = {}
    text = chapter.markdown(myst.parse(source, first_line=2)).strip()
    if not text:
        return None
    cell = nbformat.v4.new_markdown_cell(text, id=f"cell-{index}")
    if chapter.attachments:
        cell.attachments = chapter.attachments
    return cell


def finished(cells: list[NotebookNode | None]) -> NotebookNode:
    """A valid notebook of those cells."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    kept = [cell for cell in cells if cell is not None]
    notebook = nbformat.v4.new_notebook(cells=kept, metadata={"kernelspec": kernel})
    nbformat.validate(notebook)
    return notebook


def convert(executed: NotebookNode, page: Page, language: str, root: Path = ROOT) -> NotebookNode:
    """An executed page of this book as a plain notebook in `language`."""
    chapter = chapter_of(page, language, root)
    chapter.glued = collect_glued(executed)
    results = iter(notebooks.code_cells(executed))
    cells = installation_cell(root)
    for index, cell in enumerate(notebooks.read(page, language, root).cells):
        if cell.cell_type != "code":
            cells.append(markdown_cell(chapter, cell.source, index))
            continue
        done = next(results)
        new = nbformat.v4.new_code_cell(
            cell.source,
            id=f"cell-{index}",
            outputs=visible_outputs(done),
            execution_count=done.execution_count,
        )
        new.metadata.update(notebooks.metadata(cell))
        cells.append(new)
    return finished(cells)


def plain_page(page: Page, language: str, root: Path = ROOT) -> NotebookNode:
    """A page without code as a notebook."""
    source = page.path(language, root).read_text(encoding="utf-8")
    return finished([markdown_cell(chapter_of(page, language, root), source, 0)])


def write(notebook: NotebookNode, path: Path, folder: Path) -> Path:
    """Write a notebook, but beside a file that its reader has changed, never over it."""
    manifest = folder / MANIFEST
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    name = path.relative_to(folder).as_posix()
    data = (nbformat.writes(notebook) + "\n").encode()
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() not in (
        known.get(name),
        hashlib.sha256(data).hexdigest(),
    ):
        path = path.with_suffix(".new.ipynb")
        print(f"{name} was changed by hand: kept; the new version is {path.name}")
    else:
        known[name] = hashlib.sha256(data).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    manifest.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return path


def export_all(root: Path = ROOT) -> Path:
    """Write every page of the current book as a notebook, in both languages; returns the folder."""
    site.build_book(root)
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    chapters = project.chapters(root)
    for page in project.pages(root):
        for language in LANGUAGES:
            path = folder / language / f"{page.slug}.ipynb"
            if page in chapters:
                notebook = convert(notebooks.executed(page, language, root), page, language, root)
            else:
                notebook = plain_page(page, language, root)
            write(notebook, path, folder)
    return folder


def run_at_scale(
    chapters: list[Page], settings: dict[str, str], root: Path = ROOT, folder: Path | None = None
) -> list[Path]:
    """Execute chapters with other settings and keep them, in both languages; asserts hold at every scale.

    The code is the same in both languages, so each chapter runs once.
    """
    site.build_book(root)
    if folder is None:
        words = [settings.get("scale", "ci"), settings.get("device", "auto")]
        folder = root / FOLDER / f"{'-'.join(words)}-seed{settings.get('seed', '0')}"
    files = []
    for page in chapters:
        notebook = notebooks.read(page, "zh", root)
        work = folder / "zh" / Path(page.slug).parent
        executed = notebooks.execute(notebook, work, root, timeout=None, **settings)
        for language in LANGUAGES:
            path = folder / language / f"{page.slug}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(convert(executed, page, language, root), path)
            files.append(path)
    return files
