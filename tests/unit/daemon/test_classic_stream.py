from sampan.build.operations import Graph, Place, Run
from sampan.build.planning import Wish, plan
from sampan.daemon.classic_stream import ClassicStream
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import BaseImage
from sampan.spec.builds import BuildInfo
from sampan.spec.ids import ImageId
from sampan.spec.images import Progress
from sampan.spec.oci_image import ImageConfig
from tests.golden.rendering import MACHINES

IMAGE = ImageId("sha256:" + "ab" * 32)


class Told:
    """A stream over a Dockerfile, and what it has told."""

    def __init__(self, text: str, **given: str) -> None:
        self.lines: list[Progress | BuildInfo] = []
        dockerfile, wish = parse(text), Wish(MACHINES, given=given)
        self.stream = ClassicStream(dockerfile, wish, self.lines.append)
        self.stream.begin()
        self.graph: Graph = plan(dockerfile, wish, {BaseImage("a"): ImageConfig()})
        self.stream.planned(self.graph)

    def place(self, name: str) -> Place:
        """Of the RUN that runs this."""
        return next(
            Place(place)
            for place, vertex in enumerate(self.graph.vertices)
            if isinstance(vertex.operation, Run) and vertex.operation.arguments[-1] == name
        )

    def done(self, *places: Place, cached: bool = False) -> None:
        for place in places:
            self.stream.completed(place, cached=cached, why="")

    @property
    def text(self) -> str:
        return "".join(line.stream for line in self.lines if isinstance(line, Progress))


def test_a_step_that_runs() -> None:
    told = Told("FROM a\nRUN one\n")
    run = told.place("one")
    told.done(Place(0))
    told.stream.started(run)
    told.stream.running(run, "0123456789abcdef")
    told.stream.log(run, 1, "héllo\n".encode()[:2])
    told.stream.log(run, 1, "héllo\n".encode()[2:])
    told.stream.log(run, 2, b"wrong\n")
    told.done(run)
    told.stream.finish(IMAGE, ["x:1"])
    assert told.text == (
        "Step 1/2 : FROM a\nStep 2/2 : RUN one\n ---> Running in 0123456789ab\nhéllo\n\x1b[91mwrong\n\x1b[0m"
        " ---> Removed intermediate container 0123456789ab\nSuccessfully built abababababab\nSuccessfully tagged x:1\n"
    )
    assert [line.aux.id for line in told.lines if isinstance(line, BuildInfo)] == [IMAGE]


def test_steps_are_told_in_order_whatever_ends_first() -> None:
    told = Told("FROM a AS x\nRUN one\nFROM a\nRUN two\nCOPY --from=x /f /\n")
    one, two = told.place("one"), told.place("two")
    told.done(Place(0))
    for run in (two, one):
        told.stream.started(run)
        told.stream.log(run, 1, f"from {run}\n".encode())
    told.done(two)
    assert told.text.endswith(f"Step 2/5 : RUN one\nfrom {one}\n")
    told.done(one)
    assert f"Step 4/5 : RUN two\nfrom {two}\n" in told.text
    assert told.text.endswith("Step 5/5 : COPY --from=x /f /\n")


def test_a_configuration_is_as_kept_as_what_comes_after() -> None:
    told = Told("FROM a\nENV A=1\nRUN one\nLABEL a=b\n")
    told.done(Place(0))
    assert told.text.endswith("ENV A=1\n")
    told.done(told.place("one"), cached=True)
    told.done(told.graph.targets[0].result, cached=False)
    assert told.text.count(" ---> Using cache\n") == 2
    assert told.text.endswith("LABEL a=b\n")


def test_output_before_its_turn_is_bounded() -> None:
    told = Told("FROM a AS x\nRUN one\nFROM a\nRUN two\nCOPY --from=x /f /\n")
    one, two = told.place("one"), told.place("two")
    told.done(Place(0))
    for _ in range(100):
        told.stream.log(two, 1, b"x" * 65536)
    told.done(one)
    assert len(told.text) < (1 << 20) + 1000
    assert told.text.endswith("[more output is left out]\n")
    told.stream.log(two, 1, b"in its turn\n")
    assert told.text.endswith("in its turn\n")


def test_a_failure_is_told_whatever_comes_before_it() -> None:
    told = Told("FROM a AS x\nRUN one\nFROM a\nRUN two\nCOPY --from=x /f /\n")
    two = told.place("two")
    told.done(Place(0))
    told.stream.log(two, 2, b"last words\n")
    told.stream.failed(two, "failed")
    assert told.text.endswith("Step 4/5 : RUN two\n\x1b[91mlast words\n\x1b[0m")


def test_arguments_above_the_first_stage_and_values_for_nothing() -> None:
    told = Told("ARG BASE=a\nFROM $BASE\n", BASE="a", HTTP_PROXY="p", SPARE="1", MORE="2")
    assert told.text == "Step 1/2 : ARG BASE=a\nStep 2/2 : FROM $BASE\n"
    told.stream.finish(IMAGE, [])
    assert "[Warning] One or more build-args [MORE SPARE] were not consumed\n" in told.text
