"""What a weakened build is: edits of a copy of the source, and the tests that must then be red."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """In `file` below src/sampan, the one place that reads `before` becomes `after`."""

    file: str
    before: str
    after: str


@dataclass(frozen=True)
class Weakening:
    """`red`: tests (function names below tests/security and tests/api) of which at least one case must fail each."""

    name: str
    edits: tuple[Edit, ...]
    red: tuple[str, ...]


def weak(name: str, red: str, *edits: tuple[str, str, str]) -> Weakening:
    """One build; the names in `red` are separated by blanks."""
    return Weakening(name, tuple(Edit(*edit) for edit in edits), tuple(red.split()))
