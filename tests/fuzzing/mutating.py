"""Bytes that are nearly right: seeds, changed a little, again and again; what reaches new lines of the engine is a seed, too.

Coverage is looked at in one case of SAMPLED, and in one of RARELY once a run is long, because `sys.settrace` makes a case ten
to seventy times as slow and what is easy to reach has been reached by then.
"""

import json
import random
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

SAMPLED = 40
RARELY = 400
LONG = 20_000
"""Cases after which a run is long."""
LONGEST = 4096
"""Bytes of a case: most parsers do nothing else with more, and a case stays short."""
NUMBERS = (b"0", b"-1", b"255", b"65536", b"4294967296", b"9223372036854775807", b"1e400", b"0" * 40, b"9" * 5000)
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**64,
    0.5,
    "",
    "a",
    "/",
    "\0",
    "x" * 300,
    [],
    [None],
    {},
    {"": None},
)
"""What takes the place of a member of a document."""
ODD = (b"\0", b"\xff", b"\r\n", b"\n", b"..", b"/", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"[" * 2000, b'{"a":' * 600)


class Mutator:
    """Cases for one parser. `tokens`: words of its language. The same `seed` gives the same cases.

    `longest`: bytes of a case. `documents`: every other case is changed as a JSON document, and is one afterwards.
    """

    def __init__(
        self,
        seeds: Sequence[bytes],
        tokens: Sequence[bytes],
        seed: int,
        longest: int = LONGEST,
        documents: bool = False,
    ) -> None:
        self.pool = list(seeds)
        self._tokens = (*tokens, *NUMBERS, *ODD)
        self._random = random.Random(seed)
        self._longest = longest
        self._documents = documents

    def next(self) -> bytes:
        """One case: a seed with one to five changes."""
        random_, pool = self._random.random, self.pool
        if self._documents and random_() < 0.5 and (case := self._document()):
            return case
        # The shorter of two: long ones (nesting without end, for one) take a hundred times as long and tell little.
        data = bytearray(min(pool[int(random_() * len(pool))], pool[int(random_() * len(pool))], key=len))
        for _ in range(1 + int(random_() * random_() * 5)):
            self._change(data)
        return bytes(data[: self._longest])

    def _document(self) -> bytes:
        """A seed that is a document with one to three members changed; empty where the seed is none, or it became too long."""
        random_ = self._random.random
        try:
            document = json.loads(self.pool[int(random_() * len(self.pool))])
            for _ in range(1 + int(random_() * 3)):
                self._change_member(document)
            case = json.dumps(document).encode()
        except (ValueError, RecursionError):
            return b""
        return case if len(case) <= self._longest else b""

    def _change_member(self, document: Any) -> None:
        """Somewhere in the tree a value becomes another, goes, comes twice or moves to another name."""
        random_ = self._random.random
        place = document
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key: Any = keys[int(random_() * len(keys))]
            inner = place[key]
            if isinstance(inner, dict | list) and inner and random_() < 0.8:
                place = inner
                continue
            kind = int(random_() * 6)
            if kind == 0:
                del place[key]
            elif kind == 1 and isinstance(place, list):
                place.insert(key, inner)
            elif kind == 1 and isinstance(place, dict):
                place[str(key).swapcase()] = inner
            elif kind == 2 and isinstance(inner, str):
                word = self._tokens[int(random_() * len(self._tokens))].decode("utf-8", "replace")
                at = int(random_() * (len(inner) + 1))
                place[key] = inner[:at] + word + inner[at:]
            elif kind == 3:
                place[key] = [inner]
            else:
                place[key] = VALUES[int(random_() * len(VALUES))]
            return

    def _change(self, data: bytearray) -> None:
        random_, size = self._random.random, len(data)
        place = int(random_() * (size + 1))
        kind = int(random_() * 8)
        if kind == 0 and place < size:
            data[place] ^= 1 << int(random_() * 8)
        elif kind == 1 and place < size:
            data[place] = int(random_() * 256)
        elif kind == 2:
            del data[place : place + 1 + int(random_() * random_() * size)]
        elif kind == 3:
            data[place:place] = data[place : place + 1 + int(random_() * 32)]
        elif kind == 4:
            other = self.pool[int(random_() * len(self.pool))]
            start = int(random_() * (len(other) + 1))
            data[place : place + int(random_() * 32)] = other[start : start + 1 + int(random_() * 64)]
        elif kind == 5:
            del data[place:]
        else:
            token = self._tokens[int(random_() * len(self._tokens))]
            data[place : place + (len(token) if kind == 6 else 0)] = token


class Coverage:
    """Lines of the engine that were reached, over all sampled cases."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._seen: set[tuple[CodeType, int]] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def watch(self, call: Callable[[], object]) -> None:
        """Call it, and take note of the lines that it reaches."""
        seen, package = self._seen, self._package

        def lines(frame: FrameType, event: str, _: Any) -> Any:
            seen.add((frame.f_code, frame.f_lineno))
            return lines

        def calls(frame: FrameType, event: str, _: Any) -> Any:
            return lines if package in frame.f_code.co_filename else None

        sys.settrace(calls)
        try:
            call()
        finally:
            sys.settrace(None)
