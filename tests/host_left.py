"""Whether the root lanes left the host as it was: no mount, group, interface, rule or namespace more than before.

    python -m tests.host_left note FILE       write down what is there
    python -m tests.host_left compare FILE    exit with 1, and a list, where there is more than was written down

For a machine on which nothing else runs; `./check all` asks it where CI is set.
"""

import json
import sys
from pathlib import Path

from tests import leaks


def main(action: str, file: str) -> int:
    """`action` is `note` or `compare`; returns the exit code."""
    if action == "note":
        Path(file).write_text(json.dumps(sorted(leaks.everything().things)))
        return 0
    before = leaks.Snapshot(frozenset(json.loads(Path(file).read_text())))
    left = leaks.settled(leaks.everything, before)
    if left:
        print("\n".join(["left on the host by the whole run:", *left]))
    return int(bool(left))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
