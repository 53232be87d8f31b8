"""How much memory a pass over a file takes, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from d2lcompanion.text.corpus import read_ptb
from d2lcompanion.text.noise import AliasSampler, noise_distribution
from d2lcompanion.text.skip_gram_data import keep_probabilities, minibatches, subsample
from d2lcompanion.text.token_stream import encode_blocks
from d2lcompanion.text.vocab import Vocab

CHILD = """
import json, sys
from pathlib import Path
from d2lcompanion.experiments.streaming_memory import *
before, _ = resident_size()
work = {"stream": stream_pass, "whole": read_whole}[sys.argv[2]]
words = work(Path(sys.argv[1]))
print(json.dumps([words, before, resident_size()[1]]))
"""


class PeakMemory(NamedTuple):
    """What one process used.

    Attributes:
        words: that it read.
        megabytes: its largest resident size, less that after the imports.
    """

    words: int
    megabytes: float


def stream_pass(path: Path, *, block: int = 200_000) -> int:
    """The whole pipeline over a file, block by block: vocabulary, then minibatches.

    Returns:
        the number of words in the file.
    """
    generator = torch.Generator().manual_seed(0)
    vocab = Vocab.from_sequences(read_ptb(path), min_count=5)
    keep = keep_probabilities(vocab.counts, 1e-4)
    noise = AliasSampler(noise_distribution(vocab.counts))
    for stream in encode_blocks(read_ptb(path), vocab, tokens=block):
        kept = subsample(stream, keep, generator)
        for _ in minibatches(
            kept, noise, max_window=5, negatives=5, batch_size=512, generator=generator
        ):
            pass
    return sum(len(sentence) for sentence in read_ptb(path))


def read_whole(path: Path) -> int:
    """What d2l does first: the file as a list of sentences of strings."""
    sentences = [line.split() for line in path.read_text(encoding="utf-8").split("\n")]
    return sum(map(len, sentences))


def resident_size() -> tuple[float, float]:
    """Resident size of this process now, and the largest so far, in MB.

    On Linux from /proc, as getrusage there counts what the parent process had, too.

    Raises:
        OSError: on Windows, which does not tell it in either way.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        now, most = (int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM"))
        return now / 1e3, most / 1e3
    if sys.platform == "win32":
        raise OSError("the peak memory of a process cannot be read here: no getrusage")
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return largest, largest


def peak_memory(path: Path, *, whole: bool = False) -> PeakMemory:
    """Run `stream_pass`, or `read_whole`, in a new process.

    Raises:
        RuntimeError: if it fails; with what it said.
    """
    command = [sys.executable, "-c", CHILD, str(path), "whole" if whole else "stream"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"the measurement of {path} failed:\n{result.stderr}")
    words, before, after = json.loads(result.stdout)
    return PeakMemory(words, after - before)
