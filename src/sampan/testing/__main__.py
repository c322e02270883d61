"""`python -m sampan.testing NAME …`: the suites of installed drivers. Ends with 1 where a test failed, 2 where none is."""

import sys

from sampan.drivers.groups import GROUPS
from sampan.testing.running import run, suites


def main() -> None:
    """Print a line for each test, and what was wrong."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m sampan.testing NAME …\nexample: python -m sampan.testing shelf")
    failed = 0
    for name in sys.argv[1:]:
        found = suites(name)
        if not found:
            print(
                f'no installed package declares a driver "{name}" (entry points {", ".join(GROUPS)})', file=sys.stderr
            )
            sys.exit(2)
        for suite in found:
            for test, fault in run(suite):
                print(f"{'FAIL' if fault else 'ok  '}  {name}: {suite.kind}: {test}")
                if fault:
                    print(fault)
                failed += bool(fault)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
