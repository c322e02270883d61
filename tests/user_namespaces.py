"""What tests of user namespaces share: containers by the API, and what the host sees of them."""

import fcntl
import os
from pathlib import Path
from typing import Any

from tests.daemons import Answer, Daemon, Outcome

NS_GET_USERNS = 0xB701
"""ioctl_ns(2): the user namespace that owns a namespace."""
KINDS = ("net", "pid", "mnt", "uts", "ipc")
POOL = ("--userns-pool", "700000:2000000")
FIRST = 700000
_BOUND = 'mount -t tmpfs tmpfs /mnt && cp -a /etc/. /mnt && cp "$0"/subuid "$0"/subgid /mnt && mount --bind /mnt /etc && exec "$@"'
"""All of /etc: what is bound over one file goes when somebody of the host's, such as useradd, replaces that."""


def within(directory: Path, lines: str) -> tuple[str, ...]:
    """A command that becomes another one, which sees these subordinate ranges."""
    for name in ("subuid", "subgid"):
        (directory / name).write_text(lines)
    return ("unshare", "--mount", "--propagation", "slave", "sh", "-c", _BOUND, str(directory))


def create(engine: Daemon, mode: str, *command: str, config: dict[str, Any] | None = None, **host: object) -> Answer:
    """POST /containers/create, without a network unless `NetworkMode` is given."""
    settings = {"NetworkMode": "none", "UsernsMode": mode, **host}
    body = {"Image": "busybox", "Cmd": list(command), "HostConfig": settings, **(config or {})}
    return engine.api("POST", "/containers/create", body)


def started(engine: Daemon, mode: str, *command: str, config: dict[str, Any] | None = None, **host: object) -> str:
    """A container that was started; its id."""
    made = create(engine, mode, *command, config=config, **host)
    assert made.status == 201, made.body
    identifier = str(read(made)["Id"])
    answer = engine.api("POST", f"/containers/{identifier}/start")
    assert answer.status == 204, answer.body
    return identifier


def output(engine: Daemon, mode: str, *command: str, config: dict[str, Any] | None = None, **host: object) -> str:
    """What a program in a container of its own wrote; it must have ended well."""
    identifier = started(engine, mode, *command, config=config, **host)
    code = read(engine.api("POST", f"/containers/{identifier}/wait"))["StatusCode"]
    said: Outcome = engine.docker("logs", identifier)
    assert code == 0, (said.out + said.err).decode()
    return (said.out + said.err).decode()


def inspected(engine: Daemon, container: str) -> dict[str, Any]:
    """Its inspect document."""
    return read(engine.api("GET", f"/containers/{container}/json"))


def read(answer: Answer) -> dict[str, Any]:
    """An answer's JSON object."""
    found = answer.json()
    assert isinstance(found, dict), found
    return found


def pid(engine: Daemon, container: str) -> int:
    """Its program's number on the host."""
    return int(inspected(engine, container)["State"]["Pid"])


def ids(process: int) -> tuple[set[int], set[int]]:
    """The host's users and groups that a process is: real, effective, saved and for files."""
    fields = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines() if ":\t" in line
    )
    uids, gids = ({int(number) for number in fields[name].split()} for name in ("Uid", "Gid"))
    return uids, gids


def uid_map(process: int) -> list[tuple[int, ...]]:
    """/proc/PID/uid_map."""
    return [tuple(map(int, line.split())) for line in Path(f"/proc/{process}/uid_map").read_text().splitlines()]


def owner(process: int, kind: str) -> int:
    """The inode of the user namespace that owns a process's namespace."""
    with open(f"/proc/{process}/ns/{kind}") as namespace:
        descriptor = fcntl.ioctl(namespace, NS_GET_USERNS)
        try:
            return os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
