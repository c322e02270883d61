"""Wildcards matched in linear time: a set of states is carried over the text, so that no pattern is a catastrophe.

A pattern is a row of steps. The states are the bits of one number: bit i says that the steps before i have been passed.
"""

from collections.abc import Callable
from dataclasses import dataclass

Accepts = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """`accepts`: which character passes the step. `repeats`: any number of them, none included.

    `optional`: passed by no character; it and the two steps behind it may be left out together.
    """

    accepts: Accepts
    repeats: bool = False
    optional: bool = False


def literal(char: str) -> Step:
    """Exactly `char`."""
    return Step(lambda other: other == char)


class Wildcard:
    """A compiled row of steps. Time: characters times steps, sixty-four steps at once."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._final = 1 << len(steps)
        self._skips = sum(1 << index for index, step in enumerate(steps) if step.repeats)
        self._optional = sum(1 << index for index, step in enumerate(steps) if step.optional)
        self._masks: dict[str, tuple[int, int]] = {}
        self._start = self._closure(1)

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` fits."""
        states = self._start
        for char in text:
            states = self._step(states, char)
            if not states:
                return False
        return bool(states & self._final)

    def end(self, text: str, start: int = 0, longest: bool = True) -> int | None:
        """Where the longest or shortest match that starts at `start` ends; None where none starts."""
        states, found = self._start, None
        for index in range(start, len(text) + 1):
            if states & self._final:
                found = index
                if not longest:
                    return found
            if not states or index == len(text):
                return found
            states = self._step(states, text[index])
        return found

    def ends(self, text: str) -> bytearray:
        """For every place in `text` 1 if a match that starts anywhere ends there."""
        found = bytearray(len(text) + 1)
        states = self._start
        for index, char in enumerate(text):
            found[index] = bool(states & self._final)
            states = self._step(states, char) | self._start
        found[len(text)] = bool(states & self._final)
        return found

    def _step(self, states: int, char: str) -> int:
        masks = self._masks.get(char)
        if masks is None:
            masks = self._masks[char] = self._mask(char)
        stays, passes = masks
        return self._closure((states & stays) | ((states & passes) << 1))

    def _mask(self, char: str) -> tuple[int, int]:
        stays = passes = 0
        for index, step in enumerate(self._steps):
            if step.accepts(char):
                if step.repeats:
                    stays |= 1 << index
                elif not step.optional:
                    passes |= 1 << index
        return stays, passes

    def _closure(self, states: int) -> int:
        while True:
            entered = states & self._optional
            more = states | ((states & self._skips) << 1) | (entered << 1) | (entered << 3)
            if more == states:
                return states
            states = more
