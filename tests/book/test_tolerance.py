"""The layer over nbval: exact text, numbers within a stated tolerance, nan equal to nothing."""

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book._tools import tolerance


def cell(*outputs, tags=(), reason=None):
    made = nbformat.v4.new_code_cell("x", outputs=list(outputs))
    made.metadata["tags"] = list(tags)
    if reason is not None:
        made.metadata["rtol-reason"] = reason
    return made


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def display(**data):
    return nbformat.v4.new_output(
        "display_data", data={k.replace("_", "/", 1): v for k, v in data.items()}
    )


@pytest.mark.parametrize(
    ("new", "old", "rtol", "equal"),
    [
        ("loss 0.241", "loss 0.241", 0.0, True),
        ("loss 0.241", "loss 0.242", 0.0, False),
        ("loss 0.2410", "loss 0.241", 0.0, False),  # exact means: the same characters
        ("loss 0.241", "loss 0.242", 0.01, True),
        ("loss 0.241", "loss 0.242", 0.001, False),
        ("gain 0.241", "loss 0.241", 0.05, False),  # text is exact at any tolerance
        ("a 1 b", "a 1 b 2", 0.05, False),
        ("-0.5", "0.5", 0.05, False),
        ("−0.5", "-0.5", 0.05, True),
        ("nan", "nan", 0.0, False),
        ("nan", "nan", 0.05, False),
        ("inf", "inf", 0.0, True),
        ("1e-3", "0.001", 0.01, True),
        ("tensor([1.0, 2.0])", "tensor([1.0, 2.1])", 0.0, False),
        ("x1 = 3", "x2 = 3", 0.05, False),  # a digit of a name is text
        ("1,2", "1,2", 0.0, True),
        ("nanometre", "nanometre", 0.0, True),
    ],
)
def test_text_difference(new, old, rtol, equal):
    assert (tolerance.text_difference(new, old, rtol) == "") is equal


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32), st.sampled_from([1e-6, 1e-3, 0.05])
)
def test_a_number_agrees_with_itself_and_not_with_one_outside_the_tolerance(x, rtol):
    assert tolerance.text_difference(f"v {x!r}", f"v {x!r}", rtol) == ""
    if abs(x) > 1e-30:
        assert tolerance.text_difference(f"v {x * (1 + 3 * rtol)!r}", f"v {x!r}", rtol) != ""


@pytest.mark.parametrize(
    ("tags", "reason", "message"),
    [
        (["rtol=0.06"], "r", "0.05"),
        (["rtol=0"], "r", "rtol"),
        (["rtol=1e-3"], None, "rtol-reason"),
        (["rtol=1e-3"], "  ", "rtol-reason"),
        (["rtol=1e-3", "rtol=1e-2"], "r", "one tag"),
        (["rtol:1e-3"], "r", "one tag"),
        ([], "r", "without a tag"),
    ],
)
def test_a_wrong_tolerance_is_refused(tags, reason, message):
    with pytest.raises(ValueError, match=message):
        tolerance.of_cell(cell(tags=tags, reason=reason))


def test_a_stated_tolerance():
    assert tolerance.of_cell(cell()) == 0.0
    assert tolerance.of_cell(cell(tags=["rtol=1e-3", "hide-input"], reason="sums")) == 1e-3


def glued(value):
    data = {"application/papermill.record/text/plain": value}
    return nbformat.v4.new_output("display_data", data=data, metadata={"scrapbook": {"name": "x"}})


@pytest.mark.parametrize(
    ("new", "old", "equal"),
    [
        ("51.281986383929556", "51.28198638392957", True),
        ("51.2819", "51.2820", False),
        ("1.2332213319566285e+20", "1.233221331956638e+20", True),
        ("-0.5", "0.5", False),
        ("nan", "nan", False),
        ("'a 1.23456789'", "'a 1.23456788'", False),  # a string is text
    ],
)
def test_glued_numbers_agree_to_six_digits(new, old, equal):
    assert (tolerance.cell_difference(cell(glued(new)), cell(glued(old)), 0.0) == "") is equal


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        ([stream("a\n"), stream("b\n")], [stream("a\nb\n")], ""),  # streams are merged
        ([stream("a")], [stream("a", "stderr")], "stream"),
        ([stream("a")], [], "unexpected"),
        ([], [stream("a")], "missing"),
        ([display(text_plain="1")], [stream("1")], "kind"),
        ([display(text_plain="1", image_png="AAAA")], [display(text_plain="1")], ""),  # pictures: by fingerprint
        ([display(text_plain="1", text_html="<b>9</b>")], [display(text_plain="1")], ""),
        ([display(text_plain="1", text_markdown="x")], [display(text_plain="1")], "types"),
        ([display(text_plain="1"), display(text_plain="2")], [display(text_plain="2"), display(text_plain="1")], "number"),
    ],
)  # fmt: skip
def test_cell_difference(new, old, found):
    difference = tolerance.cell_difference(cell(*new), cell(*old), 0.0)
    assert (found in difference) if found else difference == ""
