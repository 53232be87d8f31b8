"""Compare outputs: text exactly, numbers exactly unless the cell states a tolerance and its reason.

Numbers kept by `glue` are compared to six significant digits, more than any page shows of them.
A cell whose printed numbers vary between machines says so in its header:

    ---
    tags: [rtol=1e-6]
    rtol-reason: the sum's order depends on the BLAS kernel
    ---
"""

from __future__ import annotations

import math
import re

from nbformat import NotebookNode

from book._tools import notebooks

MAXIMUM = 0.05
NUMBER = re.compile(
    r"(?<![\w.])[-+−]?(?:\d+(?:_\d{3})*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])|(?<!\w)[-+]?(?:nan|inf)(?!\w)"
)


def of_cell(cell: NotebookNode) -> float:
    """The relative tolerance that a cell states; 0 without one.

    Raises:
        ValueError: for several tolerances, one above 5 %, or one without a reason.
    """
    stated = [tag for tag in cell.metadata.get("tags", []) if tag.startswith("rtol")]
    reason = str(cell.metadata.get("rtol-reason", "")).strip()
    if not stated:
        if reason:
            raise ValueError("rtol-reason without a tag rtol=...")
        return 0.0
    match = re.fullmatch(r"rtol=([0-9.]+(?:e-?\d+)?)", stated[0])
    if len(stated) > 1 or match is None:
        raise ValueError(f"one tag rtol=NUMBER is allowed, got {stated}")
    value = float(match[1])
    if not 0 < value <= MAXIMUM:
        raise ValueError(f"rtol must lie in (0, {MAXIMUM}], got {value}")
    if not reason:
        raise ValueError(f"{stated[0]} needs rtol-reason: why do these numbers vary?")
    return value


def split(text: str) -> tuple[list[str], list[str]]:
    """(the text around the numbers, the numbers)."""
    return NUMBER.split(text), NUMBER.findall(text)


def numbers_equal(new: str, old: str, rtol: float) -> bool:
    """Whether two printed numbers agree; nan agrees with nothing, not even with itself."""
    a, b = (float(number.replace("−", "-").replace("_", "")) for number in (new, old))
    if math.isnan(a) or math.isnan(b):
        return False
    return new == old if rtol == 0 else math.isclose(a, b, rel_tol=rtol)


def text_difference(new: str, old: str, rtol: float) -> str:
    """What differs between two texts, in one line; empty if nothing does."""
    (new_text, new_numbers), (old_text, old_numbers) = split(new), split(old)
    if new_text != old_text:
        pairs = zip(new.splitlines(), old.splitlines(), strict=False)
        line = next(
            ((n, o) for n, o in pairs if n != o),
            (f"{len(new.splitlines())} lines", f"{len(old.splitlines())} lines"),
        )
        return f"text: got {line[0]!r}, reference has {line[1]!r}"
    for a, b in zip(new_numbers, old_numbers, strict=True):
        if not numbers_equal(a, b, rtol):
            return f"number: got {a}, reference has {b}" + (f" (rtol={rtol})" if rtol else "")
    return ""


def output_difference(new: NotebookNode, old: NotebookNode, rtol: float) -> str:
    """What differs between two outputs that `notebooks.text_outputs` made."""
    if new.output_type != old.output_type:
        return f"kind: got {new.output_type}, reference has {old.output_type}"
    if new.output_type == "stream":
        if new.name != old.name:
            return f"stream: got {new.name}, reference has {old.name}"
        return text_difference(new.text, old.text, rtol)
    if new.output_type == "error":
        return text_difference(f"{new.ename}: {new.evalue}", f"{old.ename}: {old.evalue}", rtol)
    if set(new.data) != set(old.data):
        return f"types: got {sorted(new.data)}, reference has {sorted(old.data)}"
    for mime, value in new.data.items():
        found = text_difference(str(value), str(old.data[mime]), rtol)
        if found:
            return f"{mime}: {found}"
    return ""


def cell_difference(executed: NotebookNode, reference: NotebookNode, rtol: float) -> str:
    """What differs between a cell's outputs and its reference, in order; empty if nothing does."""
    new, old = notebooks.text_outputs(executed), notebooks.text_outputs(reference)
    for number, (a, b) in enumerate(zip(new, old, strict=False)):
        found = output_difference(a, b, rtol)
        if found:
            return f"output {number}: {found}"
    if len(new) != len(old):
        verb, longer = ("unexpected", new) if len(new) > len(old) else ("missing", old)
        extra = longer[min(len(new), len(old)) :]
        return f"{verb} output: {notebooks.flat_text(extra)[:200]!r}"
    return ""
