"""The D-Bus of a scope's start against systemd's own (sd-bus(3), in libsystemd): it is answered however busy the other side is."""

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sampan.cgroups.dbus import Manager, Refused

LIBRARY = "libsystemd.so.0"
AWAY = 0.2
"""Seconds for which it looks at nothing after it has said OK, so that all that was sent by then is there in one read."""
TURN = 100_000
"""Microseconds that it waits for something to do."""


class Id(ctypes.Structure):
    """sd_id128_t"""

    _fields_ = (("bytes", ctypes.c_uint8 * 16),)


class Bus:
    """One connection's other end, as systemd has it: an sd-bus server on a loop of sd-event's."""

    def __init__(self, descriptor: int) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._library.sd_bus_set_server.argtypes = (ctypes.c_void_p, ctypes.c_int, Id)
        self._library.sd_event_run.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
        self._bus, self._loop = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("sd_event_new", ctypes.byref(self._loop))
        self._call("sd_bus_new", ctypes.byref(self._bus))
        self._call("sd_bus_set_fd", self._bus, descriptor, descriptor)
        self._call("sd_bus_set_server", self._bus, 1, Id((ctypes.c_uint8 * 16)(*range(16))))
        self._call("sd_bus_start", self._bus)
        self._call("sd_bus_attach_event", self._bus, self._loop, 0)

    def turn(self) -> None:
        """Do one thing, or nothing for a while."""
        self._call("sd_event_run", self._loop, TURN)

    def close(self) -> None:
        self._library.sd_bus_detach_event(self._bus)
        self._library.sd_bus_close_unref(self._bus)
        self._library.sd_event_unref(self._loop)

    def _call(self, name: str, *operands: object) -> None:
        answer = getattr(self._library, name)(*operands)
        if answer < 0:
            raise OSError(-answer, os.strerror(-answer), name)


@contextmanager
def busy_systemd(path: str) -> Iterator[None]:
    """Serves one connection, and takes its time between any two things that it does."""
    ended = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
        bus = Bus(client.detach())
        while not ended.wait(AWAY):
            bus.turn()
        bus.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_short_first_call_is_answered(tmp_path: Path) -> None:
    """With "BEGIN" in a write of its own after "OK" it is not, until something else is sent (systemd 252)."""
    path = str(tmp_path / "private")
    with busy_systemd(path):
        manager = Manager(10, path)
        with pytest.raises(Refused, match="UnknownObject"):  # nobody serves the object, and that is an answer
            manager.call("LoadUnit", "s", "system.slice")
        manager.close()
