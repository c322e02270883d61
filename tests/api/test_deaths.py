"""The table of docs/ownership.md, a test for each cell: the process of the column is killed, and the thing of the row does as
the cell says. Columns that a function names together behave alike: the container does not notice."""

import errno
import json
import os
import re
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.api.scenes import (
    Box,
    Stream,
    bind,
    eventually,
    kill,
    kill_launcher,
    launcher_of,
    listens,
    lives,
    pause,
    resume,
)
from tests.daemons import PROJECT, Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "docker-client", "busybox")

PROCESSES = ("daemon", "launcher", "monitor", "init")
Cell = Callable[[Sampan, str], None]
CELLS: dict[tuple[str, str], Cell] = {}
FOREVER = ("sleep", "1000")


def cell(thing: str, *columns: str) -> Callable[[Cell], Cell]:
    """Register the test of one row in these columns."""

    def register(function: Cell) -> Cell:
        CELLS.update({(thing, process): function for process in columns})
        return function

    return register


def strike(
    engine: Sampan, process: str, box: Box | None = None, meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Kill `process`. A daemon is started again, after `meanwhile`; a launcher is by the daemon."""
    if process == "daemon":
        engine.kill()
        meanwhile()
        engine.start()
    elif process == "launcher":
        kill_launcher(engine)
        meanwhile()
    else:
        assert box is not None
        kill(box.monitor() if process == "monitor" else box.pid())


def fetch(address: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{address}:{port}/index.html", timeout=10) as answer:
        return str(answer.read().decode())


def web(engine: Sampan, **config: object) -> Box:
    """A container that serves a page on port 80."""
    box = Box(engine, "sh", "-c", "echo here > /tmp/index.html; exec httpd -f -p 80 -h /tmp", **config).start()
    eventually(lambda: listens(box.address(), 80), "nothing listens")
    return box


@cell("stdio", "daemon", "launcher")
def stdio_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "cat", OpenStdin=True)
    stream = box.attach()
    box.start()

    def echoes(text: bytes, on: Stream = stream) -> None:
        on.say(text)
        on.expect(text)

    echoes(b"before\n")
    strike(engine, process, meanwhile=lambda: echoes(b"meanwhile\n"))
    echoes(b"after\n")
    second = box.attach()
    echoes(b"to the next\n", second)
    stream.expect(b"to the next\n")


@cell("stdio", "monitor")
def stdio_ends(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "cat > /dev/null; touch /eof; while :; do sleep 1; done", OpenStdin=True)
    stream = box.attach()
    box.start()
    root = Path(f"/proc/{box.pid()}/root")
    pid = box.monitor()
    pause(engine)  # so that the program lives long enough to see it
    try:
        kill(pid)
        eventually((root / "eof").exists, "no end of file")
        stream.expect_end()
    finally:
        resume(engine)
    box.ended(137)


@cell("stdio", "init")
def stdio_is_drained(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "dd if=/dev/zero bs=1k count=60 2>/dev/null; echo last; exec sleep 1000")
    stream = box.attach()
    box.start()
    eventually(lambda: "sleep" in processes.title(box.pid()), "not written")
    strike(engine, process, box)
    stream.expect_end()
    assert stream.seen.endswith(b"last\n")
    assert stream.seen.count(b"\0") >= 60 * 1024


@cell("pty", "daemon", "launcher")
def pty_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", OpenStdin=True, Tty=True)
    stream = box.attach()
    box.start()
    stream.say(b"echo be''fore\n")
    stream.expect(b"before")
    strike(engine, process)
    assert engine.api("POST", f"/containers/{box.id}/resize?h=41&w=97").status == 200
    stream.say(b"stty size\n")
    stream.expect(b"41 97")


@cell("pty", "monitor")
def pty_hangs_up(engine: Sampan, process: str) -> None:
    script = "trap 'touch /hup' HUP; while :; do sleep 0.1; done"
    box = Box(engine, "sh", "-c", script, OpenStdin=True, Tty=True).start()
    root = Path(f"/proc/{box.pid()}/root")
    eventually(lambda: signal_caught(box.pid(), 1), "no trap")
    pid = box.monitor()
    pause(engine)
    try:
        kill(pid)
        eventually((root / "hup").exists, "no SIGHUP")
    finally:
        resume(engine)
    box.ended(137)


def signal_caught(pid: int, number: int) -> bool:
    found = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)


@cell("pty", "init")
def pty_is_drained(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo last; exec sleep 1000", OpenStdin=True, Tty=True)
    stream = box.attach()
    box.start()
    eventually(lambda: "sleep" in processes.title(box.pid()), "not written")
    strike(engine, process, box)
    stream.expect_end()
    assert stream.seen == b"last\r\n"
    box.ended(137)


@cell("pidfd", "daemon", "launcher")
def pidfd_signals(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "trap 'exit 9' USR1; while :; do sleep 0.1; done").start()
    eventually(lambda: signal_caught(box.pid(), 10), "no trap")
    strike(engine, process)
    assert engine.api("POST", f"/containers/{box.id}/kill?signal=USR1").status == 204
    box.ended(9)


@cell("pidfd", "monitor")
def pidfd_leads_to_the_kill(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    pid = box.pid()
    strike(engine, process, box)
    box.ended(137)
    assert not lives(pid)


@cell("pidfd", "init")
def pidfd_tells_the_monitor(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    pid = box.pid()
    strike(engine, process, box)
    box.ended(137)
    assert not os.path.exists(f"/proc/{pid}"), "not reaped"


@cell("mount", "daemon", "launcher")
def mount_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo kept > /mark; exec sleep 1000").start()
    strike(engine, process)
    assert box.run("sh", "-c", "cat /mark && echo more >> /mark && wc -l < /mark").split() == ["kept", "2"]


@cell("mount", "monitor", "init")
def mount_is_freed(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo run >> /mark; exec sleep 1000").start()
    monitor = box.monitor()
    strike(engine, process, box)
    box.ended(137)
    eventually(lambda: not lives(monitor), "the monitor stays")
    assert not shown_anywhere(f"upperdir={engine.data_root}/rw/{box.id}")
    box.start()
    assert box.run("cat", "/mark") == "run\nrun"


def shown_anywhere(text: str) -> bool:
    """Whether a mount namespace of any process shows a mount with `text`."""
    for pid in processes.pids():
        try:
            if text in Path(f"/proc/{pid}/mountinfo").read_text():
                return True
        except OSError:
            continue
    return False


@cell("network namespace", "daemon", "launcher")
def network_goes_on(engine: Sampan, process: str) -> None:
    box = web(engine)
    address = box.address()
    strike(engine, process, meanwhile=lambda: fetch(address, 80))
    assert fetch(address, 80) == "here\n"
    assert box.address() == address


@cell("network namespace", "monitor", "init")
def network_is_freed(engine: Sampan, process: str) -> None:
    box = web(engine)
    namespace = os.readlink(f"/proc/{box.pid()}/ns/net")
    peer = int(box.run("cat", "/sys/class/net/eth0/iflink"))
    assert peer in interfaces()
    strike(engine, process, box)
    box.ended(137)
    eventually(lambda: peer not in interfaces(), "the veth stays")
    eventually(lambda: namespace not in network_namespaces(), "a process stays in the namespace")


def interfaces() -> set[int]:
    return {index for index, _ in socket.if_nameindex()}


def network_namespaces() -> set[str]:
    found = set()
    for pid in processes.pids():
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            continue
    return found


def published(engine: Sampan) -> tuple[Box, int]:
    box = web(engine, ExposedPorts={"80/tcp": {}}, host={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}})
    return box, int(box.inspect()["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])


@cell("port", "daemon", "launcher")
def port_goes_on(engine: Sampan, process: str) -> None:
    box, port = published(engine)
    strike(engine, process, meanwhile=lambda: fetch("127.0.0.1", port))
    assert fetch("127.0.0.1", port) == "here\n"
    assert bind(port) == errno.EADDRINUSE
    box.remove()
    eventually(lambda: bind(port) == 0, "the port stays taken")


@cell("port", "monitor", "init")
def port_is_free(engine: Sampan, process: str) -> None:
    box, port = published(engine)
    assert mapped(engine, port)
    strike(engine, process, box)
    box.ended(137)
    eventually(lambda: not mapped(engine, port), "the map elements stay")
    assert bind(port) == 0


def mapped(engine: Sampan, port: int) -> bool:
    """Whether the engine's rules speak of the port."""
    command = ["nft", "list", "ruleset"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    tables = re.split(r"^(?=table )", listed, flags=re.MULTILINE)
    return any(engine.instance in table.partition("{")[0] and re.search(rf"\b{port}\b", table) for table in tables)


@cell("cgroup", "daemon", "launcher")
def cgroup_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER, host={"PidsLimit": 77}).start()
    before = box.groups()
    strike(engine, process)
    assert box.groups() == before
    assert "77" in [path.read_text().strip() for group in before for path in group.glob("pids.max")]
    assert any(str(box.pid()) in (group / "cgroup.procs").read_text().split() for group in before)


@cell("cgroup", "monitor", "init")
def cgroup_is_removed(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "setsid sleep 1000 & exec sleep 1000").start()
    assert box.groups()
    strike(engine, process, box)
    box.ended(137)
    eventually(lambda: not box.groups(), "groups stay")


@cell("log", "daemon", "launcher")
def log_loses_nothing(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "while read -r line; do echo $line; done", OpenStdin=True)
    stream = box.attach()
    box.start()

    def write(lines: range) -> None:
        for number in lines:
            stream.say(b"line %d\n" % number)
        stream.expect(b"line %d\n" % lines[-1])

    write(range(100))
    strike(engine, process, meanwhile=lambda: write(range(100, 200)))
    write(range(200, 300))
    eventually(lambda: "line 299\n" in box.logs(), "the last line is not logged")
    assert box.logs() == "".join(f"line {number}\n" for number in range(300))


@cell("log", "monitor")
def log_ends_at_a_whole_record(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo one; echo two; exec sleep 1000").start()
    eventually(lambda: box.logs() == "one\ntwo\n", "not logged")
    strike(engine, process, box)
    box.ended(137)
    with Path(str(box.inspect()["LogPath"])).open("ab") as file:
        file.write(b'{"log":"torn in the mid')
    assert box.logs() == "one\ntwo\n"


@cell("log", "init")
def log_gets_what_is_held_back(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "echo one; printf half; exec sleep 1000")
    stream = box.attach()
    box.start()
    stream.expect(b"half")
    strike(engine, process, box)
    box.ended(137)
    eventually(lambda: box.logs() == "one\nhalf", "the half line is lost")


@cell("exit record", "daemon", "launcher")
def exit_is_recorded(engine: Sampan, process: str) -> None:
    config = {"OpenStdin": True}
    boxes = [Box(engine, "sh", "-c", "read x; exit 42", host={"AutoRemove": rm}, **config) for rm in (False, True)]
    streams = [box.attach() for box in boxes]
    for box in boxes:
        box.start()

    def end() -> None:
        for stream in streams:
            stream.say(b"go\n")
            stream.expect_end()

    strike(engine, process, meanwhile=end)
    boxes[0].ended(42)
    eventually(lambda: engine.api("GET", f"/containers/{boxes[1].id}/json").status == 404, "--rm has not removed it")
    record = engine.exec_root / "containers" / boxes[0].id
    eventually(lambda: not record.exists(), "the record stays when it is committed")


@cell("exit record", "monitor")
def exit_is_made_up(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    strike(engine, process, box)
    box.ended(137)
    assert box.state()["FinishedAt"] > box.state()["StartedAt"]


@cell("exit record", "init")
def exit_is_written_first(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    pid, record = box.pid(), engine.exec_root / "containers" / box.id / "record.json"
    assert "exit" not in json.loads(record.read_text())
    pause(engine)
    try:
        kill(pid)
        eventually(lambda: json.loads(record.read_text()).get("exit", {}).get("code") == 137, "no record")
    finally:
        resume(engine)
    box.ended(137)


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
    """Parked builders that are ready: pid and title. A builder's parent is the monitor."""
    held = processes.holding_sockets_below(str(engine.directory))
    return {one.pid: one.title for one in held if "parked" in one.title and "builder" in one.title}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def some_slots(engine: Sampan) -> dict[int, str]:
    eventually(lambda: len(slots(engine)) >= 6, "no slots")
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
        eventually(lambda pid=pid: not lives(pid), "the slot's monitor stays")
        eventually(lambda title=title: not groups_of(engine, title), f"groups of the slot stay: {title}")
    box = Box(engine, *FOREVER).start()
    assert box.run("echo", "fine") == "fine"
    some_slots(engine)


def groups_of(engine: Sampan, title: str) -> list[Path]:
    """The control groups of a slot, known by the id in its monitor's title."""
    name = title.split()[1]
    return list(Path("/sys/fs/cgroup").glob(f"*/sampan-{engine.instance}/{name}*"))


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
