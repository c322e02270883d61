"""Builds for several platforms: one graph, an index in the store, in archives and in a registry, a directory for each in trees."""

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.api.building import Built, build, members, output, told
from tests.daemons import Sampan
from tests.registries import Registry, running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "docker-registry", "skopeo")

BOTH = "linux/amd64,linux/arm64"
TEXT = """FROM --platform=$BUILDPLATFORM busybox AS tool
RUN cat /proc/sys/kernel/random/uuid > /once
FROM --platform=$BUILDPLATFORM busybox AS cross
ARG BUILDPLATFORM BUILDARCH TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
RUN echo "$BUILDPLATFORM $BUILDARCH $TARGETPLATFORM $TARGETOS $TARGETARCH=$TARGETVARIANT" > /said
FROM scratch
COPY --from=tool /once /
COPY --from=cross /said /
"""
IMAGE = [{"Type": "image", "Attrs": {"push": "true"}}]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(autouse=True)
def _gone(engine: Sampan) -> Iterator[None]:
    yield
    assert engine.api("POST", "/build/prune?all=1").status == 200
    for image in untouched(engine):
        assert engine.api("DELETE", f"/images/{image}?force=1").status == 200


def untouched(engine: Sampan) -> list[str]:
    listed = engine.api("GET", "/images/json?all=1").json()
    assert isinstance(listed, list)
    return [image["Id"] for image in listed if not {"busybox:latest", "host:latest"} & set(image["RepoTags"])]


def built_for(
    engine: Sampan, platform: str, text: str = TEXT, files: Mapping[str, bytes] | None = None, **query: Any
) -> Built:
    return build(engine, text, files, progress="json", platform=platform, **query)


def raw(name: str) -> Any:
    command = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_trees_by_platform_of_one_graph(engine: Sampan) -> None:
    built = built_for(engine, f"{BOTH},linux/arm", outputs=[{"Type": "tar"}])
    found = members(output(built))
    assert found["linux_amd64/said"] == b"linux/amd64 amd64 linux/amd64 linux amd64=\n"
    assert found["linux_arm64/said"] == b"linux/amd64 amd64 linux/arm64 linux arm64=\n"
    assert found["linux_arm_v7/said"] == b"linux/amd64 amd64 linux/arm/v7 linux arm=v7\n"
    assert len({data for name, data in found.items() if name.endswith("/once")}) == 1, "what they share is run once"
    names = {str(event["name"]) for event in told(built) if event.get("type") == "vertex"}
    assert "[tool 2/2] RUN cat /proc/sys/kernel/random/uuid > /once" in names
    assert any(name.startswith("[linux/arm64 cross 2/2] RUN echo") for name in names)
    assert untouched(engine) == [], "nothing was to stay"


def test_an_index_in_the_store_is_what_a_push_sends(engine: Sampan, registry: Registry) -> None:
    name = f"127.0.0.1:{registry.port}/team/app:1"
    annotations = {"a": "all", "manifest[linux/arm64]:b": "arm", "index:c": "top", "manifest-descriptor:d": "beside"}
    attests = {"sbom": "", "provenance": "mode=max"}
    built = built_for(engine, BOTH, t=name, outputs=IMAGE, attests=attests, annotations=annotations)
    assert untouched(engine) == [built.image], "the other platform's is kept as what the index names"
    index = raw(name)
    assert index["annotations"] == {"c": "top"}
    amd64, arm64, *about = index["manifests"]
    assert [entry["platform"] for entry in (amd64, arm64)] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    assert amd64["annotations"] == arm64["annotations"] == {"d": "beside"}
    assert [entry["annotations"]["vnd.docker.reference.digest"] for entry in about] == [
        amd64["digest"],
        arm64["digest"],
    ]
    repository = name.removesuffix(":1")
    assert raw(f"{repository}@{arm64['digest']}")["annotations"] == {"a": "all", "b": "arm"}
    statements = raw(f"{repository}@{about[1]['digest']}")["layers"]
    kinds = [layer["annotations"]["in-toto.io/predicate-type"] for layer in statements]
    assert kinds == ["https://spdx.dev/Document", "https://slsa.dev/provenance/v0.2"]
    (result,) = [event["metadata"] for event in told(built) if event.get("type") == "result"]
    listed = engine.api("GET", f"/images/{name}/json").json()
    assert isinstance(listed, dict)
    assert isinstance(result, dict)
    assert listed["RepoDigests"] == [f"{repository}@{result['containerimage.digest']}"]
    command = ["skopeo", "inspect", "--config", "--override-arch=arm64", "--tls-verify=false", f"docker://{name}"]
    config = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (config["architecture"], config["os"]) == ("arm64", "linux")
    # Under another name, from what is kept here.
    assert engine.docker("tag", name, f"{repository}:2").code == 0
    assert engine.docker("push", "-q", f"{repository}:2").code == 0
    assert raw(f"{repository}:2") == index
    mounted = ("-v", "/bin/busybox:/busybox", name, "/busybox", "cat", "/said")
    assert engine.docker("run", "--rm", "--net", "none", *mounted).text.endswith("linux/amd64 linux amd64=")


