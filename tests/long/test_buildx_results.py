"""What becomes of a build with the real buildx: several platforms, attestations, annotations, several outputs, entitlements."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import Sampan
from tests.long.buildx import Buildx, ok
from tests.registries import running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "nftables", "busybox")

BOTH = "linux/amd64,linux/arm64"


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A context that builds for any machine."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\nCOPY note /$TARGETARCH\n")
    (tmp_path / "context" / "note").write_text("note")
    return str(tmp_path / "context")


def documents(archive: Path) -> dict[str, Any]:
    """The JSON in an OCI archive, by digest; the index by its name."""
    found: dict[str, Any] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            data = file.read() if file is not None else b""
            if data[:1] == b"{":
                found[member.name.rpartition("/")[2]] = json.loads(data)
    return found


def described(found: dict[str, Any], descriptor: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = found[descriptor["digest"].removeprefix("sha256:")]
    return document


def top(found: dict[str, Any]) -> dict[str, Any]:
    """The one index or manifest that an archive is about."""
    (only,) = found["index.json"]["manifests"]
    return described(found, only)


def test_several_platforms(engine: Sampan, buildx: Buildx, place: str, tmp_path: Path) -> None:
    ok(buildx("build", "--platform", BOTH, "-o", f"type=oci,dest={tmp_path}/both.tar", place))
    index = top(documents(tmp_path / "both.tar"))
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    ok(buildx("build", "--platform", BOTH, "-o", f"type=local,dest={tmp_path}/both", place))
    assert {
        path.relative_to(tmp_path / "both").as_posix() for path in (tmp_path / "both").rglob("*") if path.is_file()
    } == {
        "linux_amd64/amd64",
        "linux_arm64/arm64",
    }
    with running_registry(tmp_path / "registry") as registry:
        name = f"{registry.address}/both:1"
        ok(buildx("build", "--platform", BOTH, "--push", "-t", name, place))
        told = json.loads(ok(buildx("buildx", "imagetools", "inspect", "--raw", name)))
        assert [one["platform"]["architecture"] for one in told["manifests"]] == ["amd64", "arm64"]
        ok(buildx("buildx", "imagetools", "create", "-t", f"{registry.address}/both:2", name))
        assert "linux/arm64" in ok(buildx("buildx", "imagetools", "inspect", f"{registry.address}/both:2"))


def test_an_index_for_one_platform(buildx: Buildx, place: str, tmp_path: Path) -> None:
    ok(buildx("build", "--build-arg", "BUILDKIT_MULTI_PLATFORM=1", "-o", f"type=oci,dest={tmp_path}/one.tar", place))
    assert len(top(documents(tmp_path / "one.tar"))["manifests"]) == 1


def test_attestations_that_are_asked_for(engine: Sampan, buildx: Buildx, place: str, tmp_path: Path) -> None:
    ok(buildx("build", "--sbom=true", "--provenance=mode=max", "-o", f"type=oci,dest={tmp_path}/said.tar", place))
    found = documents(tmp_path / "said.tar")
    image, attached = top(found)["manifests"]
    assert attached["annotations"]["vnd.docker.reference.digest"] == image["digest"]
    kinds = {layer["annotations"]["in-toto.io/predicate-type"] for layer in described(found, attached)["layers"]}
    assert "https://spdx.dev/Document" in kinds
    assert any(kind.startswith("https://slsa.dev/provenance/") for kind in kinds)
    ok(buildx("build", "--sbom=true", "-t", "said", place))
    assert ok(engine.docker("inspect", "-f", "{{.Architecture}}", "said")) == "amd64\n"
    refused = buildx("build", "--sbom=generator=example.com/scanner", place)
    assert "--sbom generator=example.com/scanner" in refused.err.decode()


def test_nothing_is_attested_by_itself(engine: Sampan, buildx: Buildx, place: str, tmp_path: Path) -> None:
    iid = tmp_path / "iid"
    ok(buildx("build", "--iidfile", str(iid), "-t", "plain", place))
    assert ok(engine.docker("inspect", "-f", "{{.Id}}", "plain")).strip() == iid.read_text()
    ok(buildx("build", "-o", f"type=oci,dest={tmp_path}/plain.tar", place))
    assert "config" in top(documents(tmp_path / "plain.tar"))


def test_annotations(buildx: Buildx, place: str, tmp_path: Path) -> None:
    words = (
        "--annotation",
        "a=manifest",
        "--annotation",
        "index:b=index",
        "--annotation",
        "manifest[linux/arm64]:c=arm",
    )
    ok(buildx("build", "--platform", BOTH, *words, "-o", f"type=oci,dest={tmp_path}/noted.tar", place))
    found = documents(tmp_path / "noted.tar")
    index = top(found)
    assert index["annotations"]["b"] == "index"
    manifests = [described(found, one)["annotations"] for one in index["manifests"]]
    assert manifests == [{"a": "manifest"}, {"a": "manifest", "c": "arm"}]


def test_several_outputs_of_one_build(engine: Sampan, buildx: Buildx, place: str, tmp_path: Path) -> None:
    outputs = (f"type=local,dest={tmp_path}/tree", f"type=oci,dest={tmp_path}/a.tar", f"type=tar,dest={tmp_path}/b.tar")
    words = [word for one in outputs for word in ("-o", one)]
    ok(buildx("build", *words, "-o", "type=image,name=many", place))
    assert (tmp_path / "tree" / "amd64").read_text() == "note"
    assert "config" in top(documents(tmp_path / "a.tar"))
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert "amd64" in tar.getnames()
    ok(engine.docker("inspect", "many"))


def test_entitlements(buildx: Buildx, tmp_path: Path) -> None:
    (tmp_path / "Host").write_text("FROM busybox\nRUN --network=host true\n")
    (tmp_path / "Insecure").write_text("FROM busybox\nRUN --security=insecure true\n")
    (tmp_path / "Plain").write_text("FROM busybox\nRUN test $(grep Seccomp: /proc/self/status | cut -f2) = 2\n")

    def build(file: str, *words: str) -> str:
        done = buildx("build", "--no-cache", "-f", f"{tmp_path}/{file}", *words, str(tmp_path))
        return done.err.decode() if done.code else ""

    assert "network.host is not allowed" in build("Host")
    assert build("Host", "--allow", "network.host") == ""
    assert "security.insecure is not allowed" in build("Insecure")
    granting = "granting entitlement security.insecure is not allowed by build daemon configuration"
    assert granting in build("Insecure", "--allow", "security.insecure")
    assert "unknown entitlement" in build("Plain", "--allow", "everything")
    assert build("Plain", "--allow", "network.host") == ""


def test_source_policies_are_refused_by_name(buildx: Buildx, place: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"rules": [{"action": "DENY", "selector": {"identifier": "docker-image://*"}}]}))
    done = buildx("build", place, more={"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY": str(policy)})
    assert done.code != 0
    assert "not implemented by Sampan yet: source policies" in done.err.decode()
