"""Detach keys: the sequence typed into an attached terminal that leaves the container running and the program alone. Pure.

Loaded by the launcher.
"""

from __future__ import annotations

DEFAULT = b"\x10\x11"
"""ctrl-p,ctrl-q"""
_CONTROL = {
    **{chr(letter): letter - 96 for letter in range(ord("a"), ord("z") + 1)},
    "@": 0,
    "[": 27,
    "\\": 28,
    "]": 29,
    "^": 30,
    "_": 31,
}


def parse(text: str) -> bytes:
    """The bytes of `ctrl-p,ctrl-q`: ASCII characters, or ctrl- and a small letter or one of @[\\]^_. ValueError otherwise."""
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
        elif key.startswith("ctrl-") and key[5:] in _CONTROL:
            keys.append(_CONTROL[key[5:]])
        else:
            raise ValueError(f"Unknown character: '{key}'")
    return bytes(keys)


class Detector:
    """Finds the sequence in typed input, in whatever pieces it comes. Keys held back are given on when others follow."""

    __slots__ = ("_keys", "_matched", "detached")

    def __init__(self, keys: bytes) -> None:
        """Of no keys, one that passes everything."""
        self._keys = keys
        self._matched = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """What of `data` (and of what was held back) goes to the program; `detached` is set once the sequence is whole."""
        if not self._keys:
            return data
        passed = bytearray()
        for byte in data:
            if byte != self._keys[self._matched]:
                passed += self._keys[: self._matched]
                self._matched = 0
            if byte != self._keys[self._matched]:
                passed.append(byte)
                continue
            self._matched += 1
            if self._matched == len(self._keys):
                self.detached = True
                break
        return bytes(passed)
