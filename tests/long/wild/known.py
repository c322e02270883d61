"""Where an image of Sampan's is not as Docker's builders make it, and why. docs/build.md has the same table."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A difference: `line` fits it whole, `cases` and `witnesses` say where (empty: everywhere), `text` why."""

    line: str
    text: str
    cases: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()


KNOWN: tuple[Known, ...] = ()


def unexplained(case: str, witness: str, lines: list[str], used: set[str]) -> list[str]:
    """The lines that no known difference fits; those that do are added to `used`."""
    left = []
    for line in lines:
        reason = next(
            (
                known.text
                for known in KNOWN
                if (not known.cases or case in known.cases)
                and (not known.witnesses or witness in known.witnesses)
                and re.fullmatch(known.line, line, re.DOTALL)
            ),
            None,
        )
        if reason is None:
            left.append(line)
        else:
            used.add(reason)
    return left
