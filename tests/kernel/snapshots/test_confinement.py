"""What a jailed process sees."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons import SOURCE
from tests.requires import requires

pytestmark = requires("root", "mountns", "mount-interface")

# With the rights that it gives up later it takes away what it stands on, and looks at what lies below.
_JAILED = """
import contextlib, os, sys
from sampan.kernel.mount import AT_FDCWD, MNT, OpenTree, open_tree, umount2
from sampan.kernel.namespaces import Clone, setns
from sampan.snapshots.confinement import become_root, isolate
root = open_tree(AT_FDCWD, os.fsencode(sys.argv[1]), OpenTree.CLONE)
processes = os.open("/proc/self", os.O_PATH)
isolate()
own = os.open("ns/mnt", os.O_RDONLY, dir_fd=processes)
become_root(root)
first = os.listdir("/")
with contextlib.suppress(OSError):
    umount2(b"/", MNT.DETACH)
setns(own, Clone.NEWNS)
print(*first, *os.listdir("/"))
"""


@pytest.mark.parametrize("propagation", ["private", "shared"])
def test_the_machines_root_is_not_below_its_own(tmp_path: Path, propagation: str) -> None:
    """`shared`: as systemd has them all, and so a copy of one; nothing can be pivoted to a shared mount (pivot_root(2))."""
    (tmp_path / "kept").touch()
    command = ["unshare", "--mount", "--propagation", propagation, sys.executable, "-c", _JAILED, str(tmp_path)]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(SOURCE)}, check=True, capture_output=True, text=True, timeout=60
    )
    first, *below = done.stdout.split()
    assert first == "kept"
    assert not set(os.listdir("/")) <= set(below)
