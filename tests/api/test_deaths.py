"""The table of docs/ownership.md, a test for each cell: the process of the column is killed, and the thing of the row does as
the cell says. Columns that a function names together behave alike: the container does not notice."""

import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import processes
from tests.api import (  # noqa: F401 - they register their cells
    deaths_of_care,
    deaths_of_copies,
    deaths_of_plugins,
    deaths_of_streams,
    deaths_of_worlds,
)
from tests.api.scenes import (
    CELLS,
    FOREVER,
    PROCESSES,
    Box,
    Stream,
    cell,
    kill,
    kill_launcher,
    launcher_of,
    lives,
    strike,
)
from tests.daemons import PROJECT, Sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "docker-client", "busybox")


@cell("listening API socket", "daemon", "launcher")
def socket_is_kept(engine: Sampan, process: str) -> None:
    if process == "launcher":
        kill_launcher(engine)  # its successor has a copy too
        launcher_of(engine)
        assert engine.api("GET", "/_ping").status == 200
    Box(engine, *FOREVER).start()  # without any the launcher would end with the daemon
    engine.kill()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(engine.socket))
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        engine.start()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


@cell("listening API socket", "monitor", "init")
def socket_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    strike(engine, process, box)
    assert engine.api("GET", "/_ping").status == 200
    box.ended(137)


@cell("address, names, wishes", "daemon", "launcher")
def wishes_are_kept(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER, name=f"kept-{process}", host={"RestartPolicy": {"Name": "always"}}).start()
    address, pid = box.address(), box.pid()
    strike(engine, process, meanwhile=lambda: None if process == "launcher" else kill(pid))
    if process == "launcher":
        kill(pid)
    eventually(lambda: box.state()["Running"] and box.pid() not in (0, pid), "not started again")
    assert box.inspect()["Name"] == f"/kept-{process}"
    other = Box(engine, *FOREVER).start()
    assert other.address() not in ("", box.address())
    assert address
    again = engine.api("POST", f"/containers/create?name=kept-{process}", {"Image": "busybox"})
    assert again.status == 409


@cell("address, names, wishes", "monitor", "init")
def wishes_apply(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    wanted = Box(engine, *FOREVER, host=policy).start()
    old = wanted.pid()
    strike(engine, process, box)
    strike(engine, process, wanted)
    box.ended(137)
    assert box.address() == ""
    eventually(lambda: wanted.state()["Running"] and wanted.pid() not in (0, old), "not restarted")
    assert wanted.inspect()["RestartCount"] == 1


def slots(engine: Sampan) -> dict[int, str]:
    """Parked builders that are ready: pid and title. Each is the child of a parked monitor, which holds the socket."""
    held = {one.pid for one in processes.holding_sockets_below(str(engine.directory))}
    titles = {pid: processes.title(pid) for pid in processes.pids()}
    builders = {pid: title for pid, title in titles.items() if title.startswith("sampan-builder") and "parked" in title}
    return {pid: title for pid, title in builders.items() if {pid, parent(pid)} & held}


def parent(pid: int) -> int:
    """0 where the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def some_slots(engine: Sampan) -> dict[int, str]:
    # One of each kind: on the bridge and without a network.
    eventually(lambda: len(slots(engine)) >= 2, "no slots")
    return slots(engine)


@cell("parked slots", "daemon")
def slots_end(engine: Sampan, process: str) -> None:
    old = some_slots(engine)
    strike(engine, process, meanwhile=lambda: eventually(lambda: not any(map(lives, old)), "old slots stay"))
    assert not some_slots(engine).keys() & old.keys()


@cell("parked slots", "launcher")
def slots_go_on(engine: Sampan, process: str) -> None:
    old = {parent(pid) for pid in some_slots(engine)}
    strike(engine, process)
    box = Box(engine, *FOREVER).start()
    assert box.monitor() in old


@cell("parked slots", "monitor", "init")
def slot_is_forgotten(engine: Sampan, process: str) -> None:
    for pid, title in some_slots(engine).items():
        monitor = parent(pid)
        inits = [
            child for child in processes.pids() if lives(child) and parent(child) in (pid, monitor) and child != pid
        ]
        kill(monitor if process == "monitor" else inits[0])
        eventually(partial(ended, pid), "the slot's monitor stays")
        eventually(partial(no_groups, engine, title), f"groups of the slot stay: {title}")
    box = Box(engine, *FOREVER).start()
    assert box.run("echo", "fine") == "fine"
    some_slots(engine)


def ended(pid: int) -> bool:
    return not lives(pid)


def no_groups(engine: Sampan, title: str) -> bool:
    """Whether the control groups of a slot are gone; its id is in the title."""
    patterns = (f"docker/{title.split()[1]}*", f"system.slice/docker-{title.split()[1]}*")
    root = Path("/sys/fs/cgroup")
    return not [found for each in patterns for found in (*root.glob(each), *root.glob(f"*/{each}"))]


@pytest.fixture(autouse=True)
def _containers_removed(engine: Sampan) -> Iterator[None]:
    yield
    while Stream.opened:
        Stream.opened.pop().close()
    if engine.process is None or engine.process.poll() is not None:
        engine.start()
    engine.remove_containers()


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("thing", dict.fromkeys(thing for thing, _ in CELLS))
def test_death(engine: Sampan, thing: str, process: str) -> None:
    CELLS[thing, process](engine, process)


def test_every_cell_of_the_page_has_its_test() -> None:
    page = (PROJECT / "docs/ownership.md").read_text()
    rows = [row.split("|")[1:-1] for row in page.splitlines() if row.startswith("| **")]
    wanted = [
        (re.sub(r", veth$| of the program$| \(.*\)$", "", row[0].replace("*", "").strip()), process)
        for row in rows
        for process, text in zip(PROCESSES, row[2:], strict=True)
        if text.strip() != "–" and "not built yet" not in row[1]
    ]
    assert sorted(wanted) == sorted(CELLS)
