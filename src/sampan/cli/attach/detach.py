"""Detach keys: the sequence typed into an attached terminal that leaves the container running and the program alone."""

from __future__ import annotations

DEFAULT_KEYS = "ctrl-p,ctrl-q"
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str) -> bytes:
    """The bytes of "ctrl-p,ctrl-q": single characters, or ctrl- and a letter or one of @[\\]^_. ValueError otherwise."""
    found = bytearray()
    for key in text.split(","):
        if len(key) == 1:
            found += key.encode("latin-1", "replace")
            continue
        letter = key[5:].lower() if key.startswith("ctrl-") else ""
        if len(letter) == 1 and "a" <= letter <= "z":
            found.append(ord(letter) - 96)
        elif letter in _CONTROL:
            found.append(_CONTROL[letter])
        else:
            raise ValueError(f"invalid detach keys ({text}): Unknown character: '{key}'")
    return bytes(found)


class DetachDetector:
    """Finds the sequence in typed input, in whatever pieces it comes. Keys held back are given on when others follow."""

    __slots__ = ("_keys", "_matched", "detached")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """What of `data` (and of what was held back) goes to the program; `detached` is set once the sequence is whole."""
        if not self._keys:
            return data
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self.detached = True
                    return bytes(passed)
                continue
            passed += self._keys[: self._matched]
            self._matched = 0
            if byte == self._keys[0]:
                self._matched = 1
            else:
                passed.append(byte)
        return bytes(passed)
