import pytest

from sampan.build.outputs.attestations import PROVENANCE_02, PROVENANCE_1
from sampan.build.outputs.provenance import Facts, Material, Wish, materials, parse, provenance, steps
from sampan.build.planning import Wish as PlanWish
from sampan.build.planning import plan
from sampan.dockerfile.parse import parse as parse_dockerfile
from sampan.dockerfile.stages import BaseImage
from sampan.errors import InvalidParameter
from sampan.spec.oci_image import ImageConfig
from tests.golden.rendering import MACHINES

TEXT = "FROM debian:12\nADD https://example.org/f /f\nADD https://example.org/r.git#v1 /r\nCOPY a /a\nRUN make"
GRAPH = plan(parse_dockerfile(TEXT), PlanWish(MACHINES), {BaseImage("debian:12"): ImageConfig()})
CONTENTS = dict.fromkeys(GRAPH.sources, f"sha256:{'d' * 64}")
FACTS = Facts(
    identity="abc",
    file="Dockerfile",
    arguments={"build-arg:SECRET": "x", "target": "final"},
    platform="linux/amd64",
    machine="linux/amd64",
    materials=materials(GRAPH, GRAPH.targets[0], CONTENTS),
    steps=steps(GRAPH, GRAPH.targets[0]),
    started=1_700_000_000 * 10**9,
    finished=1_700_000_001 * 10**9 + 5,
)


def test_what_came_from_outside() -> None:
    uris = {one.uri: one.digest for one in materials(GRAPH, GRAPH.targets[0], CONTENTS)}
    assert uris["https://example.org/f"] == {"sha256": "d" * 64}
    assert uris["https://example.org/r.git#v1"] == {"sha1": "d" * 64}
    (image,) = [uri for uri in uris if uri.startswith("pkg:docker/debian@12?platform=linux%2F")]
    assert uris[image] == {"sha256": "d" * 64}
    assert len(uris) == 3


def test_version_02() -> None:
    statement = provenance(FACTS, Wish(builder="https://ci"))
    told = statement.document
    assert statement.kind == PROVENANCE_02
    assert told["builder"] == {"id": "https://ci"}
    assert told["invocation"]["parameters"]["args"] == {"target": "final"}, "arguments are told in mode=max only"
    assert "buildConfig" not in told
    assert told["metadata"]["buildStartedOn"] == "2023-11-14T22:13:20.000000000Z"
    assert told["metadata"]["completeness"] == {"parameters": False, "environment": True, "materials": False}
    most = provenance(FACTS, Wish(every=True, reproducible=True)).document
    assert most["invocation"]["parameters"]["args"] == {"build-arg:SECRET": "x", "target": "final"}
    assert most["buildConfig"]["llbDefinition"][0]["id"] == "step0"
    assert most["metadata"]["reproducible"] is True


def test_version_1() -> None:
    statement = provenance(FACTS, Wish(version="v1"))
    definition = statement.document["buildDefinition"]
    assert statement.kind == PROVENANCE_1
    assert definition["externalParameters"]["configSource"] == {"path": "Dockerfile"}
    assert len(definition["resolvedDependencies"]) == 3
    assert statement.document["runDetails"]["metadata"]["finishedOn"] == "2023-11-14T22:13:21.000000005Z"
    assert "buildConfig" not in definition["internalParameters"]
    most = provenance(FACTS, Wish(every=True, version="v1")).document
    assert len(most["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"]) == len(GRAPH.vertices)


def test_steps_name_their_inputs() -> None:
    last = steps(GRAPH, GRAPH.targets[0])[-1]
    assert last["inputs"] == [f"step{len(GRAPH.vertices) - 2}:0"]
    assert Material("u", {}).uri == "u"


def test_words() -> None:
    assert parse("") == Wish()
    assert parse("mode=max,version=v1,builder-id=b,reproducible=true") == Wish(
        every=True, version="v1", builder="b", reproducible=True
    )
    assert parse("disabled=true") is None
    for wrong in ("mode=all", "version=v2", "colour=red", "reproducible=perhaps"):
        with pytest.raises(InvalidParameter):
            parse(wrong)
