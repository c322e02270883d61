"""Logs that go elsewhere, from a program in a container to a collector that decodes what it gets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.api.certificates import make_certificate, server_context
from tests.api.collectors import Collector
from tests.daemons import Sampan, scrubbed_environment
from tests.processes import pids, title
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "mountns", "docker-client", "busybox")

SECONDS = 60


@pytest.fixture
def tcp() -> Iterator[Collector]:
    collector = Collector(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
    yield collector
    collector.stop()


@pytest.fixture
def udp() -> Iterator[Collector]:
    collector = Collector(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    yield collector
    collector.stop()


@pytest.fixture
def unix(tmp_path: Path) -> Iterator[Collector]:
    """One that can go and come back: nobody else takes a path meanwhile, as they might a port."""
    collector = Collector(socket.AF_UNIX, socket.SOCK_STREAM, str(tmp_path / "log"))
    yield collector
    collector.stop()


@pytest.fixture
def named(engine: Sampan) -> Iterator[str]:
    yield "shipped"
    engine.api("DELETE", "/containers/shipped?force=1&v=1")


def run(engine: Sampan, name: str, program: str, driver: str, *options: str, more: tuple[str, ...] = ()) -> str:
    flags = [word for option in options for word in ("--log-opt", option)]
    done = engine.docker(
        *("run", "-d", "--network", "none", "--name", name, "--log-driver", driver, *flags, *more),
        *("busybox", "sh", "-c", program),
    )
    assert done.code == 0, done
    return done.text


def shipper(engine: Sampan) -> int:
    """The process id of the engine's shipper, 0 where there is none."""
    lock = engine.exec_root / "shipping" / "shipper.lock"
    text = lock.read_text() if lock.exists() else ""
    found = int(text) if text else 0
    return found if found in pids() and title(found).startswith("sampan-shipper") else 0


COUNT = "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; echo oops >&2"


def test_syslog_over_tcp(engine: Sampan, named: str, tcp: Collector) -> None:
    options = (f"syslog-address=tcp://127.0.0.1:{tcp.port}", "syslog-format=rfc5424micro", "tag={{.Name}}")
    run(engine, named, COUNT, "syslog", *options, "syslog-facility=local3")
    eventually(lambda: tcp.data.count(b"\n") >= 501)
    lines = tcp.data.decode().splitlines()
    assert [line.rpartition(" - ")[2] for line in lines if line.startswith("<158>1 ")] == [
        f"line {n}" for n in range(500)
    ]
    assert [line.rpartition(" - ")[2] for line in lines if line.startswith("<155>1 ")] == ["oops"]
    assert lines[0].split(" ")[2:4] == [os.uname().nodename, named]
    read = engine.docker("logs", named)
    assert read.out.decode().splitlines() == [f"line {n}" for n in range(500)], "it can be read here, too"
    assert read.err == b"oops\n"


def test_a_collector_that_is_away_holds_nobody_up_and_gets_everything(
    engine: Sampan, named: str, unix: Collector
) -> None:
    unix.stop()
    run(engine, named, COUNT, "syslog", f"syslog-address=unix://{unix.address}")
    assert engine.docker("wait", named).text == "0", "the program ends, whoever listens"
    unix.start()
    eventually(lambda: unix.data.count(b"\n") >= 501)
    assert unix.data.count(b"line ") == 500


def test_a_container_that_goes_with_its_run_is_shipped_first(engine: Sampan, udp: Collector) -> None:
    address = f"syslog-address=udp://127.0.0.1:{udp.port}"
    flags = ("--log-driver", "syslog", "--log-opt", address, "--log-opt", "tag={{.ID}}")
    done = engine.docker("run", "--rm", "--network", "none", *flags, "busybox", "echo", "hello")
    assert done.text == "hello"
    eventually(lambda: bool(udp.packets))
    assert udp.packets[0].startswith(b"<30>")
    assert udp.packets[0].endswith(b"]: hello\n")


def test_what_was_rotated_away_is_counted_and_said(engine: Sampan, named: str, unix: Collector) -> None:
    unix.stop()
    bounds = ("cache-max-size=2k", "cache-max-file=2", "cache-compress=false")
    run(engine, named, COUNT, "syslog", f"syslog-address=unix://{unix.address}", *bounds)
    assert engine.docker("wait", named).text == "0"
    unix.start()
    eventually(lambda: b"oops\n" in unix.data)
    said = [line for line in unix.data.decode().splitlines() if "were lost before they could be sent" in line]
    sent = [line for line in unix.data.decode().splitlines() if "]: line " in line]
    lost = sum(int(line.partition("sampan: ")[2].split(" ")[0]) for line in said)
    assert lost > 100
    assert lost + len(sent) == 500


