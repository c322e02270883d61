"""What is shown of a build's events: lines in a pipe, frames on a terminal, BuildKit's messages for programs."""

import base64
import io
import json
import os
import pty
from typing import Any

import msgspec
import pytest

from sampan.build.progress import AmountEvent, Event, LogEvent, Number, VertexEvent, WarningEvent, wire
from sampan.cli.build.board import STREAM, Board, Row
from sampan.cli.build.live import Live, fitted, frame, plain_text
from sampan.cli.build.plain import Plain
from sampan.cli.build.rawjson import RawJson
from sampan.client import documents
from sampan.client.documents import MalformedDocument, object_of

SECOND = 1_000_000_000
ONE, TWO, THREE = Number(1), Number(2), Number(3)


def vertex(number: Number, name: str, started: float = 0, completed: float = 0, **more: Any) -> VertexEvent:
    return VertexEvent(
        vertex=number, name=name, started=int(started * SECOND), completed=int(completed * SECOND), **more
    )


EVENTS: list[Event] = [
    vertex(ONE, "[1/3] FROM busybox"),
    vertex(TWO, "[2/3] RUN make", inputs=(ONE,)),
    vertex(THREE, "[3/3] RUN test", inputs=(TWO,)),
    vertex(ONE, "[1/3] FROM busybox", 100),
    AmountEvent(vertex=ONE, part="layer", at=101 * SECOND, current=500, total=1000),
    AmountEvent(vertex=ONE, part="layer", at=101 * SECOND, current=1000, total=1000, completed=101 * SECOND),
    vertex(ONE, "[1/3] FROM busybox", 100, 101.5),
    vertex(TWO, "[2/3] RUN make", 102, why="environment VERSION changed"),
    LogEvent(vertex=TWO, at=103 * SECOND, data=b"gcc -c\npart"),
    LogEvent(vertex=TWO, at=103 * SECOND, data=b"warning\n", stream=2),
    LogEvent(vertex=TWO, at=104 * SECOND, data=b"ly\nlast"),
    vertex(TWO, "[2/3] RUN make", 102, 105, why="environment VERSION changed"),
    vertex(THREE, "[3/3] RUN test", 105, 105, cached=True),
]


def shown(board: Board, events: list[Event]) -> None:
    """As they come: through the daemon's form and the client's reader."""
    for event in events:
        line = documents.document(wire(event))
        assert line["id"] == STREAM
        board.take(object_of(line, "aux"))


def test_lines() -> None:
    file = io.StringIO()
    shown(Board(Plain(file)), EVENTS)
    assert file.getvalue() == (
        "#1 [1/3] FROM busybox\n"
        "#1 layer 1kB / 1kB 1.0s done\n"
        "#1 DONE 1.5s\n"
        "\n"
        "#2 [2/3] RUN make\n"
        "#2 1.000 gcc -c\n"
        "#2 1.000 warning\n"
        "#2 2.000 partly\n"
        "#2 3.000 last\n"
        "#2 not cached: environment VERSION changed\n"
        "#2 DONE 3.0s\n"
        "\n"
        "#3 [3/3] RUN test\n"
        "#3 CACHED\n"
    )


def test_lines_of_a_failure() -> None:
    file = io.StringIO()
    board = Board(Plain(file))
    shown(board, [vertex(ONE, "RUN false", 1), vertex(ONE, "RUN false", 1, 2, error="exit code: 1")])
    assert file.getvalue() == "#1 RUN false\n#1 ERROR: exit code: 1\n"
    assert board.failed is board.rows[1]


def test_what_failed_first_is_to_blame() -> None:
    board = Board(Plain(io.StringIO()))
    shown(
        board,
        [
            vertex(ONE, "a", 1, 2, error="context canceled"),
            vertex(TWO, "b", 1, 4, error="exit code: 2"),
            vertex(THREE, "c", 1, 3, error="exit code: 1"),
        ],
    )
    assert board.failed is board.rows[3]


class Quiet:
    def changed(self, *_: object) -> None: ...
    def logged(self, *_: object) -> None: ...
    def advanced(self, *_: object) -> None: ...
    def warned(self, *_: object) -> None: ...
    def close(self, *_: object) -> None: ...


def rows(events: list[Event]) -> list[Row]:
    board = Board(Quiet())
    shown(board, events)
    return sorted((row for row in board.rows.values() if row.shown), key=lambda row: row.shown)


def text(lines: list[Any]) -> list[str]:
    return [line.text for line in lines]


def test_a_frame_while_it_runs() -> None:
    assert text(frame(rows(EVENTS[:10]), 100, 104, 61, "")) == [
        "[+] Building 4.0s (1/2)",
        " => [1/3] FROM busybox                                  1.5s",
        " => => layer 1kB / 1kB                                  1.0s",
        " => [2/3] RUN make                                      2.0s",
        " => => because environment VERSION changed",
        " => => # gcc -c",
        " => => # warning",
    ]


