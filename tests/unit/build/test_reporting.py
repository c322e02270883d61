"""What a reader sees of a graph."""

import itertools

from sampan.build.operations import Place
from sampan.build.progress import Event, Reporter, VertexEvent
from sampan.build.reporting import GraphReport, titles
from tests.unit.build.test_planning import planned


def test_one_stage_has_no_name() -> None:
    graph = planned("FROM a\nENV X=1\nRUN echo \\\n  two\nWORKDIR /d\nCMD x")
    assert titles(graph) == ["[1/3] FROM a", "[2/3] RUN echo two", "[3/3] WORKDIR /d", "exporting to image"]


def test_stages_are_named_and_numbered() -> None:
    graph = planned("FROM a AS tool\nRUN make\nFROM scratch\nCOPY --from=tool /t /\nCOPY x y /\n")
    assert titles(graph) == [
        "[tool 1/2] FROM a",
        "[tool 2/2] RUN make",
        "",
        "[stage-1 1/2] COPY --from=tool /t /",
        "[internal] load build context",
        "[stage-1 2/2] COPY x y /",
        "exporting to image",
    ]


def test_a_name_moves_no_cursor() -> None:
    (_, name, _) = titles(planned("FROM a\nRUN echo \x1b[2J\n"))
    assert name == "[2/2] RUN echo  [2J"


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def test_the_solvers_calls_become_events() -> None:
    graph = planned("FROM a\nCOPY x /\nCOPY y /\nRUN make")
    kept = Kept()
    report = GraphReport(Reporter(kept, itertools.count(1).__next__))
    report.planned(graph)
    known = {event.name: event for event in kept.events if isinstance(event, VertexEvent)}
    assert list(known) == [
        "[1/4] FROM a", "[internal] load build context", "[2/4] COPY x /", "[3/4] COPY y /", "[4/4] RUN make"
    ]  # fmt: skip
    assert known["[3/4] COPY y /"].inputs == (
        known["[2/4] COPY x /"].vertex,
        known["[internal] load build context"].vertex,
    )
    assert known["[4/4] RUN make"].line == 4
    kept.events.clear()
    contexts = [place for place, title in enumerate(titles(graph)) if title == "[internal] load build context"]
    for place in contexts:
        report.started(Place(place))
        report.completed(Place(place), cached=False, why="")
    assert [(event.started, event.completed) for event in kept.events if isinstance(event, VertexEvent)] == [
        (1, 0),
        (1, 2),
    ]
    kept.events.clear()
    last = Place(len(graph.vertices) - 2)
    report.started(last)
    report.log(last, 2, b"no\n")
    report.failed(last, "exit code: 2")
    errors = [event.error for event in kept.events if isinstance(event, VertexEvent)]
    assert errors == ["", "exit code: 2"]
