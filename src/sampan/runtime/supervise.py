"""From a program's first instruction to the last trace of it: what its monitor does meanwhile and at its end.

Loaded by the launcher.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from sampan.cgroups import apply as cgroups
from sampan.cgroups import scopes
from sampan.crashpoints import crash_point
from sampan.logs.writers import open_log
from sampan.runtime import record
from sampan.runtime.messages import Kind
from sampan.runtime.pump import Pump, clients
from sampan.runtime.stdio import Streams
from sampan.telemetry import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Life:
    """What lives as long as the program. `body` has the members of the LIVE message that say what things are.

    `channel` leads to the daemon, `listener` waits for later ones; `held` are the sockets of published ports; `mount` is the
    overlay, -1 where this is not a container; `attached` are the clients' connections.
    """

    __slots__ = ("attached", "body", "channel", "held", "listener", "mount", "pidfd", "streams")

    def __init__(self, body: dict[str, Any], channel: socket.socket, listener: socket.socket, pidfd: int) -> None:
        self.body = body
        self.channel = channel
        self.listener = listener
        self.pidfd = pidfd
        self.streams = Streams()
        self.mount = -1
        self.held: list[int] = []
        self.attached: list[int] = []


def supervise(life: Life) -> None:
    """Serve until the program has ended; record the end, tell it, let go of everything but the control groups and the mount."""
    body, terminal = life.body, life.streams.terminal
    pump = _pump(body, life.streams)
    pump.state = (Kind.STARTED, body["state"], [life.pidfd])
    for client in clients(body["attach"], life.attached, terminal >= 0):
        if body["exec"]:
            # A container's clients came before its start was asked for; an exec's connection is its start.
            client.wait_for_head()
        pump.add_client(client)
    pump.listen(life.listener)
    pump.add_channel(life.channel)
    kills = Kills({} if body["exec"] else body["groups"])
    if kills.must_hurry:
        pump.on_end = kills.count
    pump.run(life.pidfd)
    for descriptor in life.held:
        # The ports are free before anybody hears of the end, for whoever starts it again. sampan-net may have some of the
        # sockets still: they listen no more.
        with socket.socket(fileno=descriptor) as held:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # a socket that listens to nobody has nothing to shut down
    ended = _end(kills, life.pidfd)
    _record(body, ended)
    crash_point("monitor-after-exit-record")
    pump.tell(Kind.EXITED, {"id": body["id"], **ended}, [])
    life.listener.close()
    pump.finish()
    crash_point("monitor-after-exit-told")


def _record(body: dict[str, Any], ended: dict[str, Any]) -> None:
    """Write down the end. Where the exec-root is full it still stands in the record's own page, or is told at least."""
    directory = str(body["directory"])
    try:
        record.write(directory, {**body["record"], "exit": ended})
    except OSError:
        try:
            record.add(directory, {"exit": ended})
        except OSError as error:
            lines.say("error", f"its end is told, not recorded: {error}")


def _pump(body: dict[str, Any], streams: Streams) -> Pump:
    log, stdio, terminal = body["log"], body["stdio"], streams.terminal
    patient = not log or log["buffer"] < 0
    pump = Pump(open_log(log) if log else None, terminal, bool(stdio["stdin_once"]), bool(stdio.get("tied")), patient)
    program_input = streams.input
    if terminal >= 0:
        pump.add_output(terminal, 1)
        program_input = terminal if stdio["open_stdin"] else -1
    for descriptor, stream in streams.outputs:
        pump.add_output(descriptor, stream)
    if program_input >= 0:
        pump.set_input(program_input)
    return pump


class Kills:
    """What the kernel has killed in the groups for lack of memory, as they tell while they are there."""

    def __init__(self, groups: Mapping[str, str]) -> None:
        self._groups = groups
        self.number = self.limit = self.peak = 0
        self.must_hurry = bool(scopes.unit_of(groups))
        """systemd takes the groups away when it has heard that nobody stands in them"""

    def count(self) -> None:
        """Look, unless it is too late; what was seen before holds then."""
        found = cgroups.oom_kills(self._groups)
        if found > self.number:
            self.number = found
            self.limit, self.peak = cgroups.memory_bounds(self._groups)


def _end(kills: Kills, pidfd: int) -> dict[str, Any]:
    """Reap the program and say how it ended."""
    status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    assert status is not None
    by_signal = status.si_code != os.CLD_EXITED
    number = status.si_status if by_signal else 0
    kills.count()
    oom = kills.number
    cause = "oom" if oom and number == signal.SIGKILL else "signal" if by_signal else "exited"
    code = 128 + number if by_signal else status.si_status
    ooms = {"oom_killed": oom > 0, "oom_kills": oom}
    if oom:
        ooms["oom_limit"], ooms["oom_peak"] = kills.limit, kills.peak
    return {"code": code, "signal": number, **ooms, "cause": cause, "ended_ns": time.time_ns()}
