"""Security corpus, section E: what an image's documents say of names, environments and settings, and is not believed."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.security.hostile import Canary, load, run

pytestmark = requires("root", "overlay", "busybox", "docker-client")

MARK = "sampan-of-the-host"


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    """A daemon with something of the host's in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME_SECRET", MARK)
        with running_sampan() as started:
            started.load_busybox()
            yield started


# CVE-2026-57231: a name without a value in an image's environment means the host's


@pytest.mark.parametrize("entry", ["HOME_SECRET", "*", "HOME_*", "=x", ""])
def test_sec_cve_2026_57231(engine: Sampan, entry: str) -> None:
    archive = docker_archive("sec-env-names:latest", [busybox_rootfs()], {"Cmd": ["env"], "Env": [PATH, entry]})
    loaded = engine.docker("load", stdin=archive)
    assert loaded.code != 0, "the image was taken"
    outcome = run(engine, "busybox", "env")
    assert MARK not in outcome.text


# CVE-2014-6408, CVE-2026-53488: labels and keys of an image that would change what a container may do


def test_sec_cve_2014_6408(engine: Sampan) -> None:
    labels = {
        "com.docker.compose.project": "x", "io.sampan.privileged": "true", "containerd.io/restart.loguri": "binary:///bin/sh",
        "io.containers.autoupdate": "registry", "io.kubernetes.cri-o.userns-mode": "host",
    }  # fmt: skip
    host = {"Privileged": True, "CapAdd": ["ALL"], "SecurityOpt": ["seccomp=unconfined"], "Binds": ["/:/host"]}
    config = {"Labels": labels, "HostConfig": host, "Privileged": True, **host}
    tag = load(engine, "sec-labels", None, config)
    created = engine.docker(
        "create", "--network", "none", tag, "sh", "-c", "grep -E '^(CapEff|Seccomp):' /proc/self/status"
    )
    (shown,) = json.loads(engine.docker("inspect", created.text).out)
    (plain,) = json.loads(engine.docker("inspect", engine.docker("create", "--network", "none", "busybox").text).out)
    for name in (
        "Privileged",
        "CapAdd",
        "CapDrop",
        "SecurityOpt",
        "Binds",
        "PidMode",
        "UsernsMode",
        "LogConfig",
        "Devices",
    ):
        assert shown["HostConfig"][name] == plain["HostConfig"][name], name
    assert shown["Mounts"] == []
    started = engine.docker("start", "-a", created.text)
    assert started.text.split() == ["CapEff:", "00000000a80425fb", "Seccomp:", "2"]


# CVE-2014-9358, CVE-2014-5282: names in an archive are looked up among its members and nowhere else


def _archive(config: str, layers: list[str], members: dict[str, bytes], links: dict[str, str]) -> bytes:
    archive = Layer()
    for name, data in members.items():
        archive.file(name, data)
    for name, target in links.items():
        archive.symlink(name, target)
    archive.file(
        "manifest.json", json.dumps([{"Config": config, "RepoTags": ["sec-named:1"], "Layers": layers}]).encode()
    )
    return archive.tar()


@pytest.mark.parametrize("shape", ["up", "absolute", "link", "link-up", "twice", "config-up", "digest"])
def test_sec_cve_2014_9358(engine: Sampan, canary: Canary, shape: str) -> None:
    layer = busybox_rootfs()
    digest = hashlib.sha256(layer).hexdigest()
    image = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    members, links = {"c.json": image, "l/layer.tar": layer}, dict[str, str]()
    config, path = "c.json", "l/layer.tar"
    match shape:
        case "up":
            path = "../" * 12 + canary.path[1:] + "/secret"
        case "absolute":
            path = f"{canary.path}/secret"
        case "link":
            path, links = "k/layer.tar", {"k/layer.tar": f"{canary.path}/secret"}
        case "link-up":
            path, links = "k/layer.tar", {"k/layer.tar": "../" * 12 + canary.path[1:] + "/secret"}
        case "config-up":
            config = "../" * 12 + canary.path[1:] + "/hosts"
        case "digest":
            members["l/layer.tar"] = layer + bytes(512)
        case _:
            members["./l/layer.tar"] = b"another"
    answer = engine.api("POST", "/images/load", _archive(config, [path], members, links))
    assert answer.status >= 400 or b"error" in answer.body, answer
    assert canary.secret.encode() not in answer.body
    assert engine.api("GET", "/images/sec-named:1/json").status == 404
