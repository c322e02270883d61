"""Positive controls: each weakened build of tests/security/weakenings.py makes the tests red that stand for the defence it lacks.

The tests run in a pytest of their own, against a copy of the source (SOURCE_UNDER_TEST); what they leave is theirs to clear.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import PROJECT
from tests.requires import requires
from tests.security.edits import Weakening
from tests.security.weakenings import WEAKENINGS

pytestmark = requires("root", "overlay", "busybox", "docker-client")

SECONDS = 900


def weakened(weakening: Weakening, into: Path) -> Path:
    """The source with its edits made."""
    shutil.copytree(PROJECT / "src", into / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in weakening.edits:
        file = into / "src" / "sampan" / edit.file
        text = file.read_text()
        assert text.count(edit.before) == 1, (weakening.name, edit)
        file.write_text(text.replace(edit.before, edit.after))
    return into / "src"


def nodes(names: tuple[str, ...]) -> list[str]:
    """FILE::TEST of each name."""
    found = []
    for name in names:
        (file,) = [
            path
            for room in ("security", "api")
            for path in (PROJECT / "tests" / room).glob("test_*.py")
            if f"def {name}(" in path.read_text()
        ]
        found.append(f"{file.relative_to(PROJECT)}::{name}")
    return found


@pytest.mark.parametrize("weakening", WEAKENINGS, ids=lambda weakening: weakening.name.replace(" ", "-"))
def test_goes_red(weakening: Weakening, tmp_path: Path) -> None:
    source = weakened(weakening, tmp_path)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-rfE",
                "-p",
                "no:cacheprovider",
                "--tb=short",
                *nodes(weakening.red),
            ),
            *("-o", f"pythonpath={source} {PROJECT}"),
        ],
        cwd=PROJECT,
        env={**os.environ, "SOURCE_UNDER_TEST": str(source), "PYTHONDONTWRITEBYTECODE": "1", "CI": ""},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    red = set(re.findall(r"^FAILED \S+::(test_\w+)", done.stdout, re.MULTILINE))
    # What a fixture compares at the end of a test (the canary) is told as its error.
    red |= set(re.findall(r"^ERROR \S+::(test_\w+)", done.stdout, re.MULTILINE))
    assert set(weakening.red) - red == set(), (
        f"green without the defence:\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    )
