import msgspec
import pytest

from sampan.build.cache.misses import Known
from sampan.build.cache.session import Session
from sampan.build.keys import parts
from sampan.build.operations import ContextSource, Place
from tests.unit.build.cache.cached import DOCKERFILE, CacheWorld, built, graph_of, known, steps


def why(world: CacheWorld, after: Known) -> list[str]:
    """For every step: why it is not found, None where it is."""
    told = []
    with Session(world.cache) as session:
        session.planned(after.graph, after.keys, after.contents, after.listing)
        for place in steps(after.graph):
            key = after.keys[place]
            assert key is not None
            if session.find(key) is None:
                vertex = after.graph.vertices[place]
                below = [key for one in vertex.inputs if (key := after.keys[one]) is not None]
                told.append(session.explain(parts(vertex.operation, below, after.contents.get(place, ""))))
            else:
                told.append("CACHED")
    return told


ANEW = "what it stands on was made anew: "


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("RUN two", "RUN three", ["CACHED", "CACHED", "the command changed"]),
        (
            "ENV E=1",
            "ENV E=2",
            ["the variable E changed", ANEW + "RUN one", "the variable E changed"],
        ),
        ("ENV E=1", "ENV E=1 F=2", ["the variable F is new", ANEW + "RUN one", "the variable F is new"]),
        ("COPY src /app/", "COPY src /other/", ["CACHED", "the destination changed", ANEW + "COPY src /other/"]),
        (
            "RUN one",
            "RUN --network=none one",
            ["the network changed", ANEW + "RUN --network=none one", ANEW + "COPY src /app/"],
        ),
        ("RUN one", "RUN zero\nRUN one", None),
    ],
)
def test_a_change_of_the_dockerfile_has_a_name(world: CacheWorld, old: str, new: str, told: list[str] | None) -> None:
    built(world, known(graph_of()))
    found = why(world, known(graph_of(DOCKERFILE.replace(old, new))))
    if told is None:
        assert found[1].startswith(ANEW + "RUN zero")
    else:
        assert found == told


def test_nothing_is_explained_that_never_ran(world: CacheWorld) -> None:
    assert why(world, known(graph_of())) == ["", "", ""]


def test_another_base_image(world: CacheWorld) -> None:
    built(world, known(graph_of()))
    assert why(world, known(graph_of(), {"ImageSource": "2"})) == [
        "the image is another one (FROM a)",
        ANEW + "RUN one",
        ANEW + "COPY src /app/",
    ]


def test_another_context(world: CacheWorld) -> None:
    built(world, known(graph_of()))
    assert why(world, known(graph_of(), {"ContextSource": "2"}))[:2] == [
        "CACHED",
        "files of the context changed (COPY src /app/)",
    ]


def test_files_of_the_context_by_name(world: CacheWorld) -> None:
    built(world, with_files(known(graph_of()), {"src/a": "1", "src/b": "1", "src/c": "1"}))
    after = with_files(known(graph_of(), {"ContextSource": "2"}), {"src/a": "2", "src/c": "1", "src/d": "1"})
    assert why(world, after)[1] == "in the context src/a changed, src/b is gone, src/d is new"


def test_many_files_are_counted(world: CacheWorld) -> None:
    built(world, with_files(known(graph_of()), {f"src/{n}": "1" for n in range(9)}))
    after = with_files(known(graph_of(), {"ContextSource": "2"}), {f"src/{n}": "2" for n in range(9)})
    assert why(world, after)[1] == "in the context src/0 changed, src/1 changed, src/2 changed, and 6 more files differ"


def test_what_was_pruned(world: CacheWorld) -> None:
    plan = known(graph_of())
    built(world, plan)
    for layer in reversed(world.snapshots.layers()):
        world.snapshots.remove_layer(layer.chain)
    assert why(world, plan)[0] == "its result is not in the cache any more"


def with_files(plan: Known, listing: dict[str, str]) -> Known:
    def listed(place: Place) -> dict[str, str]:
        return listing if isinstance(plan.graph.vertices[place].operation, ContextSource) else {}

    return msgspec.structs.replace(plan, listing=listed)
