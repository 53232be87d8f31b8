"""A file is the one that was meant, or an error names both digests."""

import hashlib

import pytest

from d2lcompanion.data.carried_files import require_digest


def test_other_bytes_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(b"other")
    with pytest.raises(
        ValueError,
        match=f"x.npy must have the SHA-256 0000; got {hashlib.sha256(b'other').hexdigest()}",
    ):
        require_digest(path, "0000")
    require_digest(path, hashlib.sha256(b"other").hexdigest())
