"""Every difference between Sampan and Debian's Docker 20.10 that is there, with its reason.

A pattern is matched (fnmatch) against the case's name and against a difference as the harness prints it: `- …` only Docker
says, `+ …` only Sampan says. A pattern that matches nothing in a whole run fails.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Known:
    """Differences of the cases `case` that look like `difference`, and why they are right or accepted."""

    case: str
    difference: str
    reason: str

    def covers(self, case: str, difference: str) -> bool:
        return fnmatchcase(case, self.case) and fnmatchcase(difference, self.difference)


KNOWN: tuple[Known, ...] = ()
