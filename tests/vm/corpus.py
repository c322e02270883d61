"""The arguments of pytest for the security corpus on another machine: tests/security whole, and of the other lanes that need a
kernel what docs/threat-model.md names. One a line, for `tests/vm/run --corpus`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
WHOLE = ("tests/vm/test_apparmor.py", "tests/security")
LANES = ("tests/api", "tests/kernel")


def arguments() -> Iterator[str]:
    """`WHOLE`, and then each test of `LANES` that the page names, as pytest does."""
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs" / "threat-model.md").read_text()))
    yield from WHOLE
    for lane in LANES:
        for file in sorted((PROJECT / lane).rglob("test_*.py")):
            defined = (node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))
            yield from (f"{file.relative_to(PROJECT)}::{name}" for name in defined if name in named)


if __name__ == "__main__":
    sys.stdout.writelines(f"{argument}\n" for argument in arguments())
