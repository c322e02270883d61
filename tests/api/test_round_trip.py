"""One image through all hands: built by buildah, pushed by skopeo, pulled and saved here, loaded and exported by Docker."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import Layer, busybox_rootfs
from tests.daemons import Daemon, Docker, Outcome, Sampan
from tests.registries import Registry, running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-registry", "docker-client", "dockerd", "skopeo", "buildah", "busybox")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done
    return done.stdout.decode().strip()


def ok(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome
    return outcome


def built(directory: Path) -> Path:
    """An OCI layout that buildah made from nothing: two layers, the upper with everything that is not plain."""
    storage = ["--root", str(directory / "storage"), "--runroot", str(directory / "run"), "--storage-driver", "vfs"]
    upper = Layer()
    upper.directory("many", 0o750)
    for number in range(50):
        upper.file(f"many/{number:03}", bytes([number]) * number, 0o640)
    upper.file("bin/own", b"#!/bin/sh\n", 0o4755)
    upper.symlink("link", "many/001")
    upper.file("linked", b"twice")
    upper.hardlink("linked-again", "linked")
    upper.file("a-name-of-" + "x" * 180, b"long")
    tars = []
    for number, data in enumerate((busybox_rootfs(), upper.tar())):
        tars.append(directory / f"{number}.tar")
        tars[-1].write_bytes(data)
    container = run("buildah", *storage, "from", "scratch")
    run("buildah", *storage, "add", container, str(tars[0]), "/")
    first = run("buildah", *storage, "commit", "-q", container)
    container = run("buildah", *storage, "from", "--pull-never", first)
    run("buildah", *storage, "add", container, str(tars[1]), "/")
    run("buildah", *storage, "config", "--cmd", "cat /linked", "--env", "A=b", "--label", "made=here", container)
    run("buildah", *storage, "commit", "-q", container, f"oci:{directory}/layout:1")
    return directory / "layout"


def tree(daemon: Daemon, image: str) -> dict[str, tuple[object, ...]]:
    """What an export of a container of the image has, but for what engines make in a root themselves."""
    container = ok(daemon.docker("create", image)).text
    exported = ok(daemon.docker("export", container)).out
    ok(daemon.docker("rm", container))
    own = ("dev", "proc", "sys", ".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab", "etc")
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        members = {member.name.rstrip("/"): member for member in archive}
        for name, member in members.items():
            if name in own or name.split("/")[0] in ("dev", "proc", "sys"):
                continue
            # Which of two links comes first is the engine's affair.
            source = members[member.linkname] if member.islnk() else member
            stream = archive.extractfile(source) if source.isreg() else None
            content = stream.read() if stream is not None else member.linkname
            kind = tarfile.REGTYPE if member.islnk() else member.type
            found[name] = (kind, source.mode & 0o7777, source.uid, source.gid, int(source.mtime), content)
    return found


def test_the_same_digest_and_the_same_tree(engine: Sampan, peer: Docker, registry: Registry, tmp_path: Path) -> None:
    layout = built(tmp_path)
    name = f"{registry.address}/built:1"
    run("skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:1", f"docker://{name}")
    manifest = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"))
    pushed = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{name}"))
    ok(engine.docker("pull", name))
    here = json.loads(ok(engine.docker("image", "inspect", name)).out)[0]
    assert here["Id"] == manifest["config"]["digest"]
    assert here["RepoDigests"] == [f"{registry.address}/built@{pushed['Digest']}"]
    assert ok(engine.docker("run", "--rm", name)).out == b"twice"
    archive = tmp_path / "saved.tar"
    ok(engine.docker("save", "-o", str(archive), name))
    ok(peer.docker("load", "-i", str(archive)))
    there = json.loads(ok(peer.docker("image", "inspect", name)).out)[0]
    assert there["Id"] == here["Id"]
    assert there["RootFS"] == here["RootFS"]
    assert there["Config"]["Cmd"] == here["Config"]["Cmd"]
    mine, theirs = tree(engine, name), tree(peer, name)
    assert mine.keys() == theirs.keys()
    assert {path: (mine[path], theirs[path]) for path in mine if mine[path] != theirs[path]} == {}
    assert len(mine) > 50
    # And back into the registry under another name: still the manifest that skopeo wrote.
    ok(engine.docker("tag", name, f"{registry.address}/back:1"))
    assert pushed["Digest"] in ok(engine.docker("push", f"{registry.address}/back:1")).text
    os.unlink(archive)
