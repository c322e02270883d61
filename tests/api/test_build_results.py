"""Builds end to end: what is taken from the cache, here and from elsewhere; what a miss is told to be; every kind of output."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.api.building import Built, build, members, output, told
from tests.daemons import Sampan, running_sampan
from tests.registries import Registry, running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-client:28", "busybox")

DOCKERFILE = """FROM busybox
ARG VERSION=1
RUN echo one > /one
COPY src /src/
RUN cat /src/a > /two && rm /one
CMD ["sh"]
"""
FILES = {"src/a": "a", "src/b": "b"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(autouse=True)
def _pruned(engine: Sampan) -> Iterator[None]:
    yield
    assert engine.api("POST", "/build/prune?all=1").status == 200
    for image in images(engine):
        assert engine.api("DELETE", f"/images/{image}?force=1").status == 200


def images(engine: Sampan) -> list[str]:
    listed = engine.api("GET", "/images/json").json()
    assert isinstance(listed, list)
    return [image["Id"] for image in listed if not {"busybox:latest", "host:latest"} & set(image["RepoTags"])]


def steps(built: Built) -> dict[str, object]:
    """For each step: True where it was taken from a cache, else why it was not."""
    ends = {event["name"]: event for event in told(built) if event.get("type") == "vertex" and event.get("completed")}
    return {
        str(name).partition("] ")[2]: event.get("cached") or event.get("why", "")
        for name, event in ends.items()
        if "internal" not in str(name) and "FROM" not in str(name)
    }


def as_json(engine: Sampan, files: Mapping[str, str] = FILES, text: str = DOCKERFILE, **query: Any) -> Built:
    return build(engine, text, files, progress="json", **query)


ALL = ["RUN echo one > /one", "COPY src /src/", "RUN cat /src/a > /two && rm /one"]


def test_a_rebuild_is_cached_and_a_miss_is_explained(engine: Sampan) -> None:
    first = as_json(engine, t="app")
    assert steps(first) == dict.fromkeys(ALL, "")
    again = as_json(engine, t="app")
    assert steps(again) == dict.fromkeys(ALL, True)
    assert again.image == first.image
    changed = steps(as_json(engine, {"src/a": "A", "src/b": "b"}))
    assert changed[ALL[0]] is True
    assert changed[ALL[1]] == "in the context src/a changed"
    assert changed[ALL[2]] == f"what it stands on was made anew: {ALL[1]}"
    other = steps(as_json(engine, text=DOCKERFILE.replace("echo one", "echo two")))
    assert other["RUN echo two > /one"] == "the command changed"
    argument = steps(as_json(engine, buildargs={"VERSION": "2"}))
    assert argument[ALL[0]] == "the variable VERSION changed"


def test_records_are_pruned_and_layers_stay_with_the_image(engine: Sampan) -> None:
    built = as_json(engine, t="app")
    usage = engine.api("GET", "/system/df?type=build-cache").json()
    assert isinstance(usage, dict)
    shared = {item["Description"]: item["Shared"] for item in usage["BuildCache"] if item["Size"]}
    assert list(shared.values()) == [True] * 3
    assert engine.docker("builder", "prune", "-f").code == 0
    assert all(steps(as_json(engine)).values()), "what the image shares is kept"
    assert engine.docker("builder", "prune", "-af").code == 0
    assert steps(as_json(engine, t="other")) == dict.fromkeys(ALL, "")
    assert engine.docker("run", "--rm", "--net", "none", built.image, "cat", "/two").text == "a"


def test_by_a_registry_after_a_prune_and_on_another_machine(engine: Sampan, registry: Registry) -> None:
    ref = f"127.0.0.1:{registry.port}/team/cache"
    option = {"Type": "registry", "Attrs": {"ref": ref, "mode": "max"}}
    first = as_json(engine, t="app", cacheto=[option])
    assert engine.api("DELETE", "/images/app").status == 200
    assert engine.docker("builder", "prune", "-af").code == 0
    again = as_json(engine, t="app", cachefrom=[ref])
    assert steps(again)[ALL[2]] is True
    assert again.image == first.image, "it is as old as where it was made"
    assert all(value is True for value in steps(as_json(engine)).values()), "what was brought is kept"
    with running_sampan() as other:
        other.load_busybox()
        there = as_json(other, t="app", cachefrom=[{"Type": "registry", "Attrs": {"ref": ref}}])
        assert there.image == first.image
        assert other.docker("run", "--rm", "--net", "none", "app", "cat", "/two").text == "a"
        changed = as_json(other, {"src/a": "A"}, cachefrom=[ref])
        assert steps(changed)[ALL[0]] is True


def test_inside_the_image(engine: Sampan, registry: Registry) -> None:
    name = f"127.0.0.1:{registry.port}/team/app:1"
    push = [{"Type": "image", "Attrs": {"push": "true"}}]
    first = as_json(engine, t=name, cacheto=[{"Type": "inline", "Attrs": {}}], outputs=push)
    assert engine.api("DELETE", f"/images/{name}").status == 200
    assert engine.docker("builder", "prune", "-af").code == 0
    again = as_json(engine, cachefrom=[name], cacheto=[{"Type": "inline", "Attrs": {}}])
    assert steps(again)[ALL[2]] is True
    assert again.image == first.image
    assert engine.docker("builder", "prune", "-af").code == 0
    assert engine.docker("pull", "-q", name).code == 0
    assert all(steps(as_json(engine, cachefrom=[name])).values()), "the image that is here tells, too"


def test_by_a_directory(engine: Sampan, tmp_path: Path) -> None:
    first = as_json(engine, cacheto=[{"Type": "local", "Attrs": {"dest": str(tmp_path / "cache")}}])
    assert engine.docker("builder", "prune", "-af").code == 0
    assert engine.api("DELETE", f"/images/{first.image}").status == 200
    again = as_json(engine, cachefrom=[{"Type": "local", "Attrs": {"src": str(tmp_path / "cache")}}])
    assert (steps(again)[ALL[2]], again.image) == (True, first.image)


def test_a_cache_that_cannot_be_had_is_told(engine: Sampan) -> None:
    built = as_json(engine, cachefrom=["127.0.0.1:1/none"])
    assert any("importing cache manifest from 127.0.0.1:1/none" in str(event.get("name")) for event in told(built))
    classic = build(engine, DOCKERFILE, FILES, cachefrom=["nosuchtag"])
    assert "importing cache manifest from nosuchtag: no image nosuchtag:latest is here" in classic.text
    assert not classic.error


def test_the_classic_builder_takes_from_named_images_alone(engine: Sampan) -> None:
    assert not build(engine, DOCKERFILE, FILES, t="app").error
    assert build(engine, DOCKERFILE, FILES, cachefrom=["nosuchtag", "app"]).text.count("Using cache") >= 3
    assert "Using cache" not in build(engine, DOCKERFILE, FILES, cachefrom=["nosuchtag"]).text
    assert build(engine, DOCKERFILE, FILES).text.count("Using cache") >= 3


def test_trees_and_archives(engine: Sampan) -> None:
    attests = {"sbom": "", "provenance": "mode=max"}
    outputs = [{"Type": kind, "Attrs": {"dest": "x"}} for kind in ("tar", "local", "oci", "docker")]
    built = as_json(engine, t="app", outputs=outputs, attests=attests, annotations={"manifest:a": "b"})
    tree, local, oci, docker = (output(built, number) for number in range(4))
    found = members(tree)
    assert (found["two"], found["src/b"], "one" in found) == (b"a", b"b", False)
    assert local == tree
    assert json.loads(found["sbom.spdx.json"])["predicate"]["spdxVersion"] == "SPDX-2.3"
    provenance = json.loads(found["provenance.json"])["predicate"]
    assert provenance["materials"][0]["uri"].startswith("pkg:docker/busybox@latest")
    blobs = members(oci)
    (top,) = json.loads(blobs["index.json"])["manifests"]
    manifests = json.loads(blobs["blobs/sha256/" + top["digest"][7:]])["manifests"]
    manifest = json.loads(blobs["blobs/sha256/" + manifests[0]["digest"][7:]])
    assert (len(manifests), manifest["annotations"]) == (2, {"a": "b"})
    assert images(engine) == [], "nothing was to stay"
    assert engine.docker("load", "-q", stdin=docker).text == "Loaded image: app:latest"
    assert engine.docker("run", "--rm", "--net", "none", "app", "cat", "/two").text == "a"
    (result,) = [event for event in told(built) if event.get("type") == "result"]
    assert isinstance(result["metadata"], dict)
    assert result["metadata"]["containerimage.config.digest"] == built.image


def test_an_image_that_was_there_stays(engine: Sampan) -> None:
    first = as_json(engine, t="app")
    as_json(engine, outputs=[{"Type": "tar", "Attrs": {}}])
    assert images(engine) == [first.image]
    as_json(engine, outputs=[{"Type": "cacheonly"}])
    assert images(engine) == [first.image]


def test_several_names(engine: Sampan) -> None:
    as_json(engine, t=("one", "two:2"), outputs=[{"Type": "image", "Attrs": {"name": "three:3"}}])
    (image,) = images(engine)
    listed = engine.api("GET", f"/images/{image}/json").json()
    assert isinstance(listed, dict)
    assert sorted(listed["RepoTags"]) == ["one:latest", "three:3", "two:2"]


def test_the_same_input_gives_the_same_bytes(engine: Sampan) -> None:
    query: dict[str, Any] = {
        "buildargs": {"SOURCE_DATE_EPOCH": "1000"},
        "outputs": [{"Type": "oci", "Attrs": {}}],
        "attests": {"sbom": "", "provenance": ""},
        "nocache": "1",
    }
    first = output(as_json(engine, **query))
    assert engine.docker("builder", "prune", "-af").code == 0
    assert output(as_json(engine, **query)) == first


def test_squashed() -> None:
    with running_sampan("--experimental") as engine:
        engine.load_busybox()
        whole = as_json(engine, t="whole")
        built = build(engine, DOCKERFILE, FILES, t="app", squash="1")
        assert not built.error, built.lines[-1]
        layers = [
            engine.docker("inspect", "-f", "{{len .RootFS.Layers}}", name).text for name in ("busybox", "whole", "app")
        ]
        assert layers == ["1", "4", "2"]
        assert engine.docker("run", "--rm", "--net", "none", "app", "sh", "-c", "cat /two; ls /one").text.startswith(
            "a"
        )
        assert whole.image in images(engine), "the image that the cache made before stays"
        history = engine.docker("history", "--format", "{{.CreatedBy}}{{.Comment}}", "app").text
        assert "merge sha256:" in history
        assert "/bin/sh -c echo one > /one" in history


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"outputs": [{"Type": "zip"}]}, "exporter 'zip' could not be found"),
        ({"outputs": "nonsense"}, "error reading outputs"),
        ({"cachefrom": [{"Type": "nonsense"}], "progress": "json"}, "unknown cache importer"),
        ({"cacheto": [{"Type": "nonsense"}]}, "unknown cache exporter"),
        ({"cacheto": [{"Type": "gha"}]}, "not implemented by Sampan yet: --cache-to type=gha"),
        ({"cacheto": [{"Type": "local", "Attrs": {"dest": "here"}}]}, "an absolute path"),
        ({"outputs": [{"Type": "tar"}]}, "they need progress=json"),
        ({"attests": {"sbom": ""}, "outputs": [{"Type": "cacheonly"}]}, "attestations need an output"),
        ({"attests": {"vex": ""}}, "unsupported attestation type"),
        (
            {"annotations": {"a": "b"}, "outputs": [{"Type": "tar"}], "progress": "json"},
            "annotations need an output of type image or oci",
        ),
        ({"annotations": {"index:a": "b"}}, "index annotations not supported for single platform export"),
        ({"annotations": {"manifest[linux/s390x]:a": "b"}}, "no platform linux/s390x found in source"),
        ({"platform": "linux/amd64,linux/arm64"}, "unknown operating system or architecture: invalid argument"),
        (
            {
                "platform": "linux/amd64,linux/arm64",
                "outputs": [{"Type": "docker", "Attrs": {"dest": "-"}}],
                "progress": "json",
            },
            "docker exporter does not currently support exporting manifest lists",
        ),
        ({"entitlements": ["security.insecure"]}, "is not allowed by build daemon configuration"),
        ({"squash": "1"}, "squash is only supported with experimental mode"),
    ],
)
def test_wrong_words(engine: Sampan, query: dict[str, Any], told: str) -> None:
    built = build(engine, DOCKERFILE, FILES, **query)
    assert told in built.error
    assert built.status in (400, 403, 501) or "importer" in told


def test_a_cache_mount_goes_out_and_comes_in(engine: Sampan) -> None:
    text = "FROM busybox\nRUN --mount=type=cache,id=pip,target=/cache cat /cache/x; echo {} > /cache/x\n"
    assert not build(engine, text.format("one")).error
    out = engine.sampan("builder", "mount-export", "pip")
    assert members(out.out) == {"x": b"one\n"}
    assert engine.docker("builder", "prune", "-af").code == 0
    assert engine.sampan("builder", "mount-export", "pip").code != 0
    assert engine.sampan("builder", "mount-import", "pip", stdin=out.out).code == 0
    assert "one" in build(engine, text.format("two")).text
    assert members(engine.sampan("builder", "mount-export", "pip").out) == {"x": b"two\n"}
    wrong = engine.sampan("builder", "mount-import", "--mode", "9", "pip", stdin=out.out)
    assert "invalid mode '9'" in wrong.err.decode()
    assert engine.sampan("builder", "mount-import", "pip", stdin=b"no tar").code != 0
    assert members(engine.sampan("builder", "mount-export", "pip").out) == {"x": b"two\n"}, "it stays as it was"
