"""Messages of D-Bus: laid out as the specification says, read back, and refused where they do not fit."""

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sampan.cgroups.dbus import Manager, Reader, Refused, Writer, split

Serve = Callable[[socket.socket], None]


def written(signature: str, value: Any) -> bytes:
    writer = Writer()
    writer.put(signature, value)
    return bytes(writer.data)


def test_signatures_fall_into_types() -> None:
    assert split("ssa(sv)a(sa(sv))") == ["s", "s", "a(sv)", "a(sa(sv))"]
    assert split("") == []
    assert split("aaua{sv}y") == ["aau", "a{sv}", "y"]
    with pytest.raises(OSError, match="does not end"):
        split("(s")


@pytest.mark.parametrize(
    ("signature", "value", "data"),
    [
        ("y", 7, b"\x07"),
        ("b", True, b"\1\0\0\0"),
        ("s", "ab", b"\2\0\0\0ab\0"),
        ("g", "au", b"\2au\0"),
        ("v", ("u", 5), b"\1u\0\0\5\0\0\0"),
        ("au", [1, 2], b"\x08\0\0\0\1\0\0\0\2\0\0\0"),
        ("at", [], b"\0\0\0\0\0\0\0\0"),
        ("(yt)", (1, 2), b"\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"),
        ("a(sv)", [("a", ("b", False))], b"\x10\0\0\0\0\0\0\0\1\0\0\0a\0\1b\0\0\0\0\0\0\0\0"),
    ],
)
def test_layout(signature: str, value: Any, data: bytes) -> None:
    if signature == "a(sv)":
        assert written(signature, value)[:19] == data[:19]
    else:
        assert written(signature, value) == data


@pytest.mark.parametrize(
    ("signature", "value"),
    [("s", "ü"), ("as", ["a", "", "ccc"]), ("a(sat)", [["x", [1, 1 << 63]], ["", []]]), ("x", -5), ("ay", [0, 255])],
)
def test_what_is_written_is_read(signature: str, value: Any) -> None:
    assert Reader(written(signature, value)).get(signature) == value


@pytest.mark.parametrize(
    ("signature", "data"), [("s", b"\xff\0\0\0a"), ("au", b"\xff\0\0\0"), ("t", b"1"), ("s", b"\1\0\0\0\xff\0")]
)
def test_what_does_not_fit_is_an_error(signature: str, data: bytes) -> None:
    with pytest.raises((IndexError, struct.error, UnicodeDecodeError)):
        Reader(data).get(signature)


def message(kind: int, fields: list[tuple[int, tuple[str, object]]], signature: str = "", *values: object) -> bytes:
    body = Writer()
    for each, value in zip(split(signature), values, strict=True):
        body.put(each, value)
    head = Writer(struct.pack("<4BII", ord("l"), kind, 0, 1, len(body.data), 1))
    head.put("a(yv)", [*fields, *([(8, ("g", signature))] if signature else [])])
    head.pad(8)
    return bytes(head.data + body.data)


@pytest.fixture
def systemd(tmp_path: Path) -> Callable[[Serve], str]:
    """A socket that greets as systemd does, and then does what it is told."""

    def serve(behaviour: Serve) -> str:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "private"))
        listener.listen()

        def run() -> None:
            with listener, listener.accept()[0] as client:
                client.settimeout(10)
                # Both at once: tests/kernel/cgroups/test_sd_bus.py.
                greeting = client.recv(64)
                assert greeting.startswith(b"\0AUTH EXTERNAL ")
                assert greeting.endswith(b"\r\nBEGIN\r\n")
                client.sendall(b"OK 1234\r\n")
                behaviour(client)

        threading.Thread(target=run, daemon=True).start()
        return str(tmp_path / "private")

    return serve


def test_a_call_its_answer_and_the_signals_between(systemd: Callable[[Serve], str]) -> None:
    def behaviour(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(message(4, [(3, ("s", "JobNew"))], "u", 1))
        # Nobody waits for it, and nobody looks into it.
        client.sendall(message(4, [(3, ("s", "Other")), (8, ("g", "d(z)"))]))
        client.sendall(message(4, [(3, ("s", "JobRemoved"))], "uoss", 1, "/job/1", "x.scope", "done"))
        client.sendall(message(2, [(5, ("u", 1))], "o", "/job/1"))

    manager = Manager(10, systemd(behaviour))
    assert manager.call("StartTransientUnit", "s", "x.scope") == ["/job/1"]
    assert manager.signal("JobRemoved", 10) == [1, "/job/1", "x.scope", "done"]
    manager.close()


def test_silence_is_no_signal_and_no_error(systemd: Callable[[Serve], str]) -> None:
    going = threading.Event()

    def behaviour(client: socket.socket) -> None:
        client.sendall(message(4, [(3, ("s", "JobNew"))], "u", 1))
        going.wait(10)

    manager = Manager(10, systemd(behaviour))
    assert manager.signal("JobRemoved", 0.01) is None
    going.set()
    manager.close()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            message(3, [(5, ("u", 1)), (4, ("s", "a.Error"))], "s", "no such unit"),
            Refused,
            r"no such unit \(a\.Error\)",
        ),
        (b"", OSError, "hung up"),
        (b"B" + bytes(15), OSError, "no message"),
        (struct.pack("<4BIII", ord("l"), 2, 0, 1, 1 << 30, 1, 0), OSError, "no message"),
        (message(2, [(5, ("u", 1)), (8, ("g", "s"))]), OSError, "cannot be read"),
    ],
)
def test_what_comes_instead(systemd: Callable[[Serve], str], answer: bytes, error: type[OSError], words: str) -> None:
    def behaviour(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(answer)

    manager = Manager(10, systemd(behaviour))
    with pytest.raises(error, match=words):
        manager.call("GetUnit", "s", "x")
    manager.close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Manager(1, str(tmp_path / "nothing"))
