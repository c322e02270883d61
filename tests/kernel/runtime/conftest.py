"""The runtime by itself: launcher, monitor and init on a root of busybox, without a daemon, API or image store."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sampan.cgroups import ending
from sampan.cgroups.plan import CgroupPlan
from sampan.runtime.client import RuntimeClient
from sampan.runtime.pool import SlotKind, SlotPlan
from sampan.runtime.request import (
    Adopted,
    AttachSpec,
    ExecRequest,
    Exit,
    LogSpec,
    StartRequest,
    Stdio,
)
from sampan.spec import oci_runtime as oci
from sampan.spec.ids import ContainerId, ExecId, new_id
from sampan.spec.rootfs import OverlayRoot
from tests.kernel.runtime.groups import hierarchies

CAPS = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split(" ")
)
APPLETS = "sh true cat echo sleep id ls ps tty env stat head kill pwd hostname touch mount dd".split(" ")


def mount(destination: str, kind: str, *options: str) -> oci.Mount:
    return oci.Mount(destination=destination, type=kind, source=kind, options=options)


MOUNTS = (
    mount("/proc", "proc", "nosuid", "noexec", "nodev"),
    mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    mount("/sys/fs/cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev"),
    mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
)


def config(*args: str, tty: bool = False, user: str = "", also: tuple[str, ...] = (), **more: object) -> oci.Config:
    """A container as Docker makes one, without a seccomp filter. `also` are namespaces beyond those that it always has."""
    linux = oci.Linux(
        namespaces=tuple(oci.Namespace(type=kind) for kind in ("mount", "network", "uts", "pid", "ipc", *also)),
        masked_paths=("/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware"),
        readonly_paths=("/proc/bus", "/proc/sys"),
    )
    return oci.Config(
        hostname="box",
        process=oci.Process(
            args=args,
            env=("PATH=/bin",),
            terminal=tty,
            user=oci.User(name=user),
            capabilities=oci.Capabilities(bounding=CAPS, effective=CAPS, permitted=CAPS),
        ),
        mounts=(*MOUNTS, *more.pop("mounts", ())),  # type: ignore[misc]
        linux=linux,
        **more,  # type: ignore[arg-type]
    )


@dataclass
class Bench:
    """Roots of a runtime, and what a test does with it."""

    base: Path
    groups_of: Callable[[str], CgroupPlan]
    client: RuntimeClient | None = None
    adopted: tuple[Adopted, ...] = ()
    ended: dict[str, "asyncio.Future[Exit]"] = field(default_factory=dict)

    @property
    def runtime(self) -> RuntimeClient:
        assert self.client is not None
        return self.client

    def run(self, body: Callable[["Bench"], Awaitable[None]], slots: int = 0) -> None:
        """Open a runtime, do `body`, close it."""

        async def whole() -> None:
            self.client = RuntimeClient(str(self.base / "run"), str(self.base / "data"), {}, slots)
            self.client.on_exit(self._ended)
            self.client.on_exec_exit(lambda _, name, ended: self._ended(name, ended))
            self.adopted = await self.client.open()
            try:
                await body(self)
            finally:
                await self.client.close()

        asyncio.run(whole())

    def _ended(self, name: str, ended: Exit) -> None:
        future = self.ended.setdefault(name, asyncio.get_running_loop().create_future())
        if not future.done():
            future.set_result(ended)

    async def exit_of(self, name: str) -> Exit:
        future = self.ended.setdefault(name, asyncio.get_running_loop().create_future())
        return await asyncio.wait_for(future, 20)

    def request(self, spec: oci.Config, name: ContainerId | None = None, **more: object) -> StartRequest:
        name = name or ContainerId(new_id())
        writable = self.base / "data/rw" / name
        (writable / "upper").mkdir(parents=True)
        (writable / "work").mkdir()
        (self.base / "data/containers" / name).mkdir(parents=True)
        settings: dict[str, object] = {
            "stdio": Stdio(tty=spec.process.terminal),
            "log": LogSpec(str(self.base / "data/containers" / name / "log")),
            "cgroup": self.groups_of(name),
            "root": OverlayRoot((str(self.base / "data/image"),), str(writable / "upper"), str(writable / "work")),
            **more,
        }
        return StartRequest(id=name, config=spec, **settings)  # type: ignore[arg-type]

    def plan_slot(self, name: ContainerId, _kind: SlotKind) -> SlotPlan:
        return SlotPlan(config("nothing"), self.groups_of(name), None)

    async def warm_id(self) -> ContainerId:
        """The id of a parked slot, waited for."""
        for _ in range(400):
            pool = self.runtime._pool
            name = pool.reserve(SlotKind(False))
            if name is not None:
                return name
            await asyncio.sleep(0.025)
        raise AssertionError("no slot was parked within ten seconds")

    async def output(self, request: StartRequest) -> tuple[Exit, str]:
        """Start it, wait for its end; the exit and what it wrote (json-file records, unquoted roughly)."""
        await self.runtime.start(request)
        ended = await self.exit_of(request.id)
        return ended, logged(request)

    async def execute(
        self, container: StartRequest, *args: str, tty: bool = False, text: bytes = b""
    ) -> tuple[Exit, bytes]:
        """One exec with its streams; the exit and its raw output, frames taken off."""
        ours, theirs = socket.socketpair()
        name = ExecId(new_id())
        spec = config(*args, tty=tty)
        attach = (AttachSpec(theirs, stdin=bool(text)),)
        stdio = Stdio(tty=tty, open_stdin=bool(text), stdin_once=bool(text))
        await self.runtime.exec(ExecRequest(name, container.id, spec.process, stdio, None, container.cgroup, attach))
        if text:
            ours.sendall(text)
            ours.shutdown(socket.SHUT_WR)
        ours.settimeout(10)
        raw = await asyncio.get_running_loop().run_in_executor(None, _read_all, ours)
        return await self.exit_of(name), raw if tty else unframed(raw)


def _read_all(sock: socket.socket) -> bytes:
    pieces = []
    with sock:
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def unframed(raw: bytes) -> bytes:
    out = b""
    while raw:
        size = int.from_bytes(raw[4:8], "big")
        out += raw[8 : 8 + size]
        raw = raw[8 + size :]
    return out


def logged(request: StartRequest) -> str:
    path = request.log.path
    assert path is not None
    with open(path, encoding="utf-8") as file:
        return "".join(json.loads(line)["log"] for line in file)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    image = tmp_path / "data/image"
    for directory in ("bin", "etc", "tmp"):
        (image / directory).mkdir(parents=True)
    (tmp_path / "run").mkdir()
    shutil.copy("/bin/busybox", image / "bin/busybox")
    for applet in APPLETS:
        (image / "bin" / applet).symlink_to("busybox")
    (image / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    (image / "etc/group").write_text("root:x:0:\napp:x:1000:\nvideo:x:44:app\n")
    label = f"sampan-test-{os.getpid()}-{os.urandom(3).hex()}"
    roots = hierarchies()

    def groups_of(name: str) -> CgroupPlan:
        return CgroupPlan({kind: f"{root}/{label}/{name}" for kind, root in roots.items()})

    made = Bench(tmp_path, groups_of)
    yield made
    ending.remove({kind: f"{root}/{label}" for kind, root in roots.items()})
