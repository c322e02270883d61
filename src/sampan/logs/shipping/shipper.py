"""The shipper's process: a task for each job, told by inotify when jobs or logs change. Goes on whatever becomes of the daemon.

It ends when nothing is left to ship. The daemon sees that by the lock, and starts another one when there is more.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from sampan.kernel.inotify import Inotify, inotify_add_watch, inotify_init1
from sampan.kernel.landlock import Access, landlock_restrict, landlock_version
from sampan.kernel.process import Prctl, Title, prctl
from sampan.logs.shipping.jobs import LOCK, Job, read_jobs, unfinished
from sampan.logs.shipping.senders import MakeSender
from sampan.logs.shipping.shipment import Shipment

_LOOK = 1.0
_IDLE_LOOKS = 2
_AGAIN = 2.0
_EVENTS = Inotify.MODIFY | Inotify.CREATE | Inotify.MOVED_TO | Inotify.ONLYDIR
_ROOM = 1 << 16


class Shipper:
    """All jobs of one daemon, whose files lie in `directory`."""

    def __init__(self, directory: Path, others: MakeSender | None = None) -> None:
        self._others = others
        self._directory = directory
        self._shipments: dict[str, Shipment] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._changes = _watch()
        self._watched: set[str] = set()

    async def run(self) -> None:
        """Ship until nothing is left, or the directory is gone."""
        if self._changes >= 0:
            asyncio.get_running_loop().add_reader(self._changes, self._changed)
            self._watch(str(self._directory))
        idle = 0
        try:
            while idle < _IDLE_LOOKS:
                try:
                    jobs = read_jobs(self._directory)
                except FileNotFoundError:
                    return
                self._follow(jobs)
                idle = 0 if self._tasks else idle + 1
                await self._wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _follow(self, jobs: dict[str, Job]) -> None:
        for container in self._tasks.keys() - jobs.keys():
            # The container is gone, and whoever removed it has waited long enough.
            self._tasks[container].cancel()
        for container in unfinished(jobs):
            job = jobs[container]
            if container in self._tasks:
                if self._shipments[container].job != job:
                    self._shipments[container].update(job)
                continue
            self._watch(os.path.dirname(job.log))
            self._shipments[container] = Shipment(job, say, self._others)
            self._tasks[container] = asyncio.create_task(self._ship(container))

    async def _ship(self, container: str) -> None:
        try:
            await self._shipments[container].run()
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the boundary of a task: one container's log must not end the others'
            say(traceback.format_exc().strip())
            await asyncio.sleep(_AGAIN)
        finally:
            del self._tasks[container], self._shipments[container]
            self._news.set()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def _changed(self) -> None:
        """Something happened; what, is looked up."""
        try:
            while len(os.read(self._changes, _ROOM)) > _ROOM // 2:
                pass
        except BlockingIOError:
            pass
        self._news.set()
        for shipment in self._shipments.values():
            shipment.news.set()

    def _watch(self, directory: str) -> None:
        if self._changes < 0 or directory in self._watched:
            return
        try:
            inotify_add_watch(self._changes, os.fsencode(directory), _EVENTS)
        except OSError:
            # No such directory yet, or no more watches for this user: it is looked at once a second.
            return
        self._watched.add(directory)


def _watch() -> int:
    try:
        return inotify_init1()
    except OSError:
        return -1


def say(text: str) -> None:
    """A line to the daemon's log, which may be gone."""
    try:
        os.write(2, f"sampan shipper: {text}\n".encode())
    except OSError:
        return


def confine(logs: Path, fifos: Sequence[Path] = ()) -> None:
    """An extra lock, where the kernel has it: only below `logs` anything can be written, made or removed, and nothing is executed.

    FIFOs, which plugins read, are made and written below `fifos`; those that are missing are passed over.

    What programs said is read here and sent to whoever answers; reading stays open, for names are looked up and certificates
    loaded. For this thread and those that it starts.
    """
    version = landlock_version()
    if not version:
        return
    reading = Access.READ_FILE | Access.READ_DIR
    writing = Access.WRITE_FILE | Access.MAKE_REG | Access.REMOVE_FILE | Access.TRUNCATE
    piping = Access.WRITE_FILE | Access.MAKE_FIFO | Access.MAKE_DIR | Access.REMOVE_FILE
    allowed = [(Path("/"), reading), (logs, reading | writing)]
    allowed += [(place, reading | piping) for place in fifos if place.is_dir()]
    places = [os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for place, _ in allowed]
    try:
        prctl(Prctl.SET_NO_NEW_PRIVS, 1)
        landlock_restrict(zip(places, (access for _, access in allowed), strict=True), version)
    finally:
        for place in places:
            os.close(place)


def main(others: MakeSender | None = None) -> None:
    """Entry point. `sys.argv[1]`: the directory of the jobs; `[2]`: that above the logs; then those for FIFOs, and blanks.

    `others` makes senders for drivers that are not known here.
    """
    directory = Path(sys.argv[1])
    try:
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.lockf(lock, os.F_TLOCK, 0)
    except OSError:
        # Another one runs, or everything is gone.
        return
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    Title().set("sampan-shipper")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    confine(Path(sys.argv[2]), [Path(place) for place in sys.argv[3:-1]])
    asyncio.run(_until_told(directory, others))


async def _until_told(directory: Path, others: MakeSender | None) -> None:
    task = asyncio.create_task(Shipper(directory, others).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled() and (error := task.exception()) is not None:
        say("".join(traceback.format_exception(error)).strip())
