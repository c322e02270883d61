"""`stats`: what containers use, once or as it goes on."""

from __future__ import annotations

from sampan.cli.failures import Exit
from sampan.cli.options import Command, Option
from sampan.cli.output.listing import HELP, Headings, row_lines, truncated
from sampan.cli.output.units import binary_size, decimal_size
from sampan.client import documents
from sampan.client.documents import list_of, number_of, object_of, objects_of, text_of
from sampan.client.engine import quoted
from sampan.client.failures import RefusedByDaemon
from sampan.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.cli.options import Parsed
    from sampan.cli.session import Session
    from sampan.client.documents import Document

    Draw = Callable[[list[tuple[str, Document | None]]], list[str]]
    """from names and samples, None where there is none, to lines"""

COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
HEADINGS = Headings(
    {
        "Container": "CONTAINER", "Name": "NAME", "ID": "CONTAINER ID", "CPUPerc": "CPU %", "MemUsage": "MEM USAGE / LIMIT",
        "MemPerc": "MEM %", "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
    }
)  # fmt: skip


def _stats(session: Session, parsed: Parsed) -> int:
    drawn = _drawing(session, parsed)
    if parsed.flag("no-stream"):
        names = parsed.words or running(session, everything=parsed.flag("all"))
        for line in drawn(_once(session, names)):
            session.say(line)
        return 0
    from sampan.cli.verbs.stats_live import follow

    return follow(session, parsed.words, parsed.flag("all"), drawn)


def _drawing(session: Session, parsed: Parsed) -> Draw:
    if parsed.flag("bars"):
        if parsed.text("format"):
            raise Exit(1, "--bars and --format cannot be used together")
        from sampan.cli.verbs.stats_bars import Bars

        return Bars().draw
    form = parsed.text("format") or text_of(session.config, "statsFormat")
    short = not parsed.flag("no-trunc")

    def table(samples: list[tuple[str, Document | None]]) -> list[str]:
        rows = [row(name, sample, short) for name, sample in samples]
        return row_lines(session, form, COLUMNS, HEADINGS, rows)

    return table


def running(session: Session, *, everything: bool) -> list[str]:
    """The short ids of running containers, or of all."""
    found = session.engine.fetch_list("/containers/json", {"all": "1" if everything else None})
    return [truncated(text_of(item, "Id")) for item in found]


def _once(session: Session, names: list[str]) -> list[tuple[str, Document | None]]:
    """A sample of each, asked for all at once: the daemon takes a second for it. Exit 1 with all refusals."""
    pending = [
        (name, session.engine.begin("GET", f"/containers/{quoted(name)}/stats", {"stream": "0"})) for name in names
    ]
    found: list[tuple[str, Document | None]] = []
    failures: list[str] = []
    for name, answer in pending:
        try:
            response = answer()
            found.append((name, documents.document(response.read())))
            response.wire.close()
        except RefusedByDaemon as refusal:
            failures.append(str(refusal))
    if failures:
        raise Exit(1, "\n".join(failures))
    return found


def row(name: str, sample: Document | None, short: bool) -> Row:
    """What templates and tables can show of one sample; dashes where there is none."""
    told = sample or {}

    def known(text: Callable[[], str], unknown: str = "--") -> Callable[[], str]:
        return text if sample is not None else lambda: unknown

    identifier = text_of(told, "id")
    fields = {
        "Container": lambda: name,
        "Name": lambda: text_of(told, "name")[1:] or "--",
        "ID": lambda: truncated(identifier) if short else identifier,
        "CPUPerc": known(lambda: f"{cpu_share(told):.2f}%"),
        "MemUsage": known(lambda: f"{binary_size(memory_used(told))} / {binary_size(memory_limit(told))}", "-- / --"),
        "MemPerc": known(lambda: f"{memory_used(told) / memory_limit(told) * 100 if memory_limit(told) else 0:.2f}%"),
        "NetIO": known(lambda: _both(*_network(told))),
        "BlockIO": known(lambda: _both(*_block(told))),
        "PIDs": known(lambda: str(number_of(object_of(told, "pids_stats"), "current"))),
    }
    return Row("*container.statsContext", fields)


def cpu_share(sample: Document) -> float:
    """Per cent of one processor since the sample before (the formula of the API's description)."""
    now, before = object_of(sample, "cpu_stats"), object_of(sample, "precpu_stats")
    used = object_of(now, "cpu_usage")
    spent = number_of(used, "total_usage") - number_of(object_of(before, "cpu_usage"), "total_usage")
    whole = number_of(now, "system_cpu_usage") - number_of(before, "system_cpu_usage")
    processors = number_of(now, "online_cpus") or len(list_of(used, "percpu_usage"))
    return spent / whole * processors * 100 if spent > 0 and whole > 0 else 0.0


def memory_used(sample: Document) -> int:
    """Memory without the part of the cache that nobody looks at: v1 and v2 call it differently."""
    memory = object_of(sample, "memory_stats")
    usage, details = number_of(memory, "usage"), object_of(memory, "stats")
    idle = number_of(details, "total_inactive_file" if "total_inactive_file" in details else "inactive_file")
    return usage - idle if idle < usage else usage


def memory_limit(sample: Document) -> int:
    """What the container may have, or the machine."""
    return number_of(object_of(sample, "memory_stats"), "limit")


def _network(sample: Document) -> tuple[int, int]:
    networks = object_of(sample, "networks")
    found = [object_of(networks, name) for name in networks]
    return sum(number_of(one, "rx_bytes") for one in found), sum(number_of(one, "tx_bytes") for one in found)


def _block(sample: Document) -> tuple[int, int]:
    entries = objects_of(object_of(sample, "blkio_stats"), "io_service_bytes_recursive")
    read, written = (
        sum(number_of(entry, "value") for entry in entries if text_of(entry, "op")[:1].lower() == letter)
        for letter in "rw"
    )
    return read, written


def _both(first: int, second: int) -> str:
    return f"{decimal_size(first, 3)} / {decimal_size(second, 3)}"


STATS = Command(
    "[OPTIONS] [CONTAINER...]",
    "Show what containers use, as it goes on",
    _stats,
    (
        Option("all", "bool", "Show stopped containers too", "a"),
        Option("bars", "bool", "Draw bars, and the last half minute (Sampan only)"),
        Option("format", "string", HELP),
        Option("no-stream", "bool", "Show it once and end"),
        Option("no-trunc", "bool", "Do not shorten ids"),
    ),
    words=(0, None),
    completes="running",
    examples=(
        "stats",
        "stats --no-stream web db",
        "stats --bars",
        "stats --format 'table {{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}'",
    ),
)
