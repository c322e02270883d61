"""Steps: what `apply` takes, one after the other, and the journal of what each cost.

A step in a plan is a JSON list `[name, operand, …]`. A table maps the name to the function that does it; the function's
first line of documentation, its place in the source and its principle (one of the nine) are what a reader of
`sampan run --explain` sees.

Loaded by the launcher.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class StepFailed(Exception):
    """A step failed. `fault` is a `request.StartFault` value; `message` is meant for the user."""

    def __init__(self, fault: str, message: str, errno: int = 0, step: str = "") -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.errno = errno
        self.step = step


class Journal:
    """What was done, in order: entries of (principle, function, operands, start, end), times in ns of CLOCK_MONOTONIC."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[tuple[str, Callable[..., Any], tuple[Any, ...], int, int]] = []

    def run(self, principle: str, function: Callable[..., Any], *operands: Any) -> Any:  # noqa: ANN401
        """Do one step and note it. OSError becomes StepFailed unless the step translated it itself."""
        start = time.monotonic_ns()
        try:
            return function(*operands)
        except OSError as error:
            name = function.__name__
            raise StepFailed("other", f"{name}: {error.strerror or error}", error.errno or 0, name) from error
        finally:
            self.entries.append((principle, function, operands, start, time.monotonic_ns()))

    def rows(self) -> list[list[str | int]]:
        """The journal as JSON: principle, name, operands as text, start and duration in ns, source line."""
        return [
            [
                principle,
                function.__name__.replace("_", " "),
                ", ".join(_shown(operand) for operand in operands if not _is_plumbing(operand)),
                start,
                end - start,
                _source(function),
            ]
            for principle, function, operands, start, end in self.entries
        ]


def _is_plumbing(operand: object) -> bool:
    return not isinstance(operand, str | int | bytes | list | tuple | dict)


def _shown(operand: object) -> str:
    text = operand.decode("utf-8", "surrogateescape") if isinstance(operand, bytes) else str(operand)
    return text if len(text) <= 160 else text[:157] + "…"


def _source(function: Callable[..., Any]) -> str:
    code = function.__code__
    path = code.co_filename
    start = path.rfind("sampan/")
    return f"{path[start:] if start >= 0 else path}:{code.co_firstlineno}"
