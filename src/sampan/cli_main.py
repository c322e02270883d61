"""Entry of the command `sampan`."""

from __future__ import annotations

import os
import sys

from sampan.cli.main import run_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process and end it with the exit code.

    The interpreter's own way out (tearing modules down, 2 to 3 ms) is left out: nothing here has anything to finish but
    the two streams.
    """
    code = run_command(sys.argv[1:], os.environ)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1  # the reader has gone, or the disk behind it is full
    os._exit(code)


if __name__ == "__main__":
    main()
