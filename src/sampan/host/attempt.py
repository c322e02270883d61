"""Runs probes: each in a forked child, all at once, with a deadline. Only in the helper process, which has one thread."""

import os
import select
import signal
import time
from collections.abc import Sequence

import msgspec

from sampan.host.finding import Finding, Lacking, Probe

_SECONDS = 5
_LONGEST_ANSWER = 1 << 16


def gather(probes: Sequence[Probe], seconds: float = _SECONDS) -> list[Finding]:
    """The findings of `probes`, in their order. One that does not end in time is killed and is a finding, too."""
    waiting: dict[int, tuple[int, Probe]] = {}
    for probe in probes:
        child, report = _start(probe)
        waiting[report] = (child, probe)
    answers: dict[str, bytes] = {probe.name: b"" for probe in probes}
    ends = time.monotonic() + seconds
    poll = select.poll()
    for report in waiting:
        poll.register(report, select.POLLIN)
    while waiting:
        left = ends - time.monotonic()
        ready = poll.poll(max(left, 0) * 1000)
        if not ready and left <= 0:
            break
        for report, _ in ready:
            child, probe = waiting[report]
            chunk = os.read(report, _LONGEST_ANSWER)
            answers[probe.name] += chunk
            if not chunk:
                poll.unregister(report)
                del waiting[report]
                os.close(report)
                os.waitpid(child, 0)
    for report, (child, _) in waiting.items():
        os.kill(child, signal.SIGKILL)
        os.close(report)
        os.waitpid(child, 0)
    return [_read(probe, answers[probe.name], seconds) for probe in probes]


def _start(probe: Probe) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        os.write(writer, msgspec.json.encode(_try(probe)))
    finally:
        os._exit(0)


def _try(probe: Probe) -> Finding:
    try:
        said = probe.attempt()
    except Lacking as missing:
        return _finding(probe, False, str(missing), missing.hint or probe.hint)
    except Exception as error:  # noqa: BLE001 - the end of a process: whatever went wrong is why the feature is not there
        return _finding(probe, False, str(error) or type(error).__name__, probe.hint)
    return _finding(probe, True, said, "")


def _finding(probe: Probe, ok: bool, why: str, hint: str) -> Finding:
    return Finding(name=probe.name, area=probe.area, ok=ok, why=why[:1000], hint=hint, needed=probe.needed)


def _read(probe: Probe, answer: bytes, seconds: float) -> Finding:
    try:
        return msgspec.json.decode(answer, type=Finding)
    except msgspec.MsgspecError:
        why = "the probe died" if answer else f"no answer within {seconds:g} seconds"
        return _finding(probe, False, why, probe.hint)
