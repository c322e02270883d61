"""What goes over the wire, decoded by somebody else's library or by hand."""

import asyncio
import gzip
import json
import os
import re
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from sampan.logs.shipping.fluentd import Fluentd
from sampan.logs.shipping.gelf import Gelf
from sampan.logs.shipping.jobs import Facts
from sampan.logs.shipping.journald import Journald, field_name
from sampan.logs.shipping.senders import Sender
from sampan.logs.shipping.source import Partial, Record
from sampan.logs.shipping.syslog import Syslog
from sampan.logs.shipping.transports import Undelivered

FACTS = Facts(
    id="c" * 64,
    name="web",
    image_id="sha256:" + "a" * 64,
    image_name="nginx:1",
    command="nginx -g x",
    created="2026-11-24T12:00:00Z",
    tag="t/1",
    hostname="host",
    extra={"team": "sea", "_under": "score"},
)
NOON = 1_795_521_600_123_456_789  # 2026-11-24T12:00:00.123456789Z
HELLO = Record(1, b"hello", NOON)
OOPS = Record(2, b"oops \xff", NOON)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.localtime", __import__("time").gmtime)


@pytest.fixture
def packets() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        yield sock


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.settimeout(20)
        yield sock


def send(sender: Sender, *records: Record) -> None:
    async def whole() -> None:
        try:
            await sender.send(list(records))
        finally:
            await sender.close()

    asyncio.run(whole())


def received(listening: socket.socket, sender: Sender, *records: Record) -> bytes:
    """Everything that a connection brings."""
    found: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            while piece := connection.recv(1 << 16):
                found.append(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    send(sender, *records)
    thread.join(20)
    return b"".join(found)


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("", rb"<30>Nov 24 12:00:00 t/1\[(\d+)\]: hello\n"),
        ("rfc3164", rb"<30>Nov 24 12:00:00 host t/1\[(\d+)\]: hello\n"),
        ("rfc5424", rb"<30>1 2026-11-24T12:00:00Z host t/1 (\d+) t/1 - hello\n"),
        ("rfc5424micro", rb"<30>1 2026-11-24T12:00:00\.123456Z host t/1 (\d+) t/1 - hello\n"),
    ],
)
def test_syslog_packets(packets: socket.socket, form: str, shown: bytes) -> None:
    address = f"udp://127.0.0.1:{packets.getsockname()[1]}"
    send(Syslog({"syslog-address": address, "syslog-format": form}, FACTS), HELLO)
    found = re.fullmatch(shown, packets.recv(1000))
    assert found is not None
    assert int(found[1]) == os.getpid()


def test_syslog_severity_and_facility(packets: socket.socket) -> None:
    address = f"udp://127.0.0.1:{packets.getsockname()[1]}"
    send(Syslog({"syslog-address": address, "syslog-facility": "local7"}, FACTS), HELLO, OOPS)
    assert packets.recv(1000).startswith(b"<190>")
    second = packets.recv(1000)
    assert second.startswith(b"<187>")
    assert second.endswith(b"]: oops \xff\n")


def test_syslog_over_a_stream_is_a_line_each(listening: socket.socket) -> None:
    address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    data = received(listening, Syslog({"syslog-address": address}, FACTS), HELLO, OOPS)
    assert [line.rpartition(b": ")[2] for line in data.splitlines()] == [b"hello", b"oops \xff"]


@pytest.mark.parametrize("kind", ["unixgram", "unix"])
def test_syslog_to_a_unix_socket(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "unixgram" else socket.SOCK_STREAM) as sock:
        sock.bind(path)
        sock.settimeout(20)
        sender = Syslog({"syslog-address": f"{kind}://{path}"}, FACTS)
        if kind == "unix":
            sock.listen()
            data = received(sock, sender, HELLO)
        else:
            send(sender, HELLO)
            data = sock.recv(1000)
    assert data.endswith(b"]: hello\n")


