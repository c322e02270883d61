"""`update`: other limits and another restart policy for containers that there are."""

from __future__ import annotations

from sampan.cli.create.body import restart_policy
from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.client.documents import texts_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

_NUMBERS = {
    "blkio-weight": "BlkioWeight", "cpu-period": "CpuPeriod", "cpu-quota": "CpuQuota", "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime", "cpu-shares": "CpuShares", "cpus": "NanoCpus", "memory": "Memory",
    "memory-reservation": "MemoryReservation", "memory-swap": "MemorySwap", "pids-limit": "PidsLimit",
}  # fmt: skip
_TEXTS = {"cpuset-cpus": "CpusetCpus", "cpuset-mems": "CpusetMems"}


def _update(session: Session, parsed: Parsed) -> int:
    if not parsed.values:
        raise Exit(1, "you must provide one or more flags when using this command")
    body = changes(parsed)
    warnings: list[str] = []
    failures: list[str] = []
    for name in parsed.words:
        try:
            answer = session.engine.fetch_document(f"/containers/{quoted(name)}/update", method="POST", body=body)
        except RefusedByDaemon as refusal:
            failures.append(str(refusal))
            continue
        session.say(name)
        warnings += texts_of(answer, "Warnings")
    for warning in warnings:
        session.say(warning)
    if failures:
        raise Exit(1, "\n".join(failures))
    return 0


def changes(parsed: Parsed) -> Document:
    """The body of the request. Raises Exit for a restart policy that is none."""
    body: Document = {field: parsed.number(option) for option, field in _NUMBERS.items() if parsed.number(option)}
    body.update({field: parsed.text(option) for option, field in _TEXTS.items() if parsed.text(option)})
    if parsed.text("restart"):
        try:
            body["RestartPolicy"] = restart_policy(parsed.text("restart"))
        except ValueError as error:
            raise Exit(1, str(error)) from error
    return body


UPDATE = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Change limits and restart policy of containers",
    _update,
    (
        Option("blkio-weight", "uint16", "Relative weight of block I/O, 10 to 1000"),
        Option("cpu-period", "int", "Period of the CPU quota, microseconds"),
        Option("cpu-quota", "int", "CPU time per period, microseconds; -1 for no limit"),
        Option("cpu-rt-period", "int", "Period of real-time scheduling, microseconds"),
        Option("cpu-rt-runtime", "int", "Real-time CPU time per period, microseconds"),
        Option("cpu-shares", "int", "Relative weight of CPU time", "c"),
        Option("cpus", "decimal", "Number of CPUs, e.g. 1.5"),
        Option("cpuset-cpus", "string", "CPUs the container may use (0-3, 0,1)"),
        Option("cpuset-mems", "string", "Memory nodes the container may use (0-3, 0,1)"),
        Option("memory", "bytes", "Limit of memory", "m"),
        Option("memory-reservation", "bytes", "Soft limit of memory"),
        Option("memory-swap", "bytes", "Limit of memory and swap together; -1 for no limit", check="swap"),
        Option("pids-limit", "int", "Limit of processes; -1 for none"),
        Option("restart", "string", "When to start it again: no, on-failure[:N], always or unless-stopped"),
    ),
    words=(1, None),
    completes="container",
    examples=(
        "update --cpus 0.5 web",
        "update -m 512m --memory-swap 1g db cache",
        "update --restart unless-stopped web",
    ),
)
