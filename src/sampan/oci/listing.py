"""`list` and `ps`: tables, and JSON for programs."""

import json
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from sampan.errors import InvalidParameter, System
from sampan.oci import command_line, lifecycle
from sampan.oci.containers import everyone
from sampan.oci.options import Parsed

_SECONDS = 30


def list_all(first: Parsed, given: Parsed) -> int:
    """`list`."""
    states = [each.state(each.load()) for each in everyone(command_line.root(first))]
    if given.flag("quiet"):
        sys.stdout.writelines(f"{each.id}\n" for each in states)
    elif _format(given) == "json":
        print(msgspec.json.encode(states).decode())
    else:
        rows = [("ID", "PID", "STATUS", "BUNDLE", "CREATED")]
        rows += [(each.id, str(each.pid), each.status, each.bundle, each.created) for each in states]
        _table(rows)
    return 0


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _format(given: Parsed) -> str:
    text = given.text("format", "table")
    if text not in ("table", "json"):
        raise InvalidParameter(f"invalid format option {text[:40]!r}: table or json")
    return text


def ps(first: Parsed, given: Parsed) -> int:
    """The container's processes: their numbers as JSON, or those lines of the host's ps(1) that are theirs, as runc does it."""
    if not given.rest:
        raise InvalidParameter("the container's ID is needed")
    name, *options = given.rest
    pids = lifecycle.processes(command_line.container(first, name))
    if _format(given) == "json":
        print(json.dumps(pids))
        return 0
    try:
        done = subprocess.run(["ps", *(options or ["-ef"])], capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise System(f"unable to execute ps: {error}") from error
    if done.returncode:
        raise System(f"unable to execute ps: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
    sys.stdout.write("".join(f"{line}\n" for line in theirs(done.stdout.decode("utf-8", "replace"), pids)))
    return 0


def theirs(table: str, pids: Sequence[int]) -> list[str]:
    """The heading of ps(1), and the lines of these processes. Raises System for a table without a column PID."""
    heading, *lines = table.splitlines() or [""]
    columns = heading.split()
    if "PID" not in columns:
        raise System("unable to get the pids: no column PID in what ps writes")
    place, wanted = columns.index("PID"), set(map(str, pids))
    kept = [line for line in lines if len(words := line.split()) > place and words[place] in wanted]
    return ["".join(character if character.isprintable() else "?" for character in line) for line in [heading, *kept]]