def test_fluentd(engine: Sampan, named: str, tcp: Collector) -> None:
    options = (
        f"fluentd-address=127.0.0.1:{tcp.port}",
        "labels=team",
        "fluentd-sub-second-precision=true",
        "tag=t.{{.Name}}",
    )
    container = run(engine, named, "echo hello; echo oops >&2", "fluentd", *options, more=("--label", "team=sea"))
    eventually(lambda: tcp.data.count(b"oops") == 1)
    decoder = msgspec.msgpack.Decoder()
    data, events = tcp.data, []
    while data:
        # One message after the other: each is an array of three.
        size = next(size for size in range(1, len(data) + 1) if _is_whole(decoder, data[:size]))
        events.append(decoder.decode(data[:size]))
        data = data[size:]
    assert [(event[0], event[2]["log"], event[2]["source"], event[2]["team"]) for event in events] == [
        ("t.shipped", "hello", "stdout", "sea"),
        ("t.shipped", "oops", "stderr", "sea"),
    ]
    assert events[0][2]["container_id"] == container
    assert events[0][2]["container_name"] == "/shipped"
    assert events[0][1].code == 0
    assert len(events[0][1].data) == 8


def _is_whole(decoder: msgspec.msgpack.Decoder[object], data: bytes) -> bool:
    try:
        decoder.decode(data)
    except msgspec.DecodeError:
        return False
    return True


def test_gelf(engine: Sampan, named: str, udp: Collector) -> None:
    options = (f"gelf-address=udp://127.0.0.1:{udp.port}", "gelf-compression-type=none", "env=WHO")
    run(engine, named, "echo hello", "gelf", *options, more=("-e", "WHO=me"))
    eventually(lambda: bool(udp.packets))
    message = json.loads(udp.packets[0])
    assert message["short_message"] == "hello"
    assert message["level"] == 6
    assert message["_container_name"] == named
    assert message["_WHO"] == "me"
    assert message["_command"] == "sh -c echo hello"
    assert abs(message["timestamp"] - time.time()) < 600


def test_followers_and_the_shipper_read_what_is_packed(engine: Sampan, named: str, tcp: Collector) -> None:
    """The log is rotated and packed under their eyes."""
    bounds = ("cache-max-size=4k", "cache-max-file=1000")
    program = "i=0; while [ $i -lt 1500 ]; do echo line $i; i=$((i+1)); [ $((i % 500)) = 0 ] && sleep 2; done"
    run(engine, named, program, "syslog", f"syslog-address=tcp://127.0.0.1:{tcp.port}", *bounds)
    followed = engine.docker("logs", "-f", named, timeout=120)
    assert followed.out.decode().splitlines() == [f"line {n}" for n in range(1500)]
    eventually(lambda: tcp.data.count(b"\n") >= 1500)
    assert [line.rpartition(b": ")[2].decode() for line in tcp.data.splitlines()] == [f"line {n}" for n in range(1500)]
    directory = engine.data_root / "containers"
    eventually(lambda: bool(list(directory.glob("*/container-cached.log.*.gz"))))
    assert engine.docker("logs", named).out.decode().splitlines() == [f"line {n}" for n in range(1500)]


def test_a_shipper_that_dies_is_replaced_and_goes_on_where_it_was(engine: Sampan, named: str, tcp: Collector) -> None:
    program = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done"
    run(engine, named, program, "syslog", f"syslog-address=tcp://127.0.0.1:{tcp.port}")
    eventually(lambda: tcp.data.count(b"\n") > 20)
    first = shipper(engine)
    assert first
    os.kill(first, signal.SIGKILL)
    eventually(lambda: shipper(engine) not in (0, first))
    before = tcp.data.count(b"\n")
    eventually(lambda: tcp.data.count(b"\n") > before + 20)
    whole = tcp.data.rpartition(b"\n")[0]
    numbers = [int(line.rpartition(b" ")[2]) for line in whole.splitlines() if b"]: line " in line]
    assert set(numbers) == set(range(max(numbers) + 1)), "nothing is missing; a few may come twice"


