"""Crash points: a closed list, and nothing happens without being asked."""

import os
import subprocess
import sys
from pathlib import Path

from sampan import crashpoints

SOURCE = str(Path(__file__).parents[2] / "src")


def run(point: str, statement: str) -> int:
    program = f"from sampan import crashpoints; {statement}"
    environment = {**os.environ, crashpoints.VARIABLE: point, "PYTHONPATH": SOURCE}
    return subprocess.run([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL).returncode


def test_names_are_unique() -> None:
    assert len(set(crashpoints.POINTS)) == len(crashpoints.POINTS)


def test_only_the_armed_point_ends_the_process() -> None:
    first, second = crashpoints.POINTS[:2]
    assert run(first, f"crashpoints.crash_point({first!r})") == -crashpoints.SIGKILL
    assert run(first, f"crashpoints.crash_point({second!r})") == 0
    assert run("", f"crashpoints.crash_point({first!r})") == 0


def test_an_unknown_name_is_refused_at_start() -> None:
    assert run("no-such-point", "crashpoints.check()") == 1
    assert run(crashpoints.POINTS[0], "crashpoints.check()") == 0
