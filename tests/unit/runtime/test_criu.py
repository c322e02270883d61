"""criu's protocol: what is packed is what rpc.proto says, what is read is bounded, and a stage that fails takes all back."""

import os
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sampan.runtime import criu
from sampan.runtime.messages import pair


def decoded(message: bytes) -> dict[int, list[int | bytes]]:
    """A protobuf message by field; a decoder of its own, written from the encoding's description."""
    found: dict[int, list[int | bytes]] = {}
    data = list(message)

    def number() -> int:
        value = shift = 0
        while True:
            byte = data.pop(0)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while data:
        key = number()
        if key & 7 == 0:
            found.setdefault(key >> 3, []).append(number())
        else:
            assert key & 7 == 2
            size = number()
            found.setdefault(key >> 3, []).append(bytes(data[:size]))
            del data[:size]
    return found


def options(request: bytes) -> dict[int, list[int | bytes]]:
    inner = decoded(request)[2][0]
    assert isinstance(inner, bytes)
    return decoded(inner)


def test_a_dump_says_what_it_is_to_do() -> None:
    request = criu.dump_request(9, 70000, ["mnt[/etc/hosts]:/etc/hosts", "net[5]:n"], leave_running=True)
    assert decoded(request)[1] == [1]
    asked = options(request)
    assert asked[1] == [9]
    assert asked[2] == [70000]
    assert asked[3] == [1]
    assert asked[10] == [b"dump.log"]
    assert asked[12] == [1], "criu tells when it is done and waits"
    assert asked[34] == [0], "control groups are not criu's"
    assert asked[37] == [b"mnt[/etc/hosts]:/etc/hosts", b"net[5]:n"]
    assert asked[64] == [2], "a network is locked by nftables"
    assert options(criu.dump_request(9, 7, [], leave_running=False))[3] == [0]


def test_a_restore_says_what_takes_the_place_of_what() -> None:
    request = criu.restore_request(9, 8, "/run/root", ["mnt[/a]:/run/0"], [("pipe:[12]", 11), ("net", 300)])
    assert decoded(request)[1] == [2]
    asked = options(request)
    assert (asked[1], asked[13], asked[17]) == ([9], [b"/run/root"], [8])
    assert asked[37] == [b"mnt[/a]:/run/0"]
    inherited = [decoded(one) for one in asked[27] if isinstance(one, bytes)]
    assert inherited == [{1: [b"pipe:[12]"], 2: [11]}, {1: [b"net"], 2: [300]}]


@pytest.mark.parametrize(
    ("packet", "kind", "success", "pid", "script"),
    [
        (b"\x08\x01\x10\x01", 1, True, 0, ""),
        (b"\x08\x02\x10\x01\x22\x03\x08\xa8\x04", 2, True, 552, ""),
        (b"\x08\x06\x10\x01\x2a\x0f\x0a\x0bpost-resume\x10\x07", 6, True, 7, "post-resume"),
        # Members of a later criu are passed over, whatever their wire type.
        (b"\x08\x01\x7d\x01\x02\x03\x04\x71\x01\x02\x03\x04\x05\x06\x07\x08\x10\x00", 1, False, 0, ""),
        (b"", 0, False, 0, ""),
    ],
)
def test_answers(packet: bytes, kind: int, success: bool, pid: int, script: str) -> None:
    answer = criu.parse(packet)
    assert (answer.kind, answer.success, answer.pid, answer.script) == (kind, success, pid, script)


@pytest.mark.parametrize("packet", [b"\x08", b"\x08" + b"\xff" * 12, b"\x4a\x7fshort", b"\x0b", b"\x22\x02\x08"])
def test_what_is_no_message_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="no protocol buffer"):
        criu.parse(packet)


def test_noise_is_refused_or_read() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        try:
            criu.parse(chance.randbytes(chance.randrange(40)))
        except ValueError:
            continue


NOTIFY = b"\x08\x06\x10\x01\x2a\x0e\x0a\x0apost-event\x10\x07"
DUMPED = b"\x08\x01\x10\x01"
FAILED = b"\x08\x01\x10\x00"


def played(answers: list[bytes], play: Callable[[socket.socket], object]) -> list[bytes]:
    """Play criu's side with `answers`, one for each packet that comes; returns those packets."""
    ours, theirs = pair()
    heard: list[bytes] = []

    def be_criu() -> None:
        with theirs:
            for answer in answers:
                heard.append(theirs.recv(65536))
                theirs.send(answer)

    thread = threading.Thread(target=be_criu)
    thread.start()
    try:
        play(ours)
    finally:
        ours.close()
        thread.join(5)
    return heard


def test_a_stage_is_told_and_answered() -> None:
    stages: list[int] = []
    heard = played([NOTIFY, DUMPED], lambda ours: criu.converse(ours, b"request", {"post-event": stages.append}))
    assert stages == [7]
    assert heard == [b"request", criu.notified(True)]


def test_a_stage_that_fails_makes_criu_take_back_and_is_told() -> None:
    def full(_pid: int) -> None:
        raise OSError(28, "No space left on device")

    heard: list[bytes] = []

    def play(ours: socket.socket) -> None:
        with pytest.raises(OSError, match="No space left"):
            criu.converse(ours, b"request", {"post-event": full})

    heard = played([NOTIFY, NOTIFY, FAILED], play)
    assert heard[1:] == [criu.notified(False)] * 2


@pytest.mark.parametrize("answers", [[FAILED], [], [NOTIFY], [b"\xff\xff"]])
def test_a_criu_that_fails_or_goes_is_an_error(answers: list[bytes]) -> None:
    def play(ours: socket.socket) -> None:
        with pytest.raises(criu.CriuFailed):
            criu.converse(ours, b"request", {})

    played(answers, play)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("Error (criu/vdso.c:381): vdso: Unexpected\nError (x.c:1): later", "vdso: Unexpected"),
        ("(00.1) Error (criu/util.c:642): exited, status=1\n(00.2) Error (a.c:188): inet: Connected\n", "inet: Connected"),
        ("(00.548131)      7: Error (criu/files.c:1): in a task\n", "in a task"),
        ("(00.1) Warn  (a.c:1): not that\nfine\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_reason_is_the_first_error_that_is_one(log: str, said: str) -> None:
    assert criu.reason(log) == said


def test_a_log_is_read_in_part_and_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "dump.log").write_bytes(b"first\n" + b"x" * 3_000_000 + b"\nlast\n")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("secret")
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        text = criu.read_log(directory, "dump.log")
        assert text.startswith("first\n")
        assert text.endswith("\nlast\n")
        assert len(text) < 2_200_000
        assert criu.read_log(directory, "none") == ""
        with pytest.raises(OSError, match="symbolic links"):
            criu.read_log(directory, "link")
    finally:
        os.close(directory)
