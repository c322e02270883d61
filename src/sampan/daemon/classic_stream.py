"""A build as Docker's classic builder tells it: step after step in the file's order, whatever ran beside what.

Step 2/3 : RUN make         told when every step before it is done; what it said meanwhile is held
 ---> Running in 5ec7…
…
"""

import codecs
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from sampan.build.operations import EmptySource, Graph, HostSource, ImageSource, Place
from sampan.build.planning import Wish
from sampan.dockerfile.arguments import PROXIES, SETTINGS, global_scope
from sampan.dockerfile.instructions import Arg, Dockerfile
from sampan.dockerfile.stages import link, needed, target_stage
from sampan.images.references import short_id
from sampan.spec.builds import BuildInfo, BuildResult
from sampan.spec.ids import ImageId
from sampan.spec.images import Progress

_HELD = 1 << 20
"""Characters of a step's output that are held until its turn comes; the rest is left out, and that is told."""
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"
_KEPT = " ---> Using cache\n"
Line = Callable[[Progress | BuildInfo], None]


class _Output:
    """What a step's program said, decoded as it came."""

    def __init__(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {1: decoder("replace"), 2: decoder("replace")}
        self._held: deque[str] = deque()
        self._size = 0
        self._clipped = False

    def text(self, stream: int, data: bytes) -> str:
        """The text as the classic stream has it: what went to standard error is red."""
        text = self._decoders[2 if stream == 2 else 1].decode(data)
        return f"{_RED}{text}{_PLAIN}" if text and stream == 2 else text

    def hold(self, text: str) -> None:
        """Keep it for later, as far as there is room."""
        if self._size + len(text) <= _HELD:
            self._size += len(text)
            self._held.append(text)
        elif not self._clipped:
            self._clipped = True
            self._held.append("\n[more output is left out]\n")

    def take(self) -> Sequence[str]:
        """What was held."""
        held, self._held = list(self._held), deque()
        return held


class _Item(msgspec.Struct):
    """A step to be told: its number, 0 for what a base asked for; the vertex that it is, None for one that changes no files.

    Such a one is as much kept as the vertex `like`.
    """

    number: int
    text: str
    place: Place | None
    like: Place
    shown: bool = False


class ClassicStream:
    """Implements `build.needs.Progress`. On the event loop; `line` takes each line, and never waits."""

    def __init__(self, dockerfile: Dockerfile, wish: Wish, line: Line) -> None:
        """Raises DockerfileError for stages that do not hang together."""
        self._dockerfile = dockerfile
        self._wish = wish
        self._line = line
        links = link(dockerfile, global_scope(dockerfile, wish.given, wish.machines, wish.target))
        indexes = needed(links, target_stage(dockerfile, wish.target))
        self._stages = [dockerfile.stages[index] for index in indexes]
        self._total = len(dockerfile.arguments) + sum(1 + len(stage.instructions) for stage in self._stages)
        self._graph: Graph | None = None
        self._items: list[_Item] = []
        self._next = 0
        self._started: set[Place] = set()
        self._done: dict[Place, bool] = {}
        self._running: dict[Place, str] = {}
        self._output: dict[Place, _Output] = {}

    def begin(self) -> None:
        """Tell the first steps: what comes before there is a plan is about the images that the first stage stands on."""
        for number, argument in enumerate(self._dockerfile.arguments, 1):
            self._head(number, argument.written.code)
        self._head(len(self._dockerfile.arguments) + 1, self._stages[0].start.written.code)

    def pulled(self, reference: str, line: Progress) -> None:
        """A pull has got so far."""
        del reference
        self._line(line)

    def planned(self, graph: Graph) -> None:
        """See the Protocol."""
        self._graph = graph
        (target,) = graph.targets  # this protocol has no words for more
        number = len(self._dockerfile.arguments)
        for stage in self._stages:
            steps = target.steps[stage.title]
            triggers = len(steps) - 1 - len(stage.instructions)
            last = target.result if stage is self._stages[-1] else None
            before: Place | None = None
            for index, step in enumerate(steps):
                counts = not 0 < index <= triggers
                number += counts
                place = step.tree if step.tree != before else None
                later = next((one.tree for one in steps[index:] if one.tree != step.tree), last)
                like = later if later is not None else step.tree
                self._items.append(_Item(number if counts else 0, step.text, place, like))
                before = step.tree
        self._items[0].shown = True
        self._advance()

    def started(self, place: Place) -> None:
        """See the Protocol."""
        self._started.add(place)
        self._advance()

    def running(self, place: Place, container: str) -> None:
        """The program of a RUN runs, under this id."""
        self._running[place] = container
        self._say(place, f" ---> Running in {container[:12]}\n")

    def log(self, place: Place, stream: int, data: bytes) -> None:
        """See the Protocol."""
        text = self._output.setdefault(place, _Output()).text(stream, data)
        if text:
            self._say(place, text)

    def status(self, place: Place, text: str, identity: str, current: int, total: int) -> None:
        """See the Protocol. The classic stream has no words for it."""

    def completed(self, place: Place, *, cached: bool, why: str) -> None:
        """See the Protocol."""
        del why
        self._done[place] = cached
        self._advance()

    def failed(self, place: Place, error: str) -> None:
        """See the Protocol. What the step said is told, whatever comes before it."""
        del error
        held = self._output.get(place)
        for item in self._items[self._next :]:
            if item.place == place:
                if not item.shown:
                    self._head(item.number, item.text)
                break
        if held is not None:
            self._flush(held)

    def finish(self, image: ImageId, names: Sequence[str]) -> None:
        """Tell what was made."""
        if unused := self._unused():
            self._text(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed\n")
        self._line(BuildInfo(aux=BuildResult(id=image)))
        self._text(f"Successfully built {short_id(image)}\n")
        for name in names:
            self._text(f"Successfully tagged {name}\n")

    def _advance(self) -> None:
        """Tell every step whose turn it is, up to the one that is waited for."""
        while self._next < len(self._items):
            item = self._items[self._next]
            if not item.shown:
                item.shown = True
                self._head(item.number, item.text)
            if item.place is not None and item.place in self._output:
                self._flush(self._output[item.place])
            if item.place not in self._done and (item.place is not None or not self._is_known(item.like)):
                return
            if item.place is not None:
                self._end(item.place)
            elif self._done.get(item.like):
                self._text(_KEPT)
            self._next += 1

    def _is_known(self, place: Place) -> bool:
        return place in self._started or place in self._done

    def _end(self, place: Place) -> None:
        assert self._graph is not None
        operation = self._graph.vertices[place].operation
        if place in self._running:
            self._text(f" ---> Removed intermediate container {self._running[place][:12]}\n")
        elif self._done[place] and not isinstance(operation, ImageSource | EmptySource | HostSource):
            self._text(_KEPT)

    def _say(self, place: Place, text: str) -> None:
        if self._next < len(self._items) and self._items[self._next].place == place:
            self._text(text)
        else:
            self._output.setdefault(place, _Output()).hold(text)

    def _flush(self, output: _Output) -> None:
        for text in output.take():
            self._text(text)

    def _head(self, number: int, text: str) -> None:
        if not number:
            self._text(f"# Executing build trigger: {text}\n")
            return
        # Two lines, as Docker sends them: clients look at the first as a whole.
        self._text(f"Step {number}/{self._total} : {text}")
        self._text("\n")

    def _text(self, text: str) -> None:
        self._line(Progress(stream=text))

    def _unused(self) -> list[str]:
        """Values that were given for ARGs which nobody declares."""
        instructions = [*self._dockerfile.arguments, *(one for stage in self._stages for one in stage.instructions)]
        declared = {each.name for one in instructions if isinstance(one, Arg) for each in one.definitions}
        return sorted(set(self._wish.given) - declared - {*PROXIES, *SETTINGS})
