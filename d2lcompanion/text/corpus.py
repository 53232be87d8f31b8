"""Text files as streams of sentences: nothing is held but a piece of the file.

Every function reads UTF-8 unless told otherwise, on every operating system; a byte-order
mark and CRLF leave no trace. Files that end in .gz, .bz2, .xz or .zip are unpacked while
they are read, and no archive is ever unpacked onto the disk.
"""

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from d2lcompanion.text.checks import require_at_least

PIECE = 1 << 20  # bytes read at a time
OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)

# ----------------------------------------------------------------------------------- bytes to text


def read_pieces(
    path: Path | str,
    *,
    encoding: str = "utf-8",
    member: str | None = None,
    size: int = PIECE,
) -> Iterator[str]:
    """The text of a file in pieces that end anywhere, each from at most `size` bytes.

    A character is never cut, and a byte-order mark at the start is no character.

    Args:
        path: a text file, or one packed by gzip, bzip2, xz or zip.
        encoding: as Python names it. Nothing is guessed.
        member: the file inside a zip archive; may be left out where there is only one.
        size: bytes read at a time, ≥ 1.
    Raises:
        FileNotFoundError: if there is no such file.
        KeyError: if the archive has no such member; lists those it has.
        ValueError: if bytes are not text in that encoding: names the file, the offset
            of the first bad byte in the unpacked text, counted from 0, and the byte;
            or if the archive is damaged.
        LookupError: if Python has no such encoding.
    """
    require_at_least("size", size, 1)
    codec = codecs.lookup(encoding)
    name = "utf-8-sig" if codec.name == "utf-8" else codec.name
    decoder, seen = codecs.getincrementaldecoder(name)(), 0
    with _open_bytes(Path(path), member) as stream:
        data = b"more"
        while data:
            data = stream.read(size)
            seen += len(data)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise _not_in_encoding(path, encoding, seen, error) from error
            if text:
                yield text


def read_lines(
    path: Path | str,
    *,
    encoding: str = "utf-8",
    member: str | None = None,
    header_lines: int = 0,
    size: int = PIECE,
) -> Iterator[str]:
    """The lines of a file without their ends, LF or CRLF; one line is held at a time.

    Unlike `str.splitlines`, nothing else ends a line: a form feed or U+2028 inside a
    sentence stays in it. An end after the last line makes no empty line.

    Args:
        path, encoding, member, size: as in `read_pieces`.
        header_lines: so many lines at the top are left out, ≥ 0.
    Raises:
        as there.
    """
    require_at_least("header_lines", header_lines, 0)
    rest, skip = "", header_lines
    for piece in read_pieces(path, encoding=encoding, member=member, size=size):
        *whole, rest = _joined(rest, piece, "\n")
        for line in whole:
            if skip:
                skip -= 1
                continue
            yield line.removesuffix("\r")
    if rest and not skip:
        yield rest.removesuffix("\r")


# -------------------------------------------------------------------------------- published formats


def read_ptb(path: Path | str, **options: Any) -> Iterator[list[str]]:
    """Penn Treebank as Mikolov prepared it: a sentence a line, words between blanks.

    Its training part has 42,068 sentences. Splitting the text at line ends and keeping
    what follows the last one, as d2l does, counts one more, which is empty.

    Args:
        path: `ptb.train.txt`, or `ptb.zip` with member="ptb/ptb.train.txt".
        options: as in `read_lines`.
    """
    for line in read_lines(path, **options):
        if words := line.split():
            yield words


def read_text8(
    path: Path | str, *, words: int = 1000, **options: Any
) -> Iterator[list[str]]:
    """A text without lines, such as text8 with its 100 MB, in runs of so many words.

    A word is never cut, wherever pieces of the file end; a run is not a sentence, and a
    window that ends with it loses a few pairs. word2vec's C program cuts runs of 1,000
    words, gensim of 10,000.

    Args:
        path: `text8`, or `text8.zip`; any text whose words stand between blanks.
        words: in a run, ≥ 1; the last one may be shorter.
        options: as in `read_pieces`.
    Raises:
        as there.
    """
    require_at_least("words", words, 1)
    rest, run = "", []
    for piece in read_pieces(path, **options):
        text = rest + piece
        found = text.split()
        # the last word may go on in the next piece, unless a blank ends it
        rest = found.pop() if found and not text[-1].isspace() else ""
        run += found
        while len(run) >= words:
            yield run[:words]
            run = run[words:]
    if rest:
        run.append(rest)
    while run:
        yield run[:words]
        run = run[words:]


