"""Cells of docs/ownership.md for what surrounds a program: mounts, network, ports, control groups."""

import errno
import os
import re
import socket
import subprocess
import urllib.request
from pathlib import Path

from tests import processes
from tests.api.scenes import (
    FOREVER,
    Box,
    bind,
    cell,
    listens,
    lives,
    strike,
)
from tests.daemons import Sampan
from tests.nameserver import addresses, ask, query
from tests.waiting import eventually


def fetch(address: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{address}:{port}/index.html", timeout=10) as answer:
        return str(answer.read().decode())


def web(engine: Sampan, *, publish: bool = False) -> Box:
    """A container that serves a page on port 80."""
    host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}} if publish else {}
    box = Box(
        engine,
        "sh",
        "-c",
        "echo here > /tmp/index.html; exec httpd -f -p 80 -h /tmp",
        ExposedPorts={"80/tcp": {}},
        host=host,
    ).start()
    eventually(lambda: listens(box.address(), 80), "nothing listens")
    return box


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
    box = web(engine, publish=True)
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


@cell("pause", "daemon", "launcher")
def pause_goes_on(engine: Sampan, process: str) -> None:
    box = Box(engine, "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done").start()
    eventually(lambda: box.logs() != "", "it does not count")
    assert engine.api("POST", f"/containers/{box.id}/pause").status == 204
    before = box.logs()
    strike(engine, process)
    assert (box.state()["Status"], box.logs()) == ("paused", before)
    assert engine.api("POST", f"/containers/{box.id}/unpause").status == 204
    eventually(lambda: box.logs() != before, "it does not go on")


@cell("pause", "monitor", "init")
def pause_ends(engine: Sampan, process: str) -> None:
    box = Box(engine, *FOREVER).start()
    v2 = any((group / "cgroup.freeze").exists() for group in box.groups())
    assert engine.api("POST", f"/containers/{box.id}/pause").status == 204
    strike(engine, process, box)
    if process == "init" and not v2:
        engine.api("POST", f"/containers/{box.id}/unpause")
    box.ended(137)
    box.start()
    assert box.run("echo", "fine") == "fine"


def named(engine: Sampan, name: str) -> Box:
    """A container in the network `names`, which is made where it is missing."""
    made = engine.api("POST", "/networks/create", {"Name": "names"})
    assert made.status in (201, 409), made.body
    return Box(engine, *FOREVER, name=name, host={"NetworkMode": "names"}).start()


def knows(box: Box, name: str) -> list[str]:
    """The addresses that `box` is answered for `name`."""
    return addresses(ask(box.pid(), query(name)))


def place(box: Box) -> str:
    return str(box.inspect()["NetworkSettings"]["Networks"]["names"]["IPAddress"])


@cell("names in user networks", "daemon", "launcher")
def names_go_on(engine: Sampan, process: str) -> None:
    one, two = named(engine, "one"), named(engine, "two")
    target, pid = place(one), two.pid()
    strike(engine, process, meanwhile=lambda: addresses(ask(pid, query("one"))) == [target])
    assert knows(two, "one") == [target]
    three = named(engine, "three")
    assert knows(two, "three") == [place(three)]


@cell("names in user networks", "monitor", "init")
def names_go(engine: Sampan, process: str) -> None:
    one, two = named(engine, "one"), named(engine, "two")
    target = place(one)
    assert knows(two, "one") == [target]
    strike(engine, process, one)
    one.ended(137)
    eventually(lambda: knows(two, "one.names") == [], "its name stays")
    again = named(engine, "three")
    assert place(again) == target
    assert knows(two, "three") == [target]