def test_the_last_frame() -> None:
    assert text(frame(rows(EVENTS), 100, 106, 61, "FINISHED")) == [
        "[+] Building 6.0s (3/3) FINISHED",
        " => [1/3] FROM busybox                                  1.5s",
        " => => layer 1kB / 1kB                                  1.0s",
        " => [2/3] RUN make                                      3.0s",
        " => => because environment VERSION changed",
        " => CACHED [3/3] RUN test                               0.0s",
    ]


def test_what_is_done_makes_room() -> None:
    lines = frame(rows(EVENTS[:10]), 100, 104, 61, "")
    assert text(fitted(lines, 6)) == [lines[0].text, *(line.text for line in lines[3:])][:5]
    assert text(fitted(lines, 4)) == [lines[0].text, lines[3].text, lines[6].text]
    assert text(fitted(lines, 1)) == [lines[0].text, lines[3].text]
    assert fitted(lines, 50) == lines


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("50%\r100%", "100%"),
        ("\x1b[31mred\x1b[0m text", "red text"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07 x", "0;title x"),
        ("a\tb", "a       b"),
        ("\x1b", ""),
        ("\x9b31m", "31m"),
    ],
)
def test_a_programs_text_moves_nothing(raw: str, seen: str) -> None:
    assert plain_text(raw) == seen


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    view = Live(slave, colours=False)
    shown(Board(view), EVENTS)
    view.close(failed=False)
    os.close(slave)
    drawn = b""
    try:
        while data := os.read(master, 65536):
            drawn += data
    except OSError:
        os.close(master)  # EIO: nobody has the terminal any more
    last = drawn.decode().rpartition("\x1b[?25l")[2]
    assert "(3/3) FINISHED" in last
    assert last.count("\r\n") == 6
    assert last.endswith("\x1b[J\x1b[?25h")
    assert "\x1b[3" not in last


def test_as_buildkits_messages() -> None:
    file = io.StringIO()
    board = Board(RawJson(file))
    shown(board, [*EVENTS, WarningEvent(rule="StageNameCasing", message="m", line=3, end=4)])
    found = [json.loads(line) for line in file.getvalue().splitlines()]
    assert found[0] == {
        "vertexes": [
            {
                "digest": "sha256:" + "0" * 63 + "1",
                "name": "[1/3] FROM busybox",
                "started": "1970-01-01T00:01:40.000000Z",
            }
        ]
    }
    logs = [base64.b64decode(log["data"]) for message in found for log in message.get("logs", [])]
    assert logs == [b"gcc -c\n", b"warning\n", b"partly\n", b"last\n"]
    vertexes = [one for message in found for one in message.get("vertexes", [])]
    assert [(one["name"], one.get("cached", False)) for one in vertexes if "completed" in one] == [
        ("[1/3] FROM busybox", False), ("[2/3] RUN make", False), ("[3/3] RUN test", True),
    ]  # fmt: skip
    assert found[-1]["warnings"][0]["range"] == [{"start": {"line": 3}, "end": {"line": 4}}]
    statuses = [one for message in found for one in message.get("statuses", [])]
    assert [("completed" in one, one["current"], one["total"]) for one in statuses] == [
        (False, 500, 1000),
        (True, 1000, 1000),
    ]


def test_hostile_events() -> None:
    board = Board(Quiet())
    board.take({"type": "log", "vertex": 9, "data": "eA==", "at": 1})
    board.take({"type": "vertex", "vertex": 1, "name": "a", "started": SECOND, "inputs": ["x", 2]})
    with pytest.raises(MalformedDocument, match="no base64"):
        board.take({"type": "log", "vertex": 1, "data": "*", "at": 1})
    with pytest.raises(MalformedDocument, match="more than 20000 steps"):
        for number in range(30_000):
            board.take({"type": "vertex", "vertex": number, "name": "a"})


def test_a_line_without_an_end_is_bounded() -> None:
    board = Board(Quiet())
    shown(board, [vertex(ONE, "a", 1)])
    for _ in range(5):
        shown(board, [LogEvent(vertex=ONE, at=2 * SECOND, data=b"x" * 10_000)])
    assert [len(line) for _, line in board.rows[1].tail] == [20_000, 20_000]
    assert all(len(held) <= 16 * 1024 for held in board.rows[1].held.values())


def test_never_built_is_no_reason() -> None:
    (row,) = rows([vertex(ONE, "a", 1, why="never built before")])
    assert row.why == ""
    assert msgspec.json.decode(wire(vertex(ONE, "a")))["id"] == STREAM
