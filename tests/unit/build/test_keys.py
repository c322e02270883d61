import pytest

from sampan.build.keys import Key, changed, key_of, keys, parts
from sampan.build.operations import Copy, Graph, Metadata, Place, Run
from sampan.build.planning import Wish, plan
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import BaseImage
from sampan.spec.oci_image import ImageConfig
from tests.golden.rendering import MACHINES

BASE = ImageConfig(env=["PATH=/bin"])
TEXT = 'FROM a\nRUN one\nCOPY f /\nCMD ["c"]\nHEALTHCHECK CMD h\nONBUILD RUN o'


def graph_of(text: str = TEXT, **given: str) -> Graph:
    return plan(parse(text), Wish(MACHINES, given=given), {BaseImage("a"): BASE, BaseImage("a", "linux/386"): BASE})


def keys_of(graph: Graph, content: str = "1") -> list[Key | None]:
    return keys(graph, {place: f"{content}-{place}" for place in graph.sources})


def test_the_same_input_has_the_same_keys() -> None:
    assert keys_of(graph_of()) == keys_of(graph_of())
    assert len(set(keys_of(graph_of()))) == len(graph_of().vertices)


def test_keys_are_what_they_were() -> None:
    """A key that means something else after a change would hand out what was made of something else."""
    (first, *_, last) = keys_of(graph_of())
    assert (first, last) == (
        "sha256:5cbb663261da4ee5921fb8f8f236cc875a6a7e9f80b0aa82a64dd1339252bd7d",
        "sha256:56145c00fcf6cb5b48d4640b8d2cc1f81a01f497d3ec74c6c4caf26906359b7e",
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('CMD ["c"]', 'CMD ["d"]'),
        ("HEALTHCHECK CMD h", "HEALTHCHECK --retries=2 CMD h"),
        ("ONBUILD RUN o", "ONBUILD RUN p"),
        ("RUN one", "RUN  two"),
        ("RUN one", "RUN --network=none one"),
        ("RUN one", "RUN --security=insecure one"),
        ("RUN one", 'RUN ["one"]'),
        ("RUN one", "RUN --mount=type=tmpfs,target=/t one"),
        ("COPY f /", "COPY --chmod=1 f /"),
        ("COPY f /", "COPY --link f /"),
        ("COPY f /", "COPY --exclude=x f /"),
        ("COPY f /", "ADD f /"),
        ("COPY f /", "COPY f /g"),
        ("FROM a", "FROM a\nUSER u"),
        ("FROM a", "FROM a\nLABEL l=1"),
        ("FROM a", "FROM a\nENV E=1"),
        ("FROM a", "FROM a\nWORKDIR /w"),
        ("FROM a", 'FROM a\nSHELL ["/x"]'),
        ("FROM a", "FROM --platform=linux/386 a"),
        ("FROM a", "FROM a\nMAINTAINER m"),
    ],
)
def test_every_difference_makes_another_image(before: str, after: str) -> None:
    assert keys_of(graph_of())[-1] != keys_of(graph_of(TEXT.replace(before, after)))[-1]


def test_content_counts() -> None:
    graph = graph_of()
    assert set(keys_of(graph, "1")).isdisjoint(keys_of(graph, "2"))


def test_what_is_not_known_has_no_key_and_nothing_above_it() -> None:
    graph = graph_of("FROM a\nRUN one\nCOPY f /")
    known = keys(graph, {Place(0): "image"})
    assert [key is None for key in known] == [False, False, True, True, True]
    assert keys(graph, {}) == [None] * 5


def test_the_host_has_no_key_of_its_own() -> None:
    graph = graph_of("FROM host\nRUN one")
    assert keys(graph, {}) == [None, None, None]
    assert None not in keys(graph, {Place(0): "what was read"})


def test_nothing_needs_no_look() -> None:
    assert None not in keys(graph_of("FROM scratch\nCOPY <<f /\nx\nf"), {})


def test_a_miss_says_what_changed() -> None:
    def run(**given: str) -> Run:
        (found,) = [
            vertex.operation for vertex in graph_of("FROM a\nARG V=1 W=1\nRUN one", **given).vertices
            if isinstance(vertex.operation, Run)
        ]  # fmt: skip
        return found

    below, other = Key("sha256:1"), Key("sha256:2")
    before = parts(run(), [below])
    assert changed(before, parts(run(), [below])) == []
    assert changed(before, parts(run(V="2"), [below])) == ["environment V"]
    assert changed(before, parts(run(), [other])) == ["input 0"]
    metadata = [Metadata(config=ImageConfig(labels={"l": value})) for value in "12"]
    assert changed(parts(metadata[0], [below]), parts(metadata[1], [below])) == ["config labels"]
    copy = Copy(paths=(("f",),), destination="/")
    assert changed(parts(copy, [below, below]), parts(copy, [below])) == ["input 1"]


def test_no_value_can_be_read_from_what_is_kept() -> None:
    graph = graph_of("FROM a\nARG TOKEN\nRUN one", TOKEN="secret-value")
    (run,) = [vertex.operation for vertex in graph.vertices if isinstance(vertex.operation, Run)]
    kept = parts(run, [Key("sha256:1")])
    assert "secret-value" not in repr(kept)
    assert key_of(kept).startswith("sha256:")


def test_the_clock_is_in_the_keys_of_what_writes() -> None:
    graph = graph_of()
    contents = dict.fromkeys(graph.sources, "1")
    without, early, late = (keys(graph, contents, clock) for clock in (None, 0, 1))
    for place, vertex in enumerate(graph.vertices):
        assert len({without[place], early[place], late[place]}) == (3 if vertex.inputs else 1)
