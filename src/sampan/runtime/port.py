"""The daemon's door to the runtime: the Protocol that `client.py` implements and the daemon's use-cases are written for."""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sampan.runtime.request import (
    Adopted,
    AttachSpec,
    Dump,
    ExecRequest,
    Exit,
    FollowRequest,
    LinkChange,
    Named,
    ProxiedPort,
    Running,
    StartRequest,
)
from sampan.spec.ids import ContainerId, ExecId


class Runtime(Protocol):
    """Starts programs and hears how they end. All coroutines run on the daemon's one event loop."""

    async def open(self) -> tuple[Adopted, ...]:
        """Start the launcher and take over what an earlier daemon left running or ended. Called once, first."""
        ...

    async def close(self) -> None:
        """Let go of launcher and monitors without stopping any container."""
        ...

    @property
    def launcher_pid(self) -> int:
        """The launcher: what stands in its mount namespace alone is seen below `/proc/PID/root`."""
        ...

    def on_exit(self, call: Callable[[ContainerId, Exit], None]) -> None:
        """`call` hears every end of a container, once, on the event loop. Set before `open`."""
        ...

    def on_exec_exit(self, call: Callable[[ContainerId, ExecId, Exit], None]) -> None:
        """The same for execs."""
        ...

    def on_detach(self, call: Callable[[ContainerId, ExecId | None], None]) -> None:
        """`call` hears of each client that typed its detach keys: at a container, or at one of its execs."""
        ...

    def reserve(self, bridge: bool, users: bool = False) -> ContainerId:
        """The id for a container about to be created: that of a parked slot where one is ready (for two seconds), else a new one.

        `bridge` says whether it is to stand on the default bridge, `users` whether it is to have a range of its own (`auto`).
        A start with the id uses the slot if it fits.
        """
        ...

    async def start(self, request: StartRequest) -> Running:
        """Start a container; returns when its program has been executed. Raises StartFailed, and then nothing is left behind."""
        ...

    async def let_go(self, container: ContainerId) -> None:
        """Wait until the last run of a container that has ended let go of its file system. Raises StartFailed for no end."""
        ...

    async def check_criu(self) -> None:
        """Raise DumpFailed, with its reason, where the host has no criu or its own check fails; asked until it passes once."""
        ...

    async def dump(self, container: ContainerId, request: Dump) -> None:
        """Have criu dump a running container; unless it is to be left running, its end is heard like any other.

        Goes on when this daemon ends. Raises DumpFailed where nothing was dumped, KeyError where it does not run.
        """
        ...

    async def exec(self, request: ExecRequest) -> Running:
        """Run one more process in a container. Raises StartFailed; KeyError where the container does not run."""
        ...

    async def attach(self, target: ContainerId | ExecId, spec: AttachSpec) -> None:
        """Hand a client's connection to the monitor of a running container or exec. Raises KeyError where none runs.

        Raises Behind where `spec.after` is too far back. The socket is closed in any case, the connection only with success.
        """
        ...

    async def follow(self, container: ContainerId, request: FollowRequest, gone: Callable[[], None]) -> bool:
        """Have a process of its own serve a client that follows the log of a running container, beyond this daemon's end.

        False where that cannot be (it does not run, there are too many): the client is still the caller's. Else `gone` is called
        once, when the client has been served or has left.
        """
        ...

    async def resize(self, target: ContainerId | ExecId, rows: int, columns: int) -> None:
        """Set the size of the terminal. Raises KeyError where none runs, OSError where it has none."""
        ...

    async def clear_log(self, container: ContainerId) -> None:
        """Have the monitor forget what it has written. Raises KeyError where none runs, OSError where the log stays."""
        ...

    def know(self, container: ContainerId, named: Named) -> None:
        """What a container is called in its networks, before its start with a resolver, and again when it changes.

        One that runs is served from then on, if it was not.
        """
        ...

    def proxy(self, container: ContainerId, ports: tuple[ProxiedPort, ...], held: Sequence[socket.socket] = ()) -> None:
        """Serve these published ports of a running container, in the place of those said before; none to serve none.

        The monitor holds their sockets, or the daemon (`held`).
        """
        ...

    def unname(self, container: ContainerId) -> None:
        """It is called nothing any more, and its ports are not served."""
        ...

    def use_servers(self, servers: tuple[str, ...]) -> None:
        """The servers that the resolver asks on behalf of containers that chose none, in order."""
        ...

    async def relink(self, container: ContainerId, change: LinkChange) -> None:
        """Change a running container's network. Raises StartFailed where the kernel refuses, KeyError where none runs."""
        ...

    def signal(self, target: ContainerId | ExecId, number: int) -> None:
        """Send a signal to the program, by pidfd. Raises KeyError where none runs."""
        ...

    async def pause(self, container: ContainerId) -> None:
        """Freeze every process of a running container; returns when they stand still. Raises KeyError, OSError."""
        ...

    def unpause(self, container: ContainerId) -> None:
        """Let the processes of a paused container go on. Raises KeyError where none runs, OSError."""
        ...

    async def kill_all(self, container: ContainerId) -> None:
        """Kill every process of a container's control groups (cgroup.kill, or freeze and kill) and wait for its end."""
        ...

    def forget(self, container: ContainerId) -> None:
        """Remove the exit record: the daemon has committed it. No-op where there is none."""
        ...

    def groups(self, container: ContainerId) -> Mapping[str, str]:
        """The control groups of a running container (see `cgroups.apply`). Raises KeyError where none runs."""
        ...

    def pids(self, container: ContainerId) -> tuple[int, ...]:
        """Processes of a running container, on the host's count; empty where none runs."""
        ...