def test_it_goes_on_without_a_daemon_and_ends_when_nothing_is_left(tcp: Collector) -> None:
    sampan = Sampan()
    try:
        sampan.start()
        sampan.load_busybox()
        program = "i=0; while [ ! -e /tmp/stop ]; do echo line $i; i=$((i+1)); sleep 0.02; done"
        run(sampan, "lasting", program, "syslog", f"syslog-address=tcp://127.0.0.1:{tcp.port}")
        eventually(lambda: tcp.data.count(b"\n") > 5)
        first = shipper(sampan)
        sampan.kill()
        before = tcp.data.count(b"\n")
        eventually(lambda: tcp.data.count(b"\n") > before + 20)
        assert shipper(sampan) == first
        sampan.start()
        before = tcp.data.count(b"\n")
        eventually(lambda: tcp.data.count(b"\n") > before + 20)
        assert shipper(sampan) == first, "the new daemon found it"
        sampan.docker("rm", "-f", "lasting")
        eventually(lambda: shipper(sampan) == 0)
        assert not list((sampan.exec_root / "shipping").glob("*.job"))
    finally:
        sampan.remove()


@requires("rsyslogd")
def test_rsyslogd_understands_it(engine: Sampan, named: str, tmp_path: Path) -> None:
    path, out = tmp_path / "log.sock", tmp_path / "out"
    config = tmp_path / "rsyslog.conf"
    config.write_text(
        f'''module(load="imptcp")
input(type="imptcp" path="{path}" unlink="on")
template(name="fields" type="string" string="%syslogfacility-text%|%syslogseverity-text%|%programname%|%msg%\\n")
action(type="omfile" file="{out}" template="fields")
'''
    )
    # A copy: where AppArmor confines the installed one, it may neither read this configuration nor write here.
    found = shutil.which("rsyslogd", path=scrubbed_environment()["PATH"])
    assert found is not None
    program = shutil.copy(found, tmp_path / "rsyslogd")
    command = [program, "-n", "-f", str(config), "-i", str(tmp_path / "pid")]
    daemon = subprocess.Popen(command, env=scrubbed_environment())
    try:
        eventually(path.exists)
        run(engine, named, COUNT, "syslog", f"syslog-address=unix://{path}", "syslog-facility=mail", "tag=boat")
        eventually(lambda: out.exists() and out.read_bytes().count(b"\n") >= 501)
        lines = out.read_text().splitlines()
        numbered = [f"mail|info|boat| line {n}" for n in range(500)]
        assert [line for line in lines if line.startswith("mail|info|boat|")] == numbered
        assert [line for line in lines if line.startswith("mail|err|boat|")] == ["mail|err|boat| oops"]
    finally:
        daemon.terminate()
        daemon.wait(30)


def test_syslog_over_tls(engine: Sampan, named: str, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    context = server_context(tmp_path)
    received: list[bytes] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) as secret:
                while piece := secret.recv(1 << 16):
                    received.append(piece)

        threading.Thread(target=serve, daemon=True).start()
        files = {"ca-cert": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
        options = [f"syslog-tls-{name}={tmp_path / file}" for name, file in files.items()]
        address = f"syslog-address=tcp+tls://localhost:{listening.getsockname()[1]}"
        run(engine, named, "echo hello", "syslog", address, "syslog-format=rfc5424", *options)
        eventually(lambda: b"".join(received).endswith(b" - hello\n"))
    length, _, message = b"".join(received).partition(b" ")
    assert int(length) == len(message), "octet counting (RFC 5425)"


JOURNAL = "/run/systemd/journal/socket"


@pytest.mark.skipif(
    os.path.exists(JOURNAL), reason="journald: the machine's own listens, and its journal is not ours to write"
)
def test_journald(engine: Sampan, named: str) -> None:
    made = [path for path in ("/run/systemd", "/run/systemd/journal") if not os.path.exists(path)]
    for path in made:
        os.mkdir(path)
    try:
        journal = Collector(socket.AF_UNIX, socket.SOCK_DGRAM, JOURNAL)
        container = run(engine, named, "echo hello; echo oops >&2", "journald", "tag={{.ImageName}}/{{.Name}}")
        eventually(lambda: len(journal.packets) == 2)
        journal.stop()
    finally:
        if os.path.exists(JOURNAL):
            os.unlink(JOURNAL)
        for path in reversed(made):
            os.rmdir(path)
    out, err = (dict(line.split("=", 1) for line in packet.decode().splitlines()) for packet in journal.packets)
    assert (out["MESSAGE"], out["PRIORITY"], err["MESSAGE"], err["PRIORITY"]) == ("hello", "6", "oops", "3")
    assert out["CONTAINER_ID_FULL"] == container
    assert (out["CONTAINER_NAME"], out["SYSLOG_IDENTIFIER"]) == (named, "busybox/shipped")
