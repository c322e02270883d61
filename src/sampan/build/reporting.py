"""A graph's vertices as a reader sees them: their names, and the solver's calls as events.

FROM busybox AS tool      [tool 1/2] FROM busybox           CMD and the like make no tree and have no line;
RUN make tool             [tool 2/2] RUN make tool          files of the context are one line however many instructions
FROM scratch              [stage-1 1/1] COPY …              take some
COPY --from=tool /t /
"""

from collections import Counter
from collections.abc import Mapping

from sampan.build.operations import (
    ContextSource,
    DocumentSource,
    EmptySource,
    GitSource,
    Graph,
    ImageSource,
    Metadata,
    Place,
    Target,
    UrlSource,
    Vertex,
)
from sampan.build.progress import Number, Reporter
from sampan.dockerfile.arguments import platform_text

_NAME_LIMIT = 1000
"""Characters of an instruction in a name; the rest of a long script says nothing to a reader."""


def titles(graph: Graph) -> list[str]:
    """The name of each vertex, by place; "" for one that is told with another (nothing, a Dockerfile's own documents)."""
    numbered = _numbers(graph)
    return [_title(vertex, numbered.get(Place(place), "")) for place, vertex in enumerate(graph.vertices)]


def _numbers(graph: Graph) -> Mapping[Place, str]:
    """`tool 2/3` for what makes or is the tree of an instruction. What two stages share is counted where it comes first.

    `linux/arm64 tool 2/3` where another platform has its own.
    """
    found: dict[Place, str] = {}
    alone = len(graph.targets) == 1 and len(graph.targets[0].steps) == 1
    shared = Counter(place for target in graph.targets for place in _places(target))
    for target in graph.targets:
        for stage, steps in target.steps.items():
            name = f"stage-{stage} " if stage.isdigit() else f"{stage} "
            places = list(dict.fromkeys(step.tree for step in steps))
            own = [place for place in places if not isinstance(graph.vertices[place].operation, EmptySource)]
            for count, place in enumerate(own, 1):
                of = f"{platform_text(target.platform)} " if len(graph.targets) > shared[place] else ""
                found.setdefault(place, f"{of}{'' if alone else name}{count}/{len(own)}")
    return found


def _places(target: Target) -> set[Place]:
    return {step.tree for steps in target.steps.values() for step in steps}


def _title(vertex: Vertex, number: str) -> str:
    operation = vertex.operation
    prefix = f"[{number}] " if number else ""
    match operation:
        case ContextSource():
            return f"[context {operation.name}] load from client" if operation.name else "[internal] load build context"
        case ImageSource():
            return f"{prefix}FROM {operation.reference}" if number else f"FROM {operation.reference}"
        case UrlSource():
            return operation.url
        case GitSource():
            return f"{operation.repository}{'#' + operation.reference if operation.reference else ''}"
        case EmptySource() | DocumentSource():
            return ""
        case Metadata():
            return "exporting to image"
        case _:
            return prefix + _one_line(vertex.text)


def _one_line(text: str) -> str:
    """An instruction as a name: its lines joined, nothing in it that moves a cursor."""
    joined = " ".join(part.strip() for part in text.replace("\\\n", " ").split("\n"))
    safe = "".join(char if char.isprintable() else " " for char in " ".join(joined.split()))
    return safe if len(safe) <= _NAME_LIMIT else safe[:_NAME_LIMIT] + "…"


class GraphReport:
    """The solver's `Progress`, told as events. All of a context is one line; what has no name is not told."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._numbers: dict[Place, Number] = {}
        self._waiting: dict[Number, int] = {}
        """places that a line stands for and that have not ended"""

    def planned(self, graph: Graph) -> None:
        """Announce everything that has a name; the image is told by whoever writes it."""
        contexts: dict[str, Number] = {}
        for index, (vertex, title) in enumerate(zip(graph.vertices, titles(graph), strict=True)):
            if not title or isinstance(vertex.operation, Metadata):
                continue
            if isinstance(vertex.operation, ContextSource):
                number = contexts[title] if title in contexts else self._reporter.announce(title)
                contexts[title] = number
            else:
                below = dict.fromkeys(self._numbers[place] for place in vertex.inputs if place in self._numbers)
                lines = (vertex.at.start.line, vertex.at.end.line)
                number = self._reporter.announce(title, list(below), lines)
            self._numbers[Place(index)] = number
            self._waiting[number] = self._waiting.get(number, 0) + 1

    def started(self, place: Place) -> None:
        """It is worked at."""
        if place in self._numbers:
            self._reporter.start(self._numbers[place])

    def log(self, place: Place, stream: int, data: bytes) -> None:
        """Its program said something: 1 standard output, 2 standard error."""
        if place in self._numbers:
            self._reporter.log(self._numbers[place], data, stream)

    def status(self, place: Place, text: str, identity: str, current: int, total: int) -> None:
        """How far a part of it is; `text` where the part has no name."""
        if place in self._numbers:
            part = f"{text} {identity}".strip()
            self._reporter.amount(self._numbers[place], part, current, total, done=0 < total <= current)

    def completed(self, place: Place, *, cached: bool, why: str) -> None:
        """Its tree is there."""
        if place not in self._numbers:
            return
        number = self._numbers[place]
        self._waiting[number] -= 1
        if self._waiting[number]:
            return
        if cached:
            self._reporter.hit(number)
        else:
            self._reporter.end(number, why=why)

    def failed(self, place: Place, error: str) -> None:
        """It went wrong."""
        if place in self._numbers:
            self._reporter.end(self._numbers[place], error)
