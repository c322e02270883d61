"""Entry of the command `sampan`."""

from __future__ import annotations

import os
import sys

from sampan.cli.main import run_command


def main() -> int:
    """Run the command line of this process; the exit code."""
    return run_command(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())
