"""What the keeper answers to questions that nobody should ask."""

import json
import socket
import subprocess
from typing import Any, cast

import pytest

from sampan.rootless.keeper import Keeper


class Called:
    """A listener at which somebody has called."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def accept(self) -> tuple[socket.socket, str]:
        return self._end, ""


def asked(question: bytes) -> dict[str, Any]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.send(question)
        Keeper(cast("socket.socket", Called(theirs)), -1)._serve()
        answer: dict[str, Any] = json.loads(ours.recv(1 << 16))
        return answer


def test_nobody_is_released_but_holders_of_its_own() -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            assert "is no holder" in asked(json.dumps({"want": "release", "holder": other.pid}).encode())["error"]
            assert other.poll() is None
        finally:
            other.kill()


@pytest.mark.parametrize(
    "question",
    [
        b"{",
        b"[]",
        b"null",
        b"[" * 4000,
        b'{"want": "socket", "type": []}',
        b"{}",
        b'{"want": "release", "holder": 1e999}',
    ],
)
def test_what_is_no_question_is_answered(question: bytes) -> None:
    assert asked(question)["error"].startswith("not understood: ")
