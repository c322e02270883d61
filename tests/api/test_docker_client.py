"""The machine's own docker and docker-py against the API with a backend in memory: no kernel, no root."""

import gc
import json
import os
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.api.certificates import make_certificate, server_context
from tests.api.serving import Served, serving
from tests.requires import requires


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory)
    return directory


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("client"), server_context(certificates)) as started:
        yield started


def cli(served: Served, *words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *words],
        env={**os.environ, "DOCKER_HOST": served.url, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=20,
    )


def output(served: Served, *words: str) -> str:
    done = cli(served, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@requires("docker-client")
def test_version_and_info(served: Served) -> None:
    found = json.loads(output(served, "version", "--format", "{{json .Server}}"))
    assert found["Platform"]["Name"] == "Sampan"
    assert (found["ApiVersion"], found["MinAPIVersion"], found["Version"]) == ("1.51", "1.24", "1.0.0")
    assert output(served, "info", "--format", "{{.Swarm.LocalNodeState}} {{.Containers}} {{.Name}}") == "inactive 2 box"
    assert "Server Version: 1.0.0" in output(served, "info")


@requires("docker-client")
def test_create_list_inspect_rename_remove(served: Served) -> None:
    box = output(
        served, "create", "--name", "cli1", "-e", "A=b", "-p", "8080:80", "-v", "/a:/b:ro", "-m", "64m", "busybox", "sh"
    )
    assert output(served, "ps", "-aq", "--no-trunc", "--filter", "name=cli1").splitlines()[-1:] == [box]
    request = served.memory.containers.find("cli1").request
    assert request.env == ("A=b",)
    assert request.host_config is not None
    assert request.host_config.memory == 64 * 1024 * 1024
    assert request.host_config.binds == ("/a:/b:ro",)
    assert set(request.host_config.port_bindings or ()) == {"80/tcp"}
    assert output(served, "inspect", "--format", "{{.Id}} {{.State.Status}}", "cli1") == f"{box} created"
    output(served, "rename", "cli1", "cli2")
    assert output(served, "rm", "-f", "cli2") == "cli2"
    missing = cli(served, "inspect", "cli2")
    assert missing.returncode == 1
    assert "No such object: cli2" in missing.stderr


@requires("docker-client")
def test_images(served: Served) -> None:
    assert "busybox" in output(served, "images")
    assert json.loads(output(served, "image", "inspect", "busybox"))[0]["Os"] == "linux"
    assert "ADD rootfs" in output(served, "history", "busybox")
    output(served, "tag", "busybox", "registry.example:5000/a/b:1")
    assert served.memory.images.tags[-1] == ("busybox", "registry.example:5000/a/b", "1")
    assert "Untagged: a/b:1" in output(served, "rmi", "a/b:1")


@requires("docker-client")
def test_load_save_import(served: Served, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"x" * 3_000_000)
    served.memory.images.received = 0
    assert output(served, "load", "-i", str(archive)) == "Loaded image: busybox:latest"
    assert served.memory.images.received == 3_000_000
    assert output(served, "import", str(archive)).startswith("sha256:")
    output(served, "save", "-o", str(tmp_path / "saved.tar"), "busybox")
    assert (tmp_path / "saved.tar").read_bytes() == b"tar" * 3000


@requires("docker-client")
def test_run_with_input(served: Served) -> None:
    done = cli(served, "run", "-i", "--name", "runs", "busybox", "cat", stdin="hello")
    assert (done.stdout, done.stderr, done.returncode) == ("HELLO", "bye\n", 3)


@requires("docker-client")
def test_run_with_input_over_tls(served: Served, certificates: Path) -> None:
    done = cli(
        served,
        "run",
        "-i",
        "--name",
        "runstls",
        "busybox",
        "cat",
        stdin="hello" * 20_000,
        DOCKER_HOST=f"tcp://127.0.0.1:{served.port}",
        DOCKER_TLS_VERIFY="1",
        DOCKER_CERT_PATH=str(certificates),
    )
    assert (done.stdout, done.stderr, done.returncode) == ("HELLO" * 20_000, "bye\n", 3)


@requires("docker-client")
def test_exec_with_input(served: Served) -> None:
    output(served, "create", "--name", "execs", "busybox", "sh")
    output(served, "start", "execs")
    done = cli(served, "exec", "-i", "execs", "cat", stdin="hello")
    assert (done.stdout, done.stderr, done.returncode) == ("HELLO", "bye\n", 5)
    stopped = cli(served, "kill", "execs")
    assert stopped.stdout == "execs\n"
    refused = cli(served, "exec", "execs", "true")
    assert "is not running" in refused.stderr


@requires("docker-client")
def test_logs_wait_and_events(served: Served) -> None:
    output(served, "create", "--name", "told", "busybox", "sh")
    logs = cli(served, "logs", "told")
    assert (logs.stdout, logs.stderr) == ("one\nthree\n", "two\n")
    output(served, "start", "told")
    output(served, "stop", "told")
    assert output(served, "wait", "told") == "143"
    told = output(served, "events", "--since", "0", "--until", str(int(time.time())), "--filter", "container=told")
    assert "container create" in told
    assert "name=told" in told


@requires("docker-client")
def test_failures(served: Served) -> None:
    missing = cli(served, "run", "nothing")
    assert missing.returncode == 125
    # What this backend pulls is always the same image, and not the one that was asked for.
    assert "No such image: nothing" in missing.stderr
    swarm = cli(served, "node", "ls")
    assert "This node is not a swarm manager." in swarm.stderr
    absent = cli(served, "swarm", "init")
    assert "not implemented by Sampan yet: swarm mode" in absent.stderr
    plugin = cli(served, "plugin", "install", "--grant-all-permissions", "x")
    assert "x not found" in plugin.stderr


@requires("docker-client")
@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.43", "1.47"])
def test_older_versions(served: Served, version: str) -> None:
    name = f"old{version.replace('.', '')}"
    done = cli(served, "run", "-i", "--name", name, "busybox", "cat", stdin="hello", DOCKER_API_VERSION=version)
    assert (done.stdout, done.returncode) == ("HELLO", 3), done.stderr
    assert "busybox" in cli(served, "images", DOCKER_API_VERSION=version).stdout
    assert cli(served, "info", DOCKER_API_VERSION=version).returncode == 0


@pytest.fixture
def library(served: Served) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=served.url)
    yield client
    with warnings.catch_warnings():
        # docker-py leaves the sockets of its streams to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        client.close()
        del client
        gc.collect()


