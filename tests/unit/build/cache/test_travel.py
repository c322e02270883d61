"""A cache from one machine to another: by a registry, by a directory, inside an image."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sampan.build.cache.configs import write_inline
from sampan.build.cache.exports import Exports, parse
from sampan.build.cache.imports import ImageCache, Imports, RemoteCache
from sampan.build.cache.session import Session
from sampan.errors import InvalidParameter, NotFound, NotImplementedHere
from sampan.images.catalog import LayerRecord
from sampan.images.references import parse_reference
from sampan.images.steps import Cancellation, Cancelled
from sampan.registry.protocol import Credentials
from sampan.spec.ids import ImageId
from sampan.spec.oci_image import Image, RootFs, encode_image
from tests.unit.build.cache.cached import CacheWorld, built, graph_of, known

REF = "registry.test/team/cache:ci"


@dataclass
class Option:
    type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@pytest.fixture
def other(world: CacheWorld, tmp_path: Path) -> Iterator[CacheWorld]:
    """Another machine, which reaches the same registry."""
    made = CacheWorld(tmp_path / "other", world.registry)
    yield made
    made.close()


def nobody(_: str) -> Credentials:
    return Credentials()


def sends(world: CacheWorld, option: Option, end: Cancellation | None = None) -> Callable[..., None]:
    def send(session: Session, stack: tuple[LayerRecord, ...]) -> None:
        exports = Exports(world.images.catalog, world.registry, nobody, lambda _: None, end or Cancellation())
        diff_ids = [layer.diff_id for layer in stack]
        exports.send(parse(option), session.records(), [diff_ids], session.lease)

    return send


def opened(world: CacheWorld, option: Option) -> RemoteCache | ImageCache:
    catalog, bringing = world.images.catalog, world.images.bringing
    return Imports(catalog, bringing, world.registry, nobody, lambda _: None, Cancellation()).open(option)


PLAN = known(graph_of())


def test_by_a_registry(world: CacheWorld, other: CacheWorld) -> None:
    built(world, PLAN, then=sends(world, Option("registry", {"ref": REF})))
    assert built(other, PLAN, imports=[opened(other, Option("registry", {"ref": REF}))]) == []
    assert len(other.snapshots.layers()) == 3
    other.again()
    assert built(other, PLAN) == [], "what was brought is kept as if it had been made here"
    texts = {record.text for record in other.cache.records().values()}
    assert {"RUN one", "COPY src /app/", "RUN two"} <= texts


@pytest.mark.parametrize("manifest", ["true", "false"])
def test_by_a_directory(world: CacheWorld, other: CacheWorld, tmp_path: Path, manifest: str) -> None:
    place = str(tmp_path / "there/cache")
    built(world, PLAN, then=sends(world, Option("local", {"dest": place, "image-manifest": manifest})))
    for _ in range(2):
        built(world, PLAN, then=sends(world, Option("local", {"dest": place, "tag": "second"})))
    index = json.loads(Path(place, "index.json").read_bytes())
    names = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]]
    assert names == ["latest", "second"]
    assert built(other, PLAN, imports=[opened(other, Option("local", {"src": place}))]) == []
    assert not [name for name in os.listdir(f"{place}/blobs/sha256") if name.startswith(".")]


def test_inside_the_image(world: CacheWorld, other: CacheWorld) -> None:
    def commit(session: Session, stack: tuple[LayerRecord, ...]) -> None:
        diff_ids = [layer.diff_id for layer in stack]
        document = Image(
            architecture="amd64",
            os="linux",
            rootfs=RootFs(diff_ids=diff_ids),
            build_cache=write_inline(session.records(), diff_ids),
        )
        image = ImageId(world.content.put(encode_image(document), session.lease.take))
        world.images.catalog.add(image, list(stack), [parse_reference(REF)])

    built(world, PLAN, then=commit)
    world.images.push(parse_reference(REF), Credentials(), lambda _: None, Cancellation())
    assert built(other, PLAN, imports=[opened(other, Option("registry", {"ref": REF}))]) == []
    world.cache.drop(world.cache.records())
    assert built(world, PLAN, imports=[opened(world, Option("image", {"ref": REF}))]) == []


def test_min_sends_what_the_result_stands_on(world: CacheWorld, other: CacheWorld) -> None:
    def send(mode: str, count: int) -> None:
        def beginning(session: Session, stack: tuple[LayerRecord, ...]) -> None:
            sends(world, Option("registry", {"ref": REF, "mode": mode}))(session, stack[:2])

        built(world, PLAN, then=beginning)
        remote = opened(other, Option("registry", {"ref": REF}))
        assert isinstance(remote, RemoteCache)
        assert len(remote) == count

    send("min", 2)
    send("max", 3)


def test_a_layer_that_the_registry_lost_is_a_miss(world: CacheWorld, other: CacheWorld) -> None:
    built(world, PLAN, then=sends(world, Option("registry", {"ref": REF})))
    (repository,) = world.memory.repositories.values()
    remote = opened(other, Option("registry", {"ref": REF}))
    top = json.loads(repository.manifests["ci"][1])["layers"][-1]["digest"]
    del repository.blobs[top]
    assert len(built(other, PLAN, imports=[remote])) == 1
    assert other.images.catalog.orphans() == []


def test_another_build_finds_nothing_there(world: CacheWorld, other: CacheWorld) -> None:
    built(world, PLAN, then=sends(world, Option("registry", {"ref": REF})))
    changed = known(graph_of(), {"ImageSource": "2"})
    assert len(built(other, changed, imports=[opened(other, Option("registry", {"ref": REF}))])) == 3


def test_called_off(world: CacheWorld) -> None:
    end = Cancellation()
    end.cancel()
    with pytest.raises(Cancelled):
        built(world, PLAN, then=sends(world, Option("registry", {"ref": REF}), end))
    assert built(world, PLAN) == [], "what was made stays"
    assert world.images.catalog.orphans() == []


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (Option("wonder"), "unknown cache exporter: 'wonder'"),
        (Option("registry"), "requires ref"),
        (Option("local"), "requires dest"),
        (Option("local", {"dest": "here"}), "an absolute path"),
        (Option("registry", {"ref": REF, "mode": "all"}), "invalid cache mode: all"),
        (Option("registry", {"ref": REF, "colour": "red"}), "unknown attribute colour"),
        (Option("registry", {"ref": REF, "image-manifest": "perhaps"}), "non-bool value 'perhaps'"),
        (Option("registry", {"ref": REF, "oci-mediatypes": "false"}), "requires oci-mediatypes=true"),
    ],
)
def test_wrong_destinations(option: Option, told: str) -> None:
    with pytest.raises(InvalidParameter, match=told):
        parse(option)


def test_other_compressions_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="compression"):
        parse(Option("registry", {"ref": REF, "compression": "estargz"}))


@pytest.mark.parametrize(
    ("option", "error", "told"),
    [
        (Option("wonder"), InvalidParameter, "unknown cache importer: 'wonder'"),
        (Option("gha"), NotImplementedHere, "type=gha"),
        (Option("registry"), InvalidParameter, "requires ref"),
        (Option("registry", {"ref": "registry.test/none"}), NotFound, "not found"),
        (Option("local", {"src": "x"}), InvalidParameter, "not absolute"),
        (Option("local", {"src": "/nowhere"}), NotFound, "No such file"),
        (Option("local", {"src": "/", "colour": "red"}), NotFound, "index.json"),
    ],
)
def test_wrong_sources(world: CacheWorld, option: Option, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        opened(world, option)


def test_a_hostile_layout_leads_nowhere_else(world: CacheWorld, other: CacheWorld, tmp_path: Path) -> None:
    place = tmp_path / "there"
    built(world, PLAN, then=sends(world, Option("local", {"dest": str(place)})))
    secret = tmp_path / "secret"
    secret.write_bytes(b"{}")
    (place / "index.json").unlink()
    (place / "index.json").symlink_to(secret)
    with pytest.raises(NotFound):
        opened(other, Option("local", {"src": str(place)}))
