"""What a jailed process sees."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import SOURCE
from tests.requires import requires

pytestmark = requires("root", "mountns", "mount-interface")

_JAILED = """
import os, sys
from sampan.kernel.mount import AT_FDCWD, OpenTree, open_tree
from sampan.snapshots.confinement import become_root, isolate
root = open_tree(AT_FDCWD, os.fsencode(sys.argv[1]), OpenTree.CLONE)
isolate()
become_root(root)
os.write(1, " ".join(os.listdir("/")).encode())
os.read(0, 1)
"""


@pytest.mark.parametrize("propagation", ["private", "shared"])
def test_there_is_nothing_but_its_root(tmp_path: Path, propagation: str) -> None:
    """`shared`: as systemd has them all, and so a copy of one; nothing can be pivoted to a shared mount (pivot_root(2))."""
    (tmp_path / "of-the-jail").touch()
    command = ["unshare", "--mount", "--propagation", propagation, sys.executable, "-c", _JAILED, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(SOURCE)}
    ) as jailed:
        assert jailed.stdout is not None
        assert jailed.stdout.read(11) == b"of-the-jail"
        mounts = Path(f"/proc/{jailed.pid}/mountinfo").read_text().splitlines()
        assert [line.split()[4] for line in mounts] == ["/"]
        jailed.communicate(b"\n", timeout=30)
    assert jailed.returncode == 0
