"""Images to and from Debian's docker-registry: with the docker command and docker-py, packed by skopeo, from several at once."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.archives import PATH, Layer, busybox_archive, busybox_rootfs, docker_archive
from tests.daemons import Outcome, Sampan, running_sampan
from tests.registries import SECURE_NAME, Registry, make_certificates, running_registry
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-registry", "docker-client", "busybox")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(autouse=True)
def _only_busybox(engine: Sampan) -> Iterator[None]:
    """Each test begins with the one image that the engine was made with."""
    yield
    engine.remove_containers()
    for image in engine.docker("image", "ls", "-aq").text.split():
        engine.docker("rmi", "-f", image)
    engine.load_busybox()


def second_layer(content: bytes = b"second") -> bytes:
    layer = Layer()
    layer.file("second", content)
    return layer.tar()


def archive(tag: str, *extra: bytes) -> bytes:
    return docker_archive(tag, [busybox_rootfs(), *extra], {"Cmd": ["cat", "/second"], "Env": [PATH]})


def push(engine: Sampan, name: str, *extra: bytes) -> str:
    """An image under that name in the registry, and no more here; its digest."""
    assert engine.docker("load", stdin=archive(name, *extra)).code == 0
    pushed = engine.docker("push", name)
    assert pushed.code == 0, pushed
    assert engine.docker("rmi", name).code == 0
    return pushed.text.rpartition("digest: ")[2].partition(" ")[0]


def ok(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome
    return outcome.text


def skopeo(*words: str) -> None:
    done = subprocess.run(["skopeo", *words], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done


def blobs(engine: Sampan) -> set[str]:
    return {path.name for path in (engine.data_root / "content/blobs/sha256").iterdir()}


def short(identifier: str) -> str:
    return identifier.removeprefix("sha256:")[:12]


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


# ---- the docker command


def test_docker_draws_a_push_and_a_pull(engine: Sampan, registry: Registry) -> None:
    name = f"{registry.address}/team/app:1"
    ok(engine.docker("load", stdin=archive(name, second_layer())))
    lower, upper = short(digest_of(busybox_rootfs())), short(digest_of(second_layer()))
    pushed = ok(engine.docker("push", name)).splitlines()
    assert pushed[0] == f"The push refers to repository [{registry.address}/team/app]"
    assert pushed[1:3] == [f"{upper}: Preparing", f"{lower}: Preparing"]
    assert sorted(pushed[3:5]) == sorted([f"{upper}: Pushed", f"{lower}: Pushed"])
    digest = pushed[5].removeprefix("1: digest: ").partition(" size: ")[0]
    assert len(pushed) == 6
    assert f"{upper}: Layer already exists" in ok(engine.docker("push", name))
    ok(engine.docker("rmi", name))
    pulled = ok(engine.docker("pull", name)).splitlines()
    assert pulled[0] == "1: Pulling from team/app"
    assert [line.partition(": ")[2] for line in pulled[1:3]] == ["Pulling fs layer"] * 2
    assert pulled[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    assert [line.partition(": ")[2] for line in pulled[3:-3]].count("Pull complete") == 2
    assert ok(engine.docker("run", "--rm", name)) == "second"
    again = ok(engine.docker("pull", name)).splitlines()
    assert again == ["1: Pulling from team/app", f"Digest: {digest}", f"Status: Image is up to date for {name}", name]
    assert ok(engine.docker("pull", "-q", name)) == name


def test_run_pulls_what_is_not_here(engine: Sampan, registry: Registry) -> None:
    name = f"{registry.address}/absent:1"
    push(engine, name, second_layer(b"brought"))
    run = engine.docker("run", "--rm", name)
    assert (run.code, run.out) == (0, b"brought")
    assert f"Unable to find image '{name}' locally" in run.err.decode()
    missing = engine.docker("run", "--rm", f"{registry.address}/absent:2")
    assert missing.code == 125
    told = f"manifest for {registry.address}/absent:2 not found: manifest unknown: manifest unknown"
    assert told in missing.err.decode()


def test_names_that_cannot_be_pushed(engine: Sampan, registry: Registry) -> None:
    nowhere = engine.docker("push", f"{registry.address}/nowhere:1")
    assert nowhere.text == f"The push refers to repository [{registry.address}/nowhere]"
    assert nowhere.err.decode().strip() == f"An image does not exist locally with the tag: {registry.address}/nowhere"
    ok(engine.docker("tag", "busybox", f"{registry.address}/some:1"))
    other = engine.docker("push", f"{registry.address}/some:2")
    assert other.err.decode().strip() == f"tag does not exist: {registry.address}/some:2"
    ok(engine.docker("tag", "host", f"{registry.address}/machine:1"))
    assert "cannot leave it" in engine.docker("push", f"{registry.address}/machine:1").err.decode()


def test_all_tags_there_and_back(engine: Sampan, registry: Registry) -> None:
    name = f"{registry.address}/many"
    for tag in ("1", "2"):
        ok(engine.docker("load", stdin=archive(f"{name}:{tag}", second_layer(tag.encode()))))
    pushed = ok(engine.docker("push", "-a", name))
    assert "1: digest: sha256:" in pushed
    assert "2: digest: sha256:" in pushed
    ok(engine.docker("rmi", f"{name}:1", f"{name}:2"))
    pulled = ok(engine.docker("pull", "-a", name)).splitlines()
    assert {line for line in pulled if "Pulling from" in line} == {"1: Pulling from many", "2: Pulling from many"}
    assert pulled[-2:] == [f"Status: Downloaded newer image for {name}", name]
    assert [ok(engine.docker("run", "--rm", f"{name}:{tag}")) for tag in ("1", "2")] == ["1", "2"]


def test_by_digest(engine: Sampan, registry: Registry) -> None:
    digest = push(engine, f"{registry.address}/digest:1", second_layer())
    name = f"{registry.address}/digest@{digest}"
    pulled = ok(engine.docker("pull", name)).splitlines()
    assert pulled[0] == f"{name}: Pulling from digest"
    assert pulled[-2:] == [f"Status: Downloaded newer image for {name}", name]
    assert ok(engine.docker("run", "--rm", name)) == "second"
    assert json.loads(ok(engine.docker("image", "inspect", "-f", "{{json .RepoDigests}}", name))) == [name]


def test_a_layer_of_a_neighbour_is_mounted(engine: Sampan, registry: Registry) -> None:
    ok(engine.docker("tag", "busybox", f"{registry.address}/first:1"))
    ok(engine.docker("push", f"{registry.address}/first:1"))
    ok(engine.docker("tag", "busybox", f"{registry.address}/second:1"))
    assert f"{short(digest_of(busybox_rootfs()))}: Mounted from first" in ok(
        engine.docker("push", f"{registry.address}/second:1")
    )


def test_events_name_the_reference(engine: Sampan, registry: Registry) -> None:
    name = f"{registry.address}/told:1"
    since = ok(engine.docker("info", "-f", "{{.SystemTime}}"))
    push(engine, name)
    ok(engine.docker("pull", name))
    until = ok(engine.docker("info", "-f", "{{.SystemTime}}"))
    told = ok(engine.docker("events", "--since", since, "--until", until, "--format", "{{json .}}", "-f", "type=image"))
    heard = [(event["Action"], event["Actor"]["ID"]) for event in map(json.loads, told.splitlines())]
    assert [pair for pair in heard if pair[0] in ("push", "pull")] == [("push", name), ("pull", name)]


# ---- what other programs put into the registry


@requires("skopeo")
@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_layers_that_skopeo_packed(engine: Sampan, registry: Registry, tmp_path: Path, packing: str) -> None:
    (tmp_path / "image.tar").write_bytes(archive("x:1", second_layer(packing.encode())))
    name = f"{registry.address}/packed-{packing}:1"
    options = ["--dest-tls-verify=false", "--format", "oci", "--dest-compress-format", packing]
    skopeo("copy", *options, f"docker-archive:{tmp_path}/image.tar", f"docker://{name}")
    ok(engine.docker("pull", name))
    assert ok(engine.docker("run", "--rm", name)) == packing
    digest = ok(engine.docker("image", "inspect", "-f", "{{index .RepoDigests 0}}", name)).partition("@")[2]
    manifest = json.loads(registry.blob(digest).read_bytes())
    # Only the upper layer is sure to be packed anew: skopeo remembers the lower one from an earlier run.
    assert manifest["layers"][1]["mediaType"].endswith(f"+{packing}")
    # And out again as it came: the same manifest, byte for byte.
    ok(engine.docker("tag", name, f"{registry.address}/again-{packing}:1"))
    assert f"1: digest: {digest} size: " in ok(engine.docker("push", f"{registry.address}/again-{packing}:1"))


def put(registry: Registry, path: str, tag: str, media_type: str, document: object) -> None:
    import urllib.request

    url = f"http://{registry.address}/v2/{path}/manifests/{tag}"
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": media_type}, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201


def test_an_index_of_platforms(engine: Sampan, registry: Registry) -> None:
    entries = []
    for architecture in ("amd64", "arm64"):
        digest = push(engine, f"{registry.address}/multi:{architecture}", second_layer(architecture.encode()))
        size = registry.blob(digest).stat().st_size
        platform = {"os": "linux", "architecture": architecture}
        media_type = "application/vnd.docker.distribution.manifest.v2+json"
        entries.append({"mediaType": media_type, "digest": digest, "size": size, "platform": platform})
    index = "application/vnd.docker.distribution.manifest.list.v2+json"
    put(registry, "multi", "all", index, {"schemaVersion": 2, "mediaType": index, "manifests": entries})
    name = f"{registry.address}/multi:all"
    ok(engine.docker("pull", name))
    assert ok(engine.docker("run", "--rm", name)) == "amd64"
    ok(engine.docker("pull", "--platform", "linux/arm64", name))
    assert ok(engine.docker("run", "--rm", name)) == "arm64"
    before = blobs(engine)
    missing = engine.docker("pull", "--platform", "linux/s390x", name)
    assert missing.code == 1
    assert missing.err.decode().strip() == "no matching manifest for linux/s390x in the manifest list entries"
    assert blobs(engine) == before


# ---- docker-py, several at once, a daemon that is killed


def test_docker_py(engine: Sampan, registry: Registry) -> None:
    client = docker.DockerClient(engine.host)
    try:
        image = client.images.get("busybox")
        image.tag(f"{registry.address}/py", "1")
        lines = list(client.images.push(f"{registry.address}/py", "1", stream=True, decode=True))
        assert lines[-1]["aux"]["Tag"] == "1"
        client.images.remove(f"{registry.address}/py:1")
        pulled = client.images.pull(f"{registry.address}/py", "1")
        assert pulled.id == image.id
        assert [one.id for one in client.images.pull(f"{registry.address}/py", all_tags=True)] == [image.id]
        with pytest.raises(docker.errors.NotFound):
            client.images.pull(f"{registry.address}/py", "none")
    finally:
        client.close()


def test_many_pulls_of_one_image(engine: Sampan, registry: Registry) -> None:
    name = f"{registry.address}/shared:1"
    push(engine, name, *(second_layer(bytes([number]) * 300_000) for number in range(4)))
    before = registry.requests().count("/v2/shared/blobs/sha256:")
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(engine.docker("pull", name))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.code for outcome in outcomes] == [0] * 6, outcomes
    asked = [line for line in registry.requests().splitlines() if "GET /v2/shared/blobs/sha256:" in line]
    # Five layers, once each; the configuration perhaps by several.
    assert len(asked) <= 5 + 6, before
    assert ok(engine.docker("image", "inspect", "-f", "{{len .RootFS.Layers}}", name)) == "5"


def test_what_was_pulled_outlives_a_kill(registry: Registry, engine: Sampan) -> None:
    name = f"{registry.address}/lasting:1"
    push(engine, name, second_layer())
    with running_sampan() as other:
        ok(other.docker("pull", name))
        other.kill()
        other.start()
        assert ok(other.docker("run", "--rm", name)) == "second"
        ok(other.docker("push", name))
        ok(other.docker("rmi", name))
        assert not blobs(other)


# ---- a registry that wants to know who asks


@requires("htpasswd")
def test_with_tls_and_a_password(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with running_registry(tmp_path / "registry", tls=certificates, users={"user": "secret"}) as private:
        name = f"{SECURE_NAME}:{private.port}/own:1"
        trusted = tmp_path / "config" / "certs.d" / f"{SECURE_NAME}:{private.port}"
        trusted.mkdir(parents=True)
        (trusted / "ca.crt").write_bytes(certificates.ca.read_bytes())
        (tmp_path / "config" / "daemon.json").write_text("{}")
        with running_sampan("--config-file", str(tmp_path / "config" / "daemon.json")) as sampan:
            ok(sampan.docker("load", stdin=busybox_archive(name)))
            refused = sampan.docker("push", name)
            assert refused.code == 1
            assert "no basic auth credentials" in refused.err.decode()
            unknown = sampan.docker("pull", name)
            assert unknown.code == 1
            assert "no basic auth credentials" in unknown.err.decode()
            home = {"DOCKER_CONFIG": str(tmp_path / "client")}
            (tmp_path / "client").mkdir()
            token = "dXNlcjpzZWNyZXQ="  # user:secret
            auths = {f"{SECURE_NAME}:{private.port}": {"auth": token}}
            (tmp_path / "client" / "config.json").write_text(json.dumps({"auths": auths}))
            ok(sampan.docker("push", name, env=home))
            ok(sampan.docker("rmi", name))
            ok(sampan.docker("pull", name, env=home))
            assert "secret" not in sampan.log_tail()
