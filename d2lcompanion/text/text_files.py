"""Bytes of a file to text, piece by piece or line by line, packed or not.

UTF-8 unless told otherwise, on every operating system; a byte-order mark and CRLF leave
no trace. Files that end in .gz, .bz2, .xz or .zip are unpacked while they are read, and
no archive is ever unpacked onto the disk.
"""

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
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
