"""Races of the corpus without chance: a build that pauses between look and use, and a neighbour that takes all the time it wants.

The pause is an edit of a copy of the source, as a weakening is (tests/security/weakenings.py); the product has none.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import daemons
from tests.api.deaths_of_copies import porters
from tests.daemons import EMULATED, Outcome, Sampan, running_sampan
from tests.processes import pids, title
from tests.requires import requires
from tests.security.edits import Edit
from tests.security.hostile import Canary
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client")

BEFORE_A_MOUNT = Edit(
    "runtime/rootfs.py",
    "    target = _outside_proc(context, destination, is_directory)\n",
    "    target = _outside_proc(context, destination, is_directory)\n"
    "    while destination == '/shared/a/c' and not os.path.exists('/shared/go'):\n        pass\n",
)
"""A loop, once the place of one mount is known, until the volume that is mounted already has a file `go`."""
BEFORE_A_COPY = Edit(
    "transfer/process.py",
    "    # Told of and packed is what was opened here",
    "    while not _may_go_on(root):\n        pass\n    # Told of and packed is what was opened here",
)
"""Another, once a path is resolved, until the container has a file `go`."""
MAY_GO_ON = Edit(
    "transfer/process.py",
    "_LIMIT = 1 << 50\n",
    "_LIMIT = 1 << 50\n\n\n"
    "def _may_go_on(root: int) -> bool:\n"
    "    try:\n        return bool(os.stat('go', dir_fd=root))\n"
    "    except FileNotFoundError:\n        return False\n",
)


@contextmanager
def paused(*edits: Edit) -> Iterator[Sampan]:
    """A daemon of a build with these edits."""
    place = Path(tempfile.mkdtemp(prefix="sampan-paused-"))
    shutil.copytree(daemons.SOURCE, place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        file = place / "src" / "sampan" / edit.file
        text = file.read_text()
        assert text.count(edit.before) == 1, edit
        file.write_text(text.replace(edit.before, edit.after))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(daemons, "SOURCE", place / "src")
            with running_sampan() as engine:
                engine.load_busybox()
                yield engine
    finally:
        shutil.rmtree(place)


def test_sec_cve_2021_30465_paused(canary: Canary) -> None:
    """The place of a mount becomes a link when it has been found and nothing is mounted yet."""
    outcomes: list[Outcome] = []
    script = "cat /proc/self/mountinfo; ls -R /shared"
    with paused(BEFORE_A_MOUNT) as engine:
        volume = engine.data_root / "volumes/shared/_data"
        assert engine.docker("volume", "create", "shared").code == 0
        (volume / "a" / "c").mkdir(parents=True)
        options = ("-v", "shared:/shared", "-v", "inner:/shared/a/c", "--network", "none")
        words = ("run", "--rm", *options, "busybox", "sh", "-c", script)
        run = threading.Thread(target=lambda: outcomes.append(engine.docker(*words, timeout=120)))
        run.start()
        eventually(lambda: any(spins(pid) for pid in pids() if title(pid).startswith("sampan-init")), "no pause", 120)
        os.rename(volume / "a", volume / "moved")
        (volume / "a").symlink_to("../" * 12 + canary.path[1:])
        (volume / "go").touch()
        run.join(120)
        assert (volume / "moved/c").is_dir()
    (outcome,) = outcomes
    assert outcome.code == 0, outcome
    assert canary.secret.encode() not in outcome.out
    # It hangs on what was found, wherever that has gone.
    assert b" /shared/moved/c " in outcome.out
    assert b"secret" not in outcome.out


def test_sec_cve_2018_15664_paused(canary: Canary) -> None:
    """A directory becomes a link when a copy has resolved the path to it and has not read it yet."""
    bodies: list[bytes] = []
    with paused(MAY_GO_ON, BEFORE_A_COPY) as engine:
        script = "mkdir -p /d/t; echo inside > /d/t/secret; sleep 600"
        made = engine.docker("run", "-d", "--net", "none", "busybox", "sh", "-c", script).text
        eventually(lambda: engine.docker("exec", made, "test", "-s", "/d/t/secret").code == 0, "nothing was made")
        path = f"/containers/{made}/archive?path=/d/t/secret"
        copy = threading.Thread(target=lambda: bodies.append(engine.api("GET", path, timeout=120).body))
        copy.start()
        eventually(lambda: any(map(spins, porters(engine))), "the copy does not pause")
        swap = f"mv /d/t /d/moved; ln -s {canary.path} /d/t; touch /go"
        assert engine.docker("exec", made, "sh", "-c", swap).code == 0
        copy.join(60)
        assert not copy.is_alive()
        assert engine.docker("rm", "-f", made).code == 0
    assert b"inside" in bodies[0]
    assert canary.secret.encode() not in bodies[0]


def spins(pid: int) -> bool:
    """Whether it has used more processor time than a start or a copy takes to get there."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
    except OSError:
        return False
    return ticks > os.sysconf("SC_CLK_TCK") * (6 if EMULATED else 0.2)
