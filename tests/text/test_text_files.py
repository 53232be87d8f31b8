"""Pieces and lines of files against the text that was written, packed or not."""

import bz2
import gzip
import lzma
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lcompanion.text.text_files import read_lines, read_pieces

CHINESE = "词嵌入把词变成向量 。\n"


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\ufeff")), st.integers(1, 9)
)
def test_pieces_of_any_size_are_the_text(tmp_path_factory, text, size):
    path = tmp_path_factory.mktemp("pieces") / "text.txt"
    for head in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(head + text.encode("utf-8"))
        assert "".join(read_pieces(path, size=size)) == text


LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff")), max_size=6)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 9))
def test_lines_of_any_end_are_the_lines(tmp_path_factory, lines, end, closed, size):
    """Also where a line holds a form feed or U+2028, at which `splitlines` cuts."""
    path = tmp_path_factory.mktemp("lines") / "text.txt"
    path.write_bytes((end.join(lines) + end * closed).encode("utf-8"))
    kept = lines if closed or (lines and lines[-1]) else lines[:-1]
    if closed and not lines:
        kept = [""]
    assert list(read_lines(path, size=size)) == kept
    assert list(read_lines(path, size=size, header_lines=1)) == kept[1:]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
def test_a_gbk_file_names_file_offset_and_byte(file, size, head):
    good = head + b"plain words\r\n"
    path = file(good + CHINESE.encode("gbk"))
    first = CHINESE.encode("gbk")[0]
    with pytest.raises(
        ValueError, match=rf"corpus\.txt: not utf-8: byte {first:#04x} at offset {len(good)} "
    ) as error:
        list(read_lines(path, size=size))
    assert "encoding='gbk'" in str(error.value)
    assert path.read_bytes()[len(good)] == first


def test_the_same_file_reads_where_its_encoding_is_named(file):
    path = file(CHINESE.encode("gbk"))
    assert list(read_lines(path, encoding="gbk", size=3)) == [CHINESE.rstrip("\n")]
    assert list(read_lines(file(CHINESE.encode("utf-16")), encoding="utf-16")) == [CHINESE[:-1]]
    with pytest.raises(ValueError, match=r"not gbk: byte 0xff at offset 2"):
        list(read_lines(file(b"a\n\xff\xff"), encoding="gbk"))
    with pytest.raises(ValueError, match="not utf-8: byte 0xff at offset 0 "):
        list(read_lines(file(CHINESE.encode("utf-16"))))
    with pytest.raises(LookupError, match="gbq"):
        list(read_lines(path, encoding="gbq"))


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_file_that_ends_within_a_character_names_its_first_byte(file, size):
    path = file("ab 词".encode()[:-1])
    with pytest.raises(ValueError, match=r"byte 0xe8 at offset 3 \(unexpected end of data\)"):
        list(read_pieces(path, size=size))


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_files_read_like_plain_ones(file, kind):
    text = CHINESE * 500
    path = file(PACKERS[kind](text.encode("utf-8")), f"corpus.txt.{kind}")
    assert "".join(read_pieces(path, size=100)) == text
    cut = file(path.read_bytes()[:-20], f"cut.txt.{kind}")
    with pytest.raises(ValueError, match=rf"cut\.txt\.{kind}: the archive is damaged"):
        list(read_pieces(cut))
    wrong = file(PACKERS[kind](text.encode("gbk")), f"gbk.txt.{kind}")
    with pytest.raises(ValueError, match=rf"gbk\.txt\.{kind}: not utf-8: byte 0xb4 at offset 0"):
        list(read_pieces(wrong))


def test_members_of_an_archive_are_read_in_place(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/a.txt", CHINESE)
        archive.writestr("../../outside.txt", "b\n")
    assert list(read_lines(path, member="folder/a.txt")) == [CHINESE[:-1]]
    assert list(read_lines(path, member="../../outside.txt")) == ["b"]
    assert list(tmp_path.parent.parent.glob("outside.txt")) == []  # nothing is unpacked
    with pytest.raises(KeyError, match=r"two\.zip: member must be named; there is: folder/a\.txt"):
        list(read_lines(path))
    with pytest.raises(KeyError, match=r"no member 'b\.txt'; there is: folder"):
        list(read_lines(path, member="b.txt"))
    with pytest.raises(ValueError, match=r"only a zip archive has members, got 'x'"):
        list(read_lines(tmp_path / "a.txt", member="x"))


def test_a_damaged_or_missing_file_is_named(file, tmp_path):
    with pytest.raises(ValueError, match=r"no\.zip: the archive is damaged"):
        list(read_lines(file(b"not an archive", "no.zip")))
    with pytest.raises(FileNotFoundError, match="absent"):
        list(read_lines(tmp_path / "absent.txt"))
    for bad in ({"size": 0}, {"header_lines": -1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            list(read_lines(file("a"), **bad))
