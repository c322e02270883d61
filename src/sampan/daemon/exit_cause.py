"""Why a program ended, as far as anybody knows: what the kernel, the client, the policies and the daemon have to say. Pure.

kernel    exit code or signal; memory that ran out, with its limit and its peak, and who was killed for it
client    a stop, kill, restart or removal that was asked for, and with which signal
daemon    whether it heard the end, found it afterwards, or lost the monitor; what its restart policy made of it; the health
"""

import signal
from dataclasses import replace

from sampan.runtime.request import Exit
from sampan.spec.containers import ExitCause, ExitMemory, ExitRequest, ExitRestart

_MB = 1 << 20
_LOST = {
    "monitor-lost": "its monitor was killed, and all its processes with it",
    "machine-ended": "the machine went down while it ran",
}


def signal_name(number: int) -> str:
    """SIGKILL for 9; real-time signals by their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def request_that_counts(asked: ExitRequest | None, ended: Exit, stop_signal: str) -> ExitRequest | None:
    """What was asked for, unless the program took it for something else: a kill with a signal that did not end it."""
    if asked is None or asked.verb != "kill":
        return asked
    fatal = {signal_name(ended.signal or max(0, ended.code - 128)), "SIGKILL", stop_signal}
    return asked if asked.signal in fatal else None


def cause(
    ended: Exit,
    *,
    victims: str,
    request: ExitRequest | None,
    health: str,
    restart: ExitRestart,
    found: bool,
) -> ExitCause:
    """The whole of it. `victims` names who was killed for lack of memory, "" where nobody knows; `found`: after the fact."""
    memory = None
    if ended.cause == "oom" and request is not None and request.signal == "SIGKILL":
        # The monitor cannot know who sent the signal; what the kernel had killed before was somebody else in it.
        ended = replace(ended, cause="signal")
    if ended.oom_kills:
        memory = ExitMemory(kills=ended.oom_kills, victims=victims, limit=ended.oom_limit, peak=ended.oom_peak)
    return ExitCause(
        kind=ended.cause,
        text=_text(ended, memory, request),
        exit_code=ended.code,
        signal=signal_name(ended.signal) if ended.signal else "",
        memory=memory,
        request=request,
        health=health,
        restart=restart,
        daemon=ended.cause if ended.cause in _LOST else "found" if found else "heard",
    )


def _text(ended: Exit, memory: ExitMemory | None, request: ExitRequest | None) -> str:
    """One line for a person."""
    if ended.cause in _LOST:
        text = _LOST[ended.cause]
    elif ended.cause == "oom" and memory is not None:
        text = f"killed by the kernel: out of memory{_amounts(memory)}"
    elif ended.signal:
        text = f"ended by {signal_name(ended.signal)}"
    else:
        text = f"exited with {ended.code}"
    if memory is not None and ended.cause != "oom":
        text += f"; the kernel had killed {memory.victims or memory.kills} in it: out of memory{_amounts(memory)}"
    if request is not None and ended.cause not in _LOST:
        text += f" after {request.verb} sent {request.signal}"
    return text


def _amounts(memory: ExitMemory) -> str:
    if not memory.limit:
        return ""
    return f" (limit {memory.limit / _MB:.1f} MiB, peak {memory.peak / _MB:.1f} MiB)"
