"""Which of many lines a text may match: one look-up a word of the text, not one search a phrase.

A phrase is filed under the rarest of its words: whole where its end stands in the phrase as well, else by
its first letters, for endings may differ. Promises: the work is bounded by the text's length and
by the lines that share a word with it, so a longer table hardly costs more. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from queueapp.mail.patterns import WORD, Pattern

_LENGTHS = (4, 3)


class Index:
    """The phrases of lines, in their order."""

    def __init__(self, lines: tuple[Pattern, ...]) -> None:
        self._phrases = [
            (line, tuple(phrase.split("*")) if phrase else ())
            for line in lines
            for phrase in (line.phrases or ("",))
        ]
        keys = [_keys_of(parts) for _, parts in self._phrases]
        n_uses = Counter(key for several in keys for key in several)
        self._always: list[int] = []
        self._whole: dict[str, list[int]] = {}
        self._beginnings: dict[int, dict[str, list[int]]] = {length: {} for length in _LENGTHS}
        for place, several in enumerate(keys):
            if not several:
                self._always.append(place)
                continue
            length, word = min(sorted(several), key=n_uses.__getitem__)
            filed = self._beginnings[length] if length else self._whole
            filed.setdefault(word, []).append(place)

    def matching(self, text: str) -> Iterator[Pattern]:
        """The lines with a phrase in the text (lower case), in their order; some more than once."""
        words = set(WORD.findall(text))
        places = list(self._always)
        for word in self._whole.keys() & words:
            places += self._whole[word]
        for length, filed in self._beginnings.items():
            for word in filed.keys() & {word[:length] for word in words}:
                places += filed[word]
        places.sort()
        for place in places:
            line, parts = self._phrases[place]
            if _follows(text, parts):
                yield line


def _follows(text: str, parts: tuple[str, ...]) -> bool:
    """Whether the parts occur in order. The earliest place of each is always the best one: linear time."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _keys_of(parts: tuple[str, ...]) -> set[tuple[int, str]]:
    """What a text must have that holds the phrase: (0, a whole word) or (n, the first n letters of one)."""
    keys = set()
    for part in parts:
        for found in WORD.finditer(part):
            word = found.group()
            length = 0 if found.end() < len(part) else min(len(word), max(_LENGTHS))
            keys.add((length, word[:length] if length else word))
    return keys
