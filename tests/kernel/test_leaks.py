"""The leak check finds what it is there to find."""

import os
import subprocess
from pathlib import Path

from tests import leaks
from tests.requires import requires

MARK = f"leakmark{os.getpid()}"


@requires("root", "cgroup_v2", "ip", "bridge")
def test_group_and_interface_are_found_until_they_go() -> None:
    before = leaks.marked(MARK)
    group = Path(leaks.hierarchies()[-1]) / MARK
    group.mkdir()
    interface = f"lk{os.getpid()}"
    subprocess.run(["ip", "link", "add", interface, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", interface, "alias", MARK], check=True)
    try:
        found = leaks.marked(MARK).beyond(before)
        assert [line.split(":")[0] for line in found] == ["cgroup", "interface"]
    finally:
        group.rmdir()
        subprocess.run(["ip", "link", "del", interface], check=True)
    assert leaks.settled(lambda: leaks.marked(MARK), before) == []


@requires("root")
def test_process_is_found_by_its_arguments() -> None:
    before = leaks.marked(MARK)
    with subprocess.Popen([f"{MARK}-sleep", "30"], executable="/bin/sleep") as process:
        assert [line for line in leaks.marked(MARK).beyond(before) if line.startswith(f"process: {process.pid} ")]
        process.kill()


def test_containers_directory_is_found(tmp_path: Path) -> None:
    before = leaks.marked(str(tmp_path))
    (tmp_path / "containers" / "abc").mkdir(parents=True)
    assert leaks.settled(lambda: leaks.marked(str(tmp_path)), before, seconds=0.2) == [
        f"directory: {tmp_path}/containers/abc"
    ]
