"""Where gensim keeps the files that it tests itself with, known again by their bytes.

They are the data of the text chapters at the smallest scale: nothing is downloaded.
"""

from pathlib import Path

from d2lcompanion.data.carried_files import require_digest
from d2lcompanion.extras import require

# name → SHA-256, computed from the files in gensim 4.4.0's wheel
FILES = {
    "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2": (
        "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d"
    ),
    "questions-words.txt": (
        "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36"
    ),
    "simlex999.txt": (
        "d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d"
    ),
    "wordsim353.tsv": (
        "f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d"
    ),
}


def gensim_file(name: str) -> Path:
    """The path of a file that gensim carries, after a look at its bytes.

    Raises:
        ValueError: if it is none of `FILES`, or has other bytes than in gensim 4.4.0.
        FileNotFoundError: if the installed gensim does not carry it.
        ImportError: if gensim is not installed.
    """
    if name not in FILES:
        raise ValueError(f"unknown file {name!r}; known: {', '.join(FILES)}")
    gensim = require("gensim", "text")
    path = Path(str(gensim.__file__)).parent / "test" / "test_data" / name
    if not path.exists():
        raise FileNotFoundError(f"gensim {gensim.__version__} does not carry {path}")
    require_digest(path, FILES[name])
    return path
