"""Drivers that installed Python packages declare, as plugins: found by their entry points, each served by a process of its own.

A driver's process is started when it is first asked for, and again by the next call after it died. Its socket is made here and
listens before the process does: whoever connects early waits for it. It holds nothing of the daemon's, and ends with it.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from sampan.files.atomic import make_directory
from sampan.plugins.declared import declared
from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Address, is_plain

_log = logging.getLogger("sampan.plugins")
_REST_SECONDS = 5.0
"""How long a driver is left alone that ended before it had lasted as long: otherwise each call would start it anew."""
_END_SECONDS = 5.0
_WAITING = 128
"""Connections that wait while its process starts."""


class Installed:
    """Implements `places.Source`. Starting a process is all that any of it waits for. Any thread may ask `find`."""

    def __init__(self, sockets: Path, homes: Path, environment: Mapping[str, str]) -> None:
        """`sockets`: a directory for them, made when it is needed; `homes`: one for each driver's own files, likewise."""
        self._sockets = sockets
        self._homes = homes
        self._environment = environment
        self._running: dict[str, _Running] = {}
        self._known: dict[str, frozenset[str]] = {}
        self._looked_at: tuple[int, ...] | None = None
        self._lock = threading.Lock()

    def names(self, kind: str) -> tuple[str, ...]:
        """See `Source`."""
        self._look()
        return tuple(sorted(name for name, kinds in self._known.items() if kind in kinds))

    def has(self, name: str, kind: str) -> bool:
        """Whether a driver is declared as one of that kind, without starting it."""
        self._look()
        return kind in self._known.get(name, ())

    def find(self, name: str) -> Address | None:
        """See `Source`. Raises PluginFailed where its process cannot be started, or ended as soon as it had begun."""
        self._look()
        if name not in self._known:
            return None
        with self._lock:
            running = self._running.get(name)
            if running is None or running.is_over():
                running = self._running[name] = self._start(name)
        return Address(socket=str(running.path), home=str(self._homes / name))

    def close(self) -> None:
        """See `Source`. All end."""
        for running in self._running.values():
            running.end()
        self._running.clear()

    def _look(self) -> None:
        places = _changed_at(sys.path)
        if places == self._looked_at:
            return
        known: dict[str, set[str]] = {}
        for name, kind in declared(sys.path):
            if is_plain(name):
                known.setdefault(name, set()).add(kind)
        self._known = {name: frozenset(kinds) for name, kinds in known.items()}
        self._looked_at = places

    def _start(self, name: str) -> "_Running":
        try:
            home = self._homes / name
            for directory in (self._sockets, self._homes, home):
                make_directory(directory, 0o700)
            path = self._sockets / f"{name}.sock"
            return _Running(name, path, _started(name, home, path, self._environment))
        except OSError as error:
            raise PluginFailed(f"plugin {name}: its process could not be started: {error}") from error


class _Running:
    """A driver's process."""

    def __init__(self, name: str, path: Path, process: subprocess.Popen[bytes]) -> None:
        self.path = path
        self._name = name
        self._process = process
        self._began = time.monotonic()
        self._ended = 0.0

    def is_over(self) -> bool:
        """Whether it ended, and may be started again. Raises PluginFailed where that would be too soon."""
        status = self._process.poll()
        if status is None:
            return False
        if not self._ended:
            self._ended = time.monotonic()
            self.path.unlink(missing_ok=True)
            _log.error("plugin %s: its process ended with %d", self._name, status)
        if self._ended - self._began < _REST_SECONDS and time.monotonic() < self._ended + _REST_SECONDS:
            raise PluginFailed(
                f"plugin {self._name}: its process ended with {status} as soon as it had begun; the daemon's log has what it said"
            )
        return True

    def end(self) -> None:
        """It goes when the pipe closes that only the daemon holds; it is killed where it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.path.unlink(missing_ok=True)


def _changed_at(places: Iterable[str]) -> tuple[int, ...]:
    """When directories last changed, which installing does: asking all packages for what they declare takes milliseconds."""
    found = []
    for place in places:
        try:
            found.append(os.stat(place or ".").st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


def _started(name: str, home: Path, path: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(_WAITING)
        command = [sys.executable, "-m", "sampan.drivers.host", str(listening.fileno()), name, str(home)]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
            pass_fds=[listening.fileno()],
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd="/",
            start_new_session=True,
        )
