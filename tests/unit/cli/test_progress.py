"""How the progress of a pull is drawn: byte for byte as docker's command draws it."""

import os
import pty
import sys
from typing import Any

import pytest

from sampan.cli.failures import Exit
from sampan.cli.output.progress import WIDE, Progress, bar

LINES: list[dict[str, Any]] = [
    {"status": "Pulling from a", "id": "1"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "bbb"},
    {"status": "Downloading", "progressDetail": {"current": 512, "total": 2048}, "progress": "[x]", "id": "aaa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aaa"},
    {"status": "Digest: sha256:1"},
    {"progressDetail": {}, "aux": {"Tag": "1"}},
]


def test_in_a_pipe_bars_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1)
    for line in LINES:
        progress.show(line)
    assert capsys.readouterr().out == (
        "1: Pulling from a\naaa: Pulling fs layer\nbbb: Pulling fs layer\naaa: Pull complete\nDigest: sha256:1\n"
    )


def test_on_a_terminal_rows_are_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        progress = Progress(terminal.fileno())
        progress._file = terminal
        for line in LINES[:4]:
            progress.show(line)
    drawn = b""
    try:
        while data := os.read(master, 4096):
            drawn += data
    except OSError:
        os.close(master)  # EIO: nobody has the terminal any more
    drawn = drawn.replace(b"\r\n", b"\n")
    assert drawn == (
        b"1: Pulling from a\n"
        b"\n\x1b[1A\x1b[2K\raaa: Pulling fs layer \r\x1b[1B"
        b"\n\x1b[1A\x1b[2K\rbbb: Pulling fs layer \r\x1b[1B"
        b"\x1b[2A\x1b[2K\raaa: Downloading     512B/2.048kB\r\x1b[2B"
    )


@pytest.mark.parametrize(
    ("current", "total", "columns", "drawn"),
    [
        (0, 0, WIDE, ""),
        (5, 0, WIDE, "      5B"),
        (0, 100, WIDE, "[>" + " " * 50 + "]       0B/100B"),
        (50, 100, WIDE, "[" + "=" * 25 + ">" + " " * 25 + "]      50B/100B"),
        (100, 100, WIDE, "[" + "=" * 50 + ">]     100B/100B"),
        (50, 100, 80, "     50B/100B"),
        (200, 100, 80, "    200B"),
    ],
)
def test_bars(current: int, total: int, columns: int, drawn: str) -> None:
    assert bar(current, total, columns) == drawn


def test_an_error_ends_it() -> None:
    with pytest.raises(Exit, match=r"^no$"):
        Progress(1, quiet=True).show({"errorDetail": {"message": "no"}, "error": "no"})