def test_an_unreachable_collector_is_told_in_words(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    listening.close()
    with pytest.raises(Undelivered, match=r"[Cc]onnect"):
        send(Syslog({"syslog-address": f"tcp://127.0.0.1:{port}"}, FACTS), HELLO)
    with pytest.raises(Undelivered, match=r"[Cc]onnect"):
        send(Fluentd({"fluentd-address": f"127.0.0.1:{port}"}, FACTS), HELLO)
    with pytest.raises(Undelivered, match=r"[Cc]onnect"):
        send(Gelf({"gelf-address": f"tcp://127.0.0.1:{port}"}, FACTS), HELLO)
    with pytest.raises(Undelivered, match="No such file"):
        send(Journald({}, FACTS, "/nowhere/at/all"), HELLO)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_host_name_that_is_none_is_told_in_words(kind: str) -> None:
    with pytest.raises(Undelivered, match="is no host name"):
        send(Syslog({"syslog-address": f"{kind}://{'x' * 64}.example:514"}, FACTS), HELLO)


def fluentd(listening: socket.socket, **options: str) -> Fluentd:
    named = {f"fluentd-{name.replace('_', '-')}": value for name, value in options.items()}
    return Fluentd({"fluentd-address": f"127.0.0.1:{listening.getsockname()[1]}", **named}, FACTS)


def test_fluentd_messages(listening: socket.socket) -> None:
    piece = Record(1, b"piece", NOON, Partial("id", 2, False))
    data = received(listening, fluentd(listening), piece)
    tag, moment, event = msgspec.msgpack.decode(data)
    assert (tag, moment) == ("t/1", NOON // 10**9)
    assert event == {
        "container_id": "c" * 64,
        "container_name": "/web",
        "source": "stdout",
        "log": "piece",
        "team": "sea",
        "_under": "score",
        "partial_message": "true",
        "partial_id": "id",
        "partial_ordinal": "2",
        "partial_last": "false",
    }


def test_fluentd_waits_for_its_acknowledgement(listening: socket.socket) -> None:
    asked: list[object] = []

    def serve() -> None:
        for answer in ("another", ""):
            connection, _ = listening.accept()
            with connection:
                message = msgspec.msgpack.decode(connection.recv(1 << 16))
                asked.append(message)
                connection.sendall(msgspec.msgpack.encode({"ack": answer or message[2]["chunk"]}))

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(Undelivered, match="of something else"):
        send(fluentd(listening, request_ack="true"), HELLO)
    send(fluentd(listening, request_ack="true", sub_second_precision="true"), HELLO, OOPS)
    thread.join(20)
    message = asked[1]
    assert isinstance(message, list)
    assert [event[1]["log"] for event in message[1]] == ["hello", "oops \ufffd"]
    seconds, fraction = struct.unpack(">II", message[1][0][0].data)
    assert seconds * 10**9 + fraction == NOON


@pytest.mark.parametrize(
    ("compression", "unpack"), [("gzip", gzip.decompress), ("zlib", zlib.decompress), ("none", bytes)]
)
def test_gelf_packets(packets: socket.socket, compression: str, unpack: Callable[[bytes], bytes]) -> None:
    address = f"udp://127.0.0.1:{packets.getsockname()[1]}"
    options = {"gelf-address": address, "gelf-compression-type": compression, "gelf-compression-level": "-1"}
    noise = os.urandom(4000).hex().encode()
    send(Gelf(options, FACTS), OOPS, Record(1, noise, NOON))
    assert json.loads(unpack(packets.recv(2000))) == {
        "version": "1.1",
        "host": "host",
        "short_message": "oops \ufffd",
        "timestamp": NOON // 10**6 / 1000,
        "level": 3,
        "_container_id": "c" * 64,
        "_container_name": "web",
        "_image_id": FACTS.image_id,
        "_image_name": "nginx:1",
        "_command": "nginx -g x",
        "_tag": "t/1",
        "_created": "2026-11-24T12:00:00Z",
        "_team": "sea",
        "_under": "score",
    }
    chunks: dict[int, bytes] = {}
    count = 2
    names = set()
    while len(chunks) < count:
        chunk = packets.recv(2000)
        assert len(chunk) <= 1420
        magic, name, number, count = struct.unpack(">2s8sBB", chunk[:12])
        assert magic == b"\x1e\x0f"
        names.add(name)
        chunks[number] = chunk[12:]
    assert len(names) == 1
    whole = json.loads(unpack(b"".join(chunks[number] for number in range(count))))
    assert whole["short_message"] == noise.decode()


def test_gelf_over_tcp_ends_each_with_a_nul(listening: socket.socket) -> None:
    address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    data = received(listening, Gelf({"gelf-address": address}, FACTS), HELLO, OOPS)
    messages = [json.loads(message) for message in data.split(b"\0")[:-1]]
    assert [message["short_message"] for message in messages] == ["hello", "oops \ufffd"]
    assert data.endswith(b"\0")


def journal_fields(entry: bytes) -> dict[str, bytes]:
    """The native protocol (systemd's JOURNAL_NATIVE_PROTOCOL), read by the book."""
    found = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        found[name.decode()] = value
        entry = rest
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "socket"))
        sock.settimeout(20)
        yield sock


def test_journal_entries(journal: socket.socket) -> None:
    piece = Record(2, b"piece \xff", NOON, Partial("id", 1, False))
    send(Journald({}, FACTS, journal.getsockname()), piece, HELLO)
    assert journal_fields(journal.recv(1 << 16)) == {
        "MESSAGE": b"piece \xff",
        "PRIORITY": b"3",
        "SYSLOG_TIMESTAMP": b"2026-11-24T12:00:00.123456789Z",
        "CONTAINER_ID": b"c" * 12,
        "CONTAINER_ID_FULL": b"c" * 64,
        "CONTAINER_NAME": b"web",
        "CONTAINER_TAG": b"t/1",
        "IMAGE_NAME": b"nginx:1",
        "SYSLOG_IDENTIFIER": b"t/1",
        "TEAM": b"sea",
        "UNDER": b"score",
        "CONTAINER_PARTIAL_MESSAGE": b"true",
        "CONTAINER_PARTIAL_ID": b"id",
        "CONTAINER_PARTIAL_ORDINAL": b"1",
        "CONTAINER_PARTIAL_LAST": b"false",
    }
    second = journal_fields(journal.recv(1 << 16))
    assert (second["MESSAGE"], second["PRIORITY"]) == (b"hello", b"6")
    assert "CONTAINER_PARTIAL_MESSAGE" not in second


def test_a_large_journal_entry_rides_in_a_sealed_file(journal: socket.socket) -> None:
    large = msgspec.structs.replace(FACTS, extra={"BIG": "line\n" * 100_000})
    send(Journald({}, large, journal.getsockname()), HELLO)
    data, descriptors, _, _ = socket.recv_fds(journal, 100, 4)
    assert data == b""
    with open(descriptors[0], "rb") as file:
        fields = journal_fields(os.pread(file.fileno(), 1 << 20, 0))
    assert fields["MESSAGE"] == b"hello"
    assert fields["BIG"] == b"line\n" * 100_000


@pytest.mark.parametrize(
    ("text", "name"), [("com.example.team", "COM_EXAMPLE_TEAM"), ("__x", "X"), ("é", ""), ("a" * 80, "A" * 64)]
)
def test_field_names(text: str, name: str) -> None:
    assert field_name(text) == name