def read_wikitext(
    path: Path | str, *, headings: bool = False, **options: Any
) -> Iterator[list[str]]:
    """WikiText-2 or -103: a paragraph a line, words between blanks, case as it is.

    Empty lines are left out. So is a first line of one word, such as `text`: the name
    of a column, in copies that were tables once.

    Args:
        path: `wiki.train.tokens`, or an archive with its member.
        headings: keep lines such as `= = Early life = =`.
        options: as in `read_lines`.
    """
    for number, line in enumerate(read_lines(path, **options)):
        words = line.split()
        if not words or (number == 0 and len(words) == 1):
            continue
        if headings or not _is_heading(words):
            yield words


def split_sentences(paragraphs: Iterable[list[str]]) -> Iterator[list[str]]:
    """d2l's sentences of WikiText: lower case, cut after each full stop but the last.

    A paragraph without a full stop is left out. The full stop itself belongs to no
    sentence, except the last of a paragraph. This is how the vocabulary of WikiText-2
    has 20,256 words (5 occurrences or more, 5 reserved tokens included).

    Args:
        paragraphs: as from `read_wikitext`; d2l takes headings, too, and the few that
            have a full stop count.
    Source:
        Zhang et al., *Dive into Deep Learning* (d2l), §15.9, `_read_wiki`.
    """
    for words in paragraphs:
        if "." not in words:
            continue
        sentence: list[str] = []
        for position, word in enumerate(words):
            if word == "." and sentence and position < len(words) - 1:
                yield sentence
                sentence = []
            else:
                sentence.append(word.lower())
        yield sentence


# ------------------------------------------------------------------------------------- small parts


def _is_heading(words: list[str]) -> bool:
    """`= Title =`, `= = Section = =` …"""
    return len(words) > 2 and words[0] == words[-1] == "="


def _joined(rest: str, piece: str, end: str) -> list[str]:
    """Split the piece, with what is left of the piece before it."""
    parts = piece.split(end)
    parts[0] = rest + parts[0]
    return parts


@contextmanager
def _open_bytes(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked.

    Raises:
        as `read_pieces`.
    """
    kind = path.suffix.lower()
    if member is not None and kind != ".zip":
        raise ValueError(f"{path}: only a zip archive has members, got {member!r}")
    try:
        with ExitStack() as stack:
            if kind == ".zip":
                archive = stack.enter_context(zipfile.ZipFile(path))
                stream = archive.open(_member(path, archive, member))
            else:
                stream = OPENERS.get(kind, open)(path, "rb")
            yield stack.enter_context(stream)
    except DAMAGED as error:
        raise ValueError(f"{path}: the archive is damaged: {error}") from error


def _member(path: Path, archive: zipfile.ZipFile, member: str | None) -> str:
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    if member is None and len(names) == 1:
        return names[0]
    if member not in names:
        asked = "member must be named" if member is None else f"no member {member!r}"
        raise KeyError(f"{path}: {asked}; there is: {', '.join(names) or 'none'}")
    return member


def _not_in_encoding(
    path: Path | str, encoding: str, seen: int, error: UnicodeDecodeError
) -> ValueError:
    """The error that names file, offset and byte; the decoder holds the last bytes seen."""
    offset = seen - len(error.object) + error.start
    byte = error.object[error.start]
    return ValueError(
        f"{path}: not {encoding}: byte {byte:#04x} at offset {offset} ({error.reason}); "
        f"if the file has another encoding, name it, as in encoding='gbk'"
    )