def test_annotations_of_one_image_need_no_index(engine: Sampan, registry: Registry) -> None:
    name = f"127.0.0.1:{registry.port}/team/plain:1"
    build(
        engine, "FROM scratch\nCOPY x /\n", {"x": "1"}, progress="json", t=name, outputs=IMAGE, annotations={"a": "b"}
    )
    manifest = raw(name)
    assert (manifest["mediaType"], manifest["annotations"]) == (
        "application/vnd.oci.image.manifest.v1+json",
        {"a": "b"},
    )


def test_an_index_of_one_platform(engine: Sampan) -> None:
    arguments = {"BUILDKIT_MULTI_PLATFORM": "1"}
    built = built_for(engine, "linux/arm64", buildargs=arguments, outputs=[{"Type": "oci"}])
    blobs = members(output(built))
    (top,) = json.loads(blobs["index.json"])["manifests"]
    (result,) = [event["metadata"] for event in told(built) if event.get("type") == "result"]
    assert isinstance(result, dict)
    assert result["containerimage.digest"] == result["containerimage.descriptor"]["digest"] == top["digest"]
    index = json.loads(blobs["blobs/sha256/" + top["digest"][7:]])
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["arm64"]


def test_a_base_for_each_platform_comes_from_its_registry(engine: Sampan, registry: Registry) -> None:
    base = f"127.0.0.1:{registry.port}/team/base:1"
    built_for(
        engine,
        BOTH,
        "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n",
        {"amd64": b"A", "arm64": b"B"},
        t=base,
        outputs=IMAGE,
    )
    assert engine.api("DELETE", f"/images/{base}?force=1").status == 200
    asked = []
    for _ in range(2):
        built = built_for(engine, BOTH, f"FROM {base}\nCOPY x /\n", {"x": b""}, outputs=[{"Type": "tar"}])
        asked.append(len(registry.requests()))
        found = members(output(built))
        assert (found["linux_amd64/arch"], found["linux_arm64/arch"]) == (b"A", b"B")
    assert asked[0] == asked[1], "the second time both are here"
    listed = engine.api("GET", f"/images/{base}/json").json()
    assert isinstance(listed, dict)
    assert listed["Architecture"] == "amd64", "the name is that of the image which this machine runs"


def test_an_index_that_was_made_here_is_a_base_for_each_platform(engine: Sampan) -> None:
    text = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n"
    built_for(engine, BOTH, text, {"amd64": b"A", "arm64": b"B"}, t="own:1")
    assert engine.docker("image", "inspect", "-f", "{{.Architecture}}", "own:1").text == "amd64"
    found = members(output(built_for(engine, BOTH, "FROM own:1\nCOPY x /\n", {"x": b""}, outputs=[{"Type": "tar"}])))
    assert (found["linux_amd64/arch"], found["linux_arm64/arch"]) == (b"A", b"B")


def test_a_program_for_another_machine(engine: Sampan) -> None:
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xff\x7f" + bytes(44)  # for a machine that there is not
    text = 'FROM --platform=linux/arm64 scratch\nCOPY --chmod=755 x /\nRUN ["/x"]\n'
    built = built_for(engine, "linux/arm64", text, {"x": elf})
    log = "".join(str(line) for line in built.lines)
    assert "returned a non-zero code: 255" in built.error, log
    said = b"".join(_data(event) for event in told_so_far(built) if event.get("type") == "log")
    assert b"exec /x: exec format error" in said
    assert b"FROM --platform=$BUILDPLATFORM" in said


def told_so_far(built: Built) -> list[dict[str, Any]]:
    return [aux for line in built.lines if line.get("id") == "sampan.build" and isinstance(aux := line["aux"], dict)]


def _data(event: Mapping[str, Any]) -> bytes:
    return base64.b64decode(str(event["data"]))