def test_docker_py(library: docker.DockerClient, served: Served) -> None:
    assert library.ping()
    assert library.version()["ApiVersion"] == "1.51"
    assert library.info()["Swarm"]["LocalNodeState"] == "inactive"
    box = library.containers.create("busybox", "cat", name="py1", environment={"A": "b"}, mem_limit="32m", tty=False)
    box.start()
    box.reload()
    assert box.status == "running"
    assert [found.name for found in library.containers.list(filters={"name": "py1"}) if found.name == "py1"] == ["py1"]
    assert box.logs() == b"one\ntwo\nthree\n"
    assert box.logs(stream=False, stdout=True, stderr=False, tail=5) == b"one\ntwo\nthree\n"
    box.stop(timeout=2)
    assert box.wait()["StatusCode"] == 143
    box.remove()
    with pytest.raises(docker.errors.NotFound, match="No such container"):
        library.containers.get("py1")
    assert library.images.list()[0].tags == ["busybox:latest"]
    with pytest.raises(docker.errors.ImageNotFound):
        library.images.get("missing")
    assert library.networks.list()[0].name == "bridge"
    assert library.volumes.list()[0].name == "data"


def test_docker_py_talks_to_an_exec(library: docker.DockerClient) -> None:
    box = library.containers.create("busybox", "cat", name="py2")
    box.start()
    made = library.api.exec_create(box.id, ["cat"], stdin=True)
    stream = library.api.exec_start(made["Id"], socket=True)
    sock = getattr(stream, "_sock", stream)
    sock.sendall(b"hello")
    assert sock.recv(100)[8:] == b"HELLO"
    stream.close()


def test_docker_py_hears_events(library: docker.DockerClient) -> None:
    stream = library.events(decode=True)
    library.containers.create("busybox", "cat", name="py3")
    assert next(stream)["Actor"]["Attributes"]["name"] == "py3"
    stream.close()
