"""docker-py drives the engine as it drives Docker."""

import io
import tarfile
from datetime import datetime

import docker
import pytest

from tests.archives import busybox_archive
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "busybox")


def test_run_returns_the_output(client: docker.DockerClient) -> None:
    assert client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"


def test_run_raises_with_code_and_stderr(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo wrong >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3
    assert failed.value.stderr == b"wrong\n"


def test_unknown_names_raise_not_found(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nosuch")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch")


def test_life_of_a_container(client: docker.DockerClient) -> None:
    container = client.containers.run("busybox", ["sleep", "100"], detach=True, name="lived", labels={"a": "b"})
    container.reload()
    assert container.status == "running"
    code, output = container.exec_run(["sh", "-c", "echo in; echo err >&2; exit 4"], demux=True)
    assert (code, output) == (4, (b"in\n", b"err\n"))
    assert [found.id for found in client.containers.list(filters={"label": "a=b"})] == [container.id]
    container.rename("other")
    container.stop(timeout=1)
    assert container.wait()["StatusCode"] == 137
    container.remove()
    assert client.containers.list(all=True) == []


def test_logs_stream_and_attach(client: docker.DockerClient) -> None:
    container = client.containers.run(
        "busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done"], detach=True
    )
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert container.logs(tail=1) == b"3\n"


def test_input_over_an_attached_socket(client: docker.DockerClient) -> None:
    container = client.containers.create("busybox", ["cat"], stdin_open=True)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    attached._sock.sendall(b"typed\n")
    attached._sock.shutdown(1)
    assert container.wait()["StatusCode"] == 0
    assert container.logs() == b"typed\n"
    attached._sock.close()
    attached.close()


def test_an_exec_is_framed_as_its_start_says(client: docker.DockerClient) -> None:
    """docker-py makes an exec with a terminal and starts it without the word: Docker frames by the start."""
    container = client.containers.run("busybox", ["sleep", "100"], detach=True)
    with_terminal = client.api.exec_create(container.id, ["echo", "hello out"], tty=True)
    assert client.api.exec_start(with_terminal) == b"hello out\r\n"
    without = client.api.exec_create(container.id, ["sh", "-c", "echo raw; echo err >&2"])
    assert sorted(client.api.exec_start(without, tty=True).splitlines()) == [b"err", b"raw"]


def test_detach_keys_of_the_clients_configuration(client: docker.DockerClient) -> None:
    """docker-py spells their member `detachKeys`: names are read in any case, as Go reads them."""
    container = client.containers.run("busybox", ["sleep", "100"], detach=True)
    made = client.api.exec_create(container.id, ["cat"], stdin=True, tty=True, detach_keys="ctrl-p")
    sock = client.api.exec_start(made, tty=True, socket=True)
    sock._sock.sendall(b"\x10")
    received = b""
    while piece := sock._sock.recv(100):
        received += piece
    assert client.api.exec_inspect(made)["Running"] is True
    sock._sock.close()
    sock.close()


def test_images_load_tag_save_remove(client: docker.DockerClient, engine: Sampan) -> None:
    (loaded,) = client.images.load(busybox_archive())
    loaded.tag("copy", "1")
    saved = b"".join(client.images.get("copy:1").save(named=True))
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        assert "manifest.json" in archive.getnames()
    client.images.remove("copy:1")
    assert client.images.get("busybox").id == loaded.id


def test_health_is_seen(client: docker.DockerClient) -> None:
    check = {"test": ["CMD-SHELL", "echo fine"], "interval": 200_000_000, "retries": 2, "timeout": 10**10}
    container = client.containers.run("busybox", ["sleep", "100"], detach=True, healthcheck=check)
    container.reload()
    assert container.health in ("starting", "healthy")
    for event in client.events(decode=True, since=1, filters={"container": container.id, "event": "health_status"}):
        assert event["Action"] == "health_status: healthy"
        break
    container.reload()
    assert container.health == "healthy"
    assert container.attrs["State"]["Health"]["Log"][0]["Output"] == "fine\n"
    assert [one.id for one in client.containers.list(filters={"health": "healthy"})] == [container.id]


def test_links_and_restart_policies(client: docker.DockerClient) -> None:
    store = client.containers.run("busybox", ["sleep", "100"], detach=True, name="store", ports={"80/tcp": None})
    told = client.containers.run("busybox", ["env"], links={"store": "db"}, remove=True)
    assert b"DB_NAME=" in told
    assert b"DB_PORT_80_TCP_PORT=80\n" in told
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    failing = client.containers.run("busybox", ["false"], detach=True, restart_policy=policy)
    for event in client.events(decode=True, since=1, filters={"container": failing.id, "event": "die"}):
        failing.reload()
        if failing.attrs["RestartCount"] == 1 and failing.status == "exited":
            break
        assert event["Actor"]["Attributes"]["exitCode"] == "1"
    store.reload()
    assert store.status == "running"


def test_events_tell_a_life(client: docker.DockerClient) -> None:
    since = client.info()["SystemTime"]
    container = client.containers.run("busybox", ["true"], detach=True)
    container.wait()
    container.remove()
    until = client.info()["SystemTime"]
    asked = {"since": _seconds(since), "until": _seconds(until) + 1, "filters": {"container": container.id}}
    told = [one["Action"] for one in client.events(decode=True, **asked) if one["Type"] == "container"]
    assert [action for action in told if action != "attach"] == ["create", "start", "die", "destroy"]


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp[:19] + "+00:00").timestamp())


def test_info_and_version(client: docker.DockerClient) -> None:
    assert client.ping() is True
    assert client.info()["Swarm"]["LocalNodeState"] == "inactive"
    assert "Sampan" in client.version()["Platform"]["Name"]
