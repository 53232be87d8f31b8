"""The vocabulary: which words a model knows, and the number of each.

Nothing is read from a file here: text is split, and files are decoded, elsewhere. A
vocabulary itself becomes bytes and comes back from them, always in UTF-8.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from d2lcompanion.text.checks import require_at_least, require_ids, require_shape

UNKNOWN = "<unk>"


class Vocab:
    """Tokens ↔ ids 0, 1, …, V − 1, with how often each token occurs.

    Where `<unk>` is among the tokens, it stands for every word that is not; without
    it, such a word is a KeyError. Tokens are compared exactly: neither case nor
    Unicode's normal form is changed.

    Attributes:
        tokens: the token of each id.
        counts: occurrences of each, [V], int64.
    """

    def __init__(self, tokens: Iterable[str], counts: Sequence[int] | Tensor) -> None:
        """A vocabulary of given tokens, as when it is read back.

        Args:
            tokens: in the order of their ids, each once.
            counts: occurrences ≥ 0, one per token.
        Raises:
            ValueError: if there is no token, one occurs twice, or a count is missing
                or negative.
        """
        _refuse_string(tokens)
        self.tokens = tuple(tokens)
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        if not self.tokens:
            raise ValueError("a vocabulary must have a token, got none")
        if len(self._ids) < len(self.tokens):
            raise ValueError(
                f"tokens must differ, got {_repeated(self.tokens)!r} twice"
            )
        given = torch.as_tensor(counts)
        require_shape("counts", given, (len(self.tokens),))
        if given.is_floating_point() or int(given.min()) < 0:
            worst = int(given.argmin())
            raise ValueError(
                f"counts must be whole numbers ≥ 0, got {given[worst].item()} "
                f"for {self.tokens[worst]!r}"
            )
        self.counts = given.to("cpu", torch.int64, copy=True)

    @classmethod
    def from_sequences(
        cls,
        sequences: Iterable[Iterable[str]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        reserved: Sequence[str] = (),
    ) -> "Vocab":
        """The vocabulary of a corpus: reserved tokens first, then words by frequency.

        Of two words with one count the one whose code points come first gets the
        smaller id, so the vocabulary does not depend on the order of the corpus. (d2l
        orders all ids by code point, whatever the counts.) The count of `<unk>` is that
        of all the words it stands for.

        Args:
            sequences: sentences, each of tokens; read once.
            min_count: a word that occurs less often is left out, ≥ 1.
            max_size: the most tokens, reserved ones included; None for no limit.
            reserved: tokens that get the ids 0, 1, … even if they never occur.
        Raises:
            ValueError: if the corpus is empty, a sentence is a string, a number is out
                of range, a reserved token occurs twice, or no word is frequent enough.
        """
        require_at_least("min_count", min_count, 1)
        if len(set(reserved)) < len(reserved):
            raise ValueError(f"reserved must differ, got {_repeated(reserved)!r} twice")
        if max_size is not None:
            require_at_least("max_size", max_size, len(reserved) + 1)
        found = _count(sequences)
        words = _by_frequency(found, min_count, skip=set(reserved))
        tokens = [*reserved, *words][:max_size]
        counts = [found[token] for token in tokens]
        if UNKNOWN in tokens:
            counts[tokens.index(UNKNOWN)] += found.total() - sum(counts)
        return cls(tokens, counts)

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str = "data") -> "Vocab":
        """The vocabulary that `to_bytes` wrote; a byte order mark before it is ignored.

        Args:
            data: UTF-8, whatever the encoding of the platform.
            source: where the bytes are from, such as a file's name, for messages.
        Raises:
            ValueError: if the bytes are not UTF-8, naming the first that is not and its
                place, or do not hold a vocabulary.
        """
        try:
            rows = json.loads(data.decode("utf-8").removeprefix("\ufeff"))
            tokens, counts = zip(*rows, strict=True)
            if {*map(type, tokens)} != {str} or {*map(type, counts)} != {int}:
                raise TypeError
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{source} must be UTF-8, got the byte 0x{error.object[error.start]:02x} "
                f"at {error.start}: decode text in another encoding, such as GB 18030, "
                f"by its name"
            ) from None
        except (ValueError, TypeError):
            raise ValueError(
                f"{source} must hold [[token, count], …] as JSON, got {data[:40]!r}"
            ) from None
        return cls(tokens, counts)

    def to_bytes(self) -> bytes:
        """The vocabulary as JSON in UTF-8, one token with its count a line.

        Raises:
            ValueError: if a token holds half of a surrogate pair, which no UTF-8 has.
        """
        rows = (
            json.dumps(row, ensure_ascii=False)
            for row in zip(self.tokens, self.counts.tolist(), strict=True)
        )
        text = "[\n" + ",\n".join(rows) + "\n]\n"
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError as error:
            token = next(t for t in self.tokens if error.object[error.start] in t)
            raise ValueError(f"token {token!r} is not valid Unicode") from None

    def __len__(self) -> int:
        """V, reserved tokens included."""
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        """Whether the token has an id of its own."""
        return token in self._ids

    def __repr__(self) -> str:
        return f"Vocab({len(self)} tokens, {int(self.counts.sum())} occurrences)"

    def id_of(self, token: str) -> int:
        """The id of a token; that of `<unk>` for an unknown one.

        Raises:
            KeyError: if the token is unknown and there is no `<unk>`.
        """
        found = self._ids.get(token, self._ids.get(UNKNOWN))
        if found is None:
            raise KeyError(
                f"{token!r} is not in the vocabulary, which has no {UNKNOWN}"
            )
        return found

    def token_of(self, number: int) -> str:
        """The token of an id.

        Raises:
            ValueError: if the id is not in [0, V).
        """
        if not 0 <= number < len(self):
            raise ValueError(f"id must be in [0, {len(self)}), got {number}")
        return self.tokens[number]

    def encode(self, tokens: Iterable[str]) -> Tensor:
        """The ids of tokens, [n], int64, on the CPU.

        Raises:
            KeyError: if a token is unknown and there is no `<unk>`.
            ValueError: if a string is given instead of tokens.
        """
        _refuse_string(tokens)
        return torch.tensor([self.id_of(token) for token in tokens], dtype=torch.int64)

    def decode(self, ids: Tensor | Sequence[int]) -> list[str]:
        """The tokens of ids [n]; unknown words that were encoded come back `<unk>`.

        Raises:
            ValueError: if ids are not [n] of whole numbers in [0, V).
        """
        numbers = torch.as_tensor(ids)
        if numbers.ndim != 1:
            raise ValueError(f"ids must be [n], got shape {list(numbers.shape)}")
        if numbers.numel() == 0:
            return []
        require_ids("ids", numbers, len(self))
        return [self.tokens[number] for number in numbers.tolist()]


# ------------------------------------------------------------------------------------- small parts


def _count(sequences: Iterable[Iterable[str]]) -> Counter[str]:
    """How often each token occurs."""
    _refuse_string(sequences)
    found: Counter[str] = Counter()
    for sequence in sequences:
        _refuse_string(sequence)
        found.update(sequence)
    if not found:
        raise ValueError("the corpus must have a token, got none")
    return found


def _by_frequency(found: Counter[str], min_count: int, skip: set[str]) -> list[str]:
    """Words that occur often enough, the most frequent first, ties by code point."""
    words = [word for word in found if found[word] >= min_count and word not in skip]
    if not words:
        word, count = max(found.items(), key=lambda item: item[1])
        raise ValueError(
            f"a word must occur min_count = {min_count} times and not be reserved; "
            f"none does: the most frequent, {word!r}, occurs {count} times"
        )
    return sorted(words, key=lambda word: (-found[word], word))


def _refuse_string(tokens: object) -> None:
    """A string is a sequence of strings, too: of characters, which is seldom meant."""
    if isinstance(tokens, str):
        raise ValueError(
            f"tokens must be a sequence of strings, got the string {tokens[:40]!r}: "
            f"split it, or take list() of it for characters"
        )


def _repeated(tokens: Sequence[str]) -> str:
    return next(token for token, count in Counter(tokens).items() if count > 1)
