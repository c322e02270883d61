"""Events of a build: what the solver tells becomes lines that read back as the same events."""

import base64
import itertools
import json

import msgspec
import pytest

from sampan.build.progress import (
    LOG_PIECE,
    AmountEvent,
    Event,
    Line,
    LogEvent,
    OutputEvent,
    Reporter,
    ResultEvent,
    VertexEvent,
    WarningEvent,
    read,
    wire,
)


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def reporter(kept: Kept) -> Reporter:
    return Reporter(kept, itertools.count(100).__next__)


def test_each_event_of_a_vertex_holds_all_that_is_known(kept: Kept, reporter: Reporter) -> None:
    base = reporter.announce("[1/2] FROM busybox")
    step = reporter.announce("[2/2] RUN make", [base])
    reporter.hit(base)
    reporter.start(step, "environment VERSION changed")
    reporter.end(step)
    first, second = (VertexEvent(vertex=base, name="[1/2] FROM busybox"), 2)
    assert kept.events == [
        first,
        VertexEvent(vertex=step, name="[2/2] RUN make", inputs=(base,)),
        VertexEvent(vertex=base, name="[1/2] FROM busybox", started=100, completed=100, cached=True),
        VertexEvent(vertex=step, name="[2/2] RUN make", inputs=(base,), started=101, why="environment VERSION changed"),
        VertexEvent(
            vertex=step,
            name="[2/2] RUN make",
            inputs=(base,),
            started=101,
            completed=102,
            why="environment VERSION changed",
        ),
    ]
    assert step == second


def test_what_has_ended_stays_so(kept: Kept, reporter: Reporter) -> None:
    step = reporter.announce("RUN make")
    reporter.start(step)
    reporter.end(step, "exit code: 2")
    reporter.end(step)
    last = kept.events[-1]
    assert isinstance(last, VertexEvent)
    assert (last.error, last.completed, len(kept.events)) == ("exit code: 2", 101, 3)


def test_cancelled_before_it_started_has_both_times(kept: Kept, reporter: Reporter) -> None:
    reporter.end(reporter.announce("RUN make"), "context canceled")
    last = kept.events[-1]
    assert isinstance(last, VertexEvent)
    assert last.started == last.completed == 100


def test_long_output_comes_in_pieces(kept: Kept, reporter: Reporter) -> None:
    step = reporter.announce("RUN make")
    reporter.log(step, b"x" * (LOG_PIECE + 1), 2)
    sizes = [(len(event.data), event.stream) for event in kept.events if isinstance(event, LogEvent)]
    assert sizes == [(LOG_PIECE, 2), (1, 2)]


def test_an_amount_that_is_done_says_so(kept: Kept, reporter: Reporter) -> None:
    step = reporter.announce("exporting")
    reporter.start(step)
    reporter.amount(step, "layers", 3, 9)
    reporter.amount(step, "layers", 9, 9, done=True)
    ends = [(event.current, event.completed) for event in kept.events if isinstance(event, AmountEvent)]
    assert ends == [(3, 0), (9, 102)]


def test_a_line_reads_back(kept: Kept, reporter: Reporter) -> None:
    step = reporter.announce("RUN make")
    reporter.log(step, b"\xff\x00", 1)
    reporter.amount(step, "sha256:ab", 3, 9)
    reporter.warn(WarningEvent(rule="JSONArgsRecommended", message="…", line=3, end=3))
    assert [read(wire(event)) for event in kept.events] == kept.events


def test_results_read_back() -> None:
    sent: list[Line] = [
        OutputEvent(output=0, data=b"\0" * 700),
        OutputEvent(output=0, last=True),
        ResultEvent(metadata={"image.name": msgspec.Raw(b'"web"')}),
    ]
    assert [read(wire(one)) for one in sent] == sent


def test_the_form_on_the_wire(reporter: Reporter, kept: Kept) -> None:
    step = reporter.announce("RUN make")
    reporter.log(step, b"\xff\n", 2)
    assert [json.loads(wire(event)) for event in kept.events] == [
        {"id": "sampan.build", "aux": {"type": "vertex", "vertex": 1, "name": "RUN make"}},
        {
            "id": "sampan.build",
            "aux": {"type": "log", "vertex": 1, "at": 100, "data": base64.b64encode(b"\xff\n").decode(), "stream": 2},
        },
    ]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"moby.image.id","aux":{"type":"log","vertex":1,"at":1,"data":"","stream":1}}',
        b'{"aux":{"ID":"sha256:ab"}}',
        b'{"stream":"Step 1/3"}',
    ],
)
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(line)
