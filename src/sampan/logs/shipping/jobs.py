"""What the daemon wants shipped, and how far the shipper got: one small file for each, replaced at once.

A job lies in the exec-root and is the daemon's; the position lies beside the log and is the shipper's. Neither process waits
for the other, and either may be gone.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from sampan.files.atomic import write_atomic
from sampan.logs.log_file import first_number

LOCK = "shipper.lock"
"""In the directory of the jobs: locked as long as a shipper runs; holds its process id."""
_MOST_BYTES = 1 << 22
_HEAD = 64
_SUFFIX = ".job"


class Facts(msgspec.Struct, frozen=True):
    """The container, as formats speak of it. Ids are whole; `tag` is rendered; `extra` are the chosen labels and variables."""

    id: str
    name: str
    image_id: str
    image_name: str
    command: str
    created: str
    tag: str
    hostname: str
    extra: dict[str, str] = {}


class Job(msgspec.Struct, frozen=True):
    """One container's log. `run` names the run that this is about; `running` is false when nothing more will be written."""

    driver: str
    options: dict[str, str]
    log: str
    facts: Facts
    run: int
    running: bool
    plugin: str = ""
    """for a driver that is a plugin, what its sender has to know (`plugins.log_sender.Target`)"""

    @property
    def position(self) -> Path:
        """Where the shipper keeps how far it got."""
        return Path(self.log + ".shipped")


class Position(msgspec.Struct, frozen=True):
    """`record` is the number of the next record to send; `offset` where it begins in the file that begins with record `file`.

    `finished` is the run whose records are all sent, or given up.
    """

    record: int = 0
    file: int = -1
    offset: int = 0
    finished: int = 0


_jobs = msgspec.json.Decoder(Job)
_positions = msgspec.json.Decoder(Position)


def job_file(directory: Path, container: str) -> Path:
    """Where the job of a container lies."""
    return directory / (container + _SUFFIX)


def write_job(directory: Path, job: Job) -> None:
    """Put a job there, or replace it. Raises OSError."""
    write_atomic(job_file(directory, job.facts.id), msgspec.json.encode(job), durable=False)


def read_jobs(directory: Path) -> dict[str, Job]:
    """Every job, by container. Raises FileNotFoundError where the directory is gone."""
    found = {}
    for path in directory.iterdir():
        if path.suffix == _SUFFIX and (job := _read_job(path)) is not None:
            found[path.stem] = job
    return found


def _read_job(path: Path) -> Job | None:
    try:
        with path.open("rb") as file:
            return _jobs.decode(file.read(_MOST_BYTES))
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_position(path: Path) -> Position:
    """How far the shipper got; the beginning where nothing says so."""
    try:
        with path.open("rb") as file:
            return _positions.decode(file.read(_MOST_BYTES))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Position()


class End(NamedTuple):
    """Where a log ends: the number of its current file's first record, the file's size, and whether there is a record in it."""

    first: int
    size: int
    empty: bool


def end_of(log: str) -> End:
    """Where the log ends now. Raises OSError, but for one that is not there yet."""
    try:
        with open(log, "rb") as file:
            head = file.read(_HEAD)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return End(0, 0, True)
    return End(first_number(head) or 0, size, size <= len(head.partition(b"\n")[0]) + 1)


def is_sent(position: Position, end: End) -> bool:
    """Whether everything before that end is sent."""
    if end.empty:
        return position.record >= end.first
    return position.file > end.first or (position.file == end.first and position.offset >= end.size)


def write_position(path: Path, position: Position) -> None:
    """Keep it. Raises OSError."""
    write_atomic(path, msgspec.json.encode(position), mode=0o640, durable=False)


def unfinished(jobs: dict[str, Job]) -> Iterator[str]:
    """Containers of which something may be left to send."""
    for container, job in jobs.items():
        if job.running or read_position(job.position).finished != job.run:
            yield container
