"""Test suites of other projects, fetched when they are run: their sources into `.build/suites`, their needs into a venv there.

Nothing of them is committed. `SUITE_<NAME>` in the environment names a git repository to take the sources from instead of the
project's own (a mirror, where there is no internet).
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.daemons import PROJECT, scrubbed_environment

SUITES = PROJECT / ".build" / "suites"


@dataclass(frozen=True)
class Suite:
    """A project's repository at a revision, and what pip must install beside it."""

    name: str
    repository: str
    revision: str
    requirements: tuple[str, ...]

    @property
    def sources(self) -> Path:
        return SUITES / self.name / "sources"

    @property
    def python(self) -> Path:
        return SUITES / self.name / "venv" / "bin" / "python"

    def fetch(self) -> None:
        """Make sources and environment, where they are not there yet."""
        stamp = SUITES / self.name / "stamp"
        wanted = repr(self)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.parent.mkdir(parents=True, exist_ok=True)
        origin = os.environ.get("SUITE_" + self.name.upper(), self.repository)
        subprocess.run(["rm", "-rf", self.sources], check=True)
        subprocess.run(
            ["git", "-c", "advice.detachedHead=false", "clone", "-q", "-b", self.revision, origin, self.sources],
            check=True,
        )
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.python.parents[1]], check=True)
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-q"]
        subprocess.run([*pip, *self.requirements], check=True)
        stamp.write_text(wanted)

    def run(self, test: str, work: Path, host: str, **environment: str) -> "Ran":
        """Run a module of tests in a process of its own."""
        report = work / "report.xml"
        command = [
            str(self.python),
            "-m",
            "pytest",
            "-q",
            "--timeout=120",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
        ]
        done = subprocess.run(
            [*command, test],
            cwd=self.sources,
            env={**scrubbed_environment(), "PYTHONPATH": "", "HOME": str(work), "DOCKER_HOST": host, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
        return _read(report)


@dataclass(frozen=True)
class Ran:
    """What became of a module's tests. `failed` by `module::class::test`, with the last line of why."""

    passed: int
    failed: dict[str, str]


@dataclass(frozen=True)
class Expected:
    """Tests (a pattern of `module::class::test`) that fail, and the cause. `always` is False for what depends on the machine."""

    pattern: str
    cause: str
    always: bool = True


def judge(failed: dict[str, str], expected: tuple[Expected, ...]) -> list[str]:
    """What is wrong: failures that nobody expects, and expectations that nothing fails."""
    unexpected = [f"{test}: {why}" for test, why in failed.items() if not any(_meets(one, test) for one in expected)]
    mended = [
        f"nothing fails any more: {one}"
        for one in expected
        if one.always and not any(_meets(one, test) for test in failed)
    ]
    return [*unexpected, *mended]


def _meets(expected: Expected, test: str) -> bool:
    return fnmatchcase(test, expected.pattern)


def _read(report: Path) -> Ran:
    found = {}
    passed = 0
    for case in ET.parse(report).iter("testcase"):
        passed += all(case.find(kind) is None for kind in ("failure", "error", "skipped"))
        for kind in ("failure", "error"):
            if (trouble := case.find(kind)) is not None:
                place = case.get("classname", "").split(".")
                module = next(at for at, part in enumerate(place) if "test_" in part or part.endswith("_test"))
                why = (trouble.get("message") or "").strip().splitlines()
                found["::".join((*place[module:], str(case.get("name"))))] = why[-1][:300] if why else kind
    return Ran(passed, found)
