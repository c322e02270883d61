"""A daemon with `userns-remap`: every container has the users of one subordinate range, unless it says `--userns host`.

The daemon runs in a mount namespace of its own, whose /etc/subuid and /etc/subgid are the test's.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.daemons import Sampan, refused_start, running_sampan
from tests.requires import requires
from tests.user_namespaces import create, ids, inspected, output, pid, read, started, uid_map, within
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "userns", "idmap", "netns", "bridge", "nftables", "docker-client", "busybox")
RANGE = 300000
ROWS = [(0, RANGE, 1000), (1000, 400000, 64536)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampan]:
    lines = f"other:1:1\ndaemon:400000:64536\ndaemon:{RANGE}:1000\ncontainers:{RANGE}:300000\n"
    command = within(tmp_path_factory.mktemp("remap"), lines)
    with running_sampan("--userns-remap", "daemon:daemon", within=command) as remapped:
        remapped.load_busybox()
        yield remapped


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


def test_info_says_so(engine: Sampan) -> None:
    found = read(engine.api("GET", "/info"))
    assert "name=userns" in found["SecurityOptions"]


def test_the_usual_life(engine: Sampan) -> None:
    """By docker's own command: detached, exec, logs, restart, stop, remove; its ranges in one map, from the lowest up."""
    assert (
        engine.docker(
            "run", "-d", "--name", "web", "-p", "127.0.0.1::80", "busybox", "sh", "-c", "id -u; sleep 1000"
        ).code
        == 0
    )
    process = pid(engine, "web")
    assert ids(process) == ({RANGE}, {RANGE})
    assert uid_map(process) == ROWS
    assert engine.docker("exec", "web", "sh", "-c", "touch /x && chown 2000 /x && stat -c %u /x").text == "2000"
    eventually(lambda: engine.docker("logs", "web").text == "0")
    assert engine.docker("restart", "-t", "0", "web").code == 0
    assert engine.docker("exec", "web", "stat", "-c", "%u", "/x").text == "2000"
    assert str(pid(engine, "web")) in engine.docker("top", "web", "-eo", "pid,uid").text
    assert engine.docker("pause", "web").code == engine.docker("unpause", "web").code == 0
    assert engine.docker("network", "create", "second").code == 0
    assert engine.docker("network", "connect", "second", "web").code == 0
    assert "eth1" in engine.docker("exec", "web", "ip", "link").text
    assert engine.docker("rm", "-f", "web").code == engine.docker("network", "rm", "second").code == 0


def test_docker_py(engine: Sampan) -> None:
    client = docker.DockerClient(base_url=engine.host)
    try:
        container = client.containers.run("busybox", "sh -c 'read x; echo got $x'", stdin_open=True, detach=True)
        with container.attach_socket(params={"stdin": 1, "stream": 1}) as sock:
            sock._sock.sendall(b"word\n")
            # Closing what docker-py wraps around it does not close it.
            sock._sock.close()
        assert container.wait()["StatusCode"] == 0
        assert container.logs() == b"got word\n"
        container.remove()
        assert client.containers.run("busybox", "cat /proc/self/uid_map", remove=True).split()[:3] == [
            b"0",
            b"300000",
            b"1000",
        ]
        assert client.containers.run("busybox", "id -u", remove=True, user="7").strip() == b"7"
    finally:
        client.close()


_SEEN = r"""
cut -d' ' -f5- /proc/self/mountinfo | grep -v ' overlay '
cat /proc/self/uid_map /proc/self/gid_map
stat -c '%n %a %u:%g %t:%T' /dev/*
grep -E '^(Cap|Uid|Gid|Groups|NoNewPrivs|Seccomp)' /proc/self/status
"""


def _run_explained(engine: Sampan, **host: Any) -> tuple[list[str], bool]:
    """What a program sees, and whether its world was made when it was started."""
    container = str(read(create(engine, "", "sh", "-c", _SEEN, **host))["Id"])
    assert engine.api("POST", f"/containers/{container}/start?explain=1").status == 204
    engine.api("POST", f"/containers/{container}/wait")
    steps = engine.api("GET", f"/containers/{container}/sampan/steps").body
    lines = engine.docker("logs", container).text.splitlines()
    return sorted(line for line in lines if not line.startswith("/dev/shm ")), b'"beget"' in steps


def test_a_slot_is_like_a_cold_start(engine: Sampan) -> None:
    """What a program sees is the same whether its world was made ahead of time or not."""
    warm: list[str] = []

    def came_from_a_slot() -> bool:
        seen, cold = _run_explained(engine)
        warm[:] = seen
        return not cold

    eventually(came_from_a_slot)
    seen, cold = _run_explained(engine, ShmSize=60 << 20)
    assert cold
    assert warm == seen
    assert len(warm) > 40


def test_the_host_s_users_on_request(engine: Sampan) -> None:
    said = engine.docker(
        "run", "--rm", "--userns", "host", "--privileged", "--network", "host", "busybox", "cat", "/proc/self/uid_map"
    )
    assert said.text.split() == ["0", "0", "4294967295"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "--privileged",
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace",
        ),
        ("--network=host", "cannot share the host's network namespace when user namespaces are enabled"),
        ("--pid=host", "cannot share the host PID namespace when user namespaces are enabled"),
    ],
)
def test_what_docker_refuses_is_refused(engine: Sampan, option: str, words: str) -> None:
    done = engine.docker("run", "--rm", option, "busybox", "true")
    assert done.code == 125
    assert words in done.err.decode()


def test_a_container_of_a_pool_avoids_the_remapped(engine: Sampan) -> None:
    """The pool here has the range of userns-remap in it."""
    assert uid_map(pid(engine, started(engine, "auto:size=60000", "sleep", "1000"))) == [(0, RANGE + 1000, 60000)]
    assert uid_map(pid(engine, started(engine, "auto", "sleep", "1000"))) == [(0, 464536, 65536)]


def test_missing_sources_are_made_for_its_root(engine: Sampan, tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    output(engine, "", "touch", "/b/x", Binds=[f"{tmp_path}/made/deep:/b"])
    assert [(tmp_path / name).stat().st_uid for name in ("made", "made/deep", "made/deep/x")] == [0, RANGE, RANGE]


def test_builds_run_as_its_users(engine: Sampan, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("secret")
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nCOPY Dockerfile /d\n"
        "RUN cut -c1-24 /proc/self/uid_map >/map && chown 5:6 /d && rmdir /home\n"
        "RUN --mount=type=cache,target=/c --mount=type=bind,target=/ctx touch /c/x && stat -c %u /c/x /ctx/Dockerfile >/seen\n"
        "RUN --mount=type=secret,id=w,uid=9 stat -c %u /run/secrets/w >>/seen && grep -q secret /run/secrets/w\n"
    )
    done = engine.sampan("build", "-q", "-t", "built", "--secret", f"id=w,src={tmp_path}/word", str(tmp_path))
    assert done.code == 0, done.err
    shown = output(engine, "host", "sh", "-c", "cat /map /seen; stat -c %u:%g /d", config={"Image": "built"}).split()
    assert shown[:2] == ["0", str(RANGE)]
    assert shown[-4:] == ["0", "0", "9", "5:6"]


def test_an_image_is_mounted(engine: Sampan) -> None:
    mounts = [{"Type": "image", "Source": "busybox", "Target": "/i"}]
    assert output(engine, "", "sh", "-c", "stat -c %u /i/bin/busybox && /i/bin/busybox true", Mounts=mounts) == "0\n"


def test_containers_share_a_network(engine: Sampan) -> None:
    """They share the user namespace as well, as under Docker."""
    donor = started(engine, "", "sleep", "1000", NetworkMode="bridge")
    other = started(engine, "", "sleep", "1000", NetworkMode=f"container:{donor}", IpcMode="private")
    assert os.stat(f"/proc/{pid(engine, donor)}/ns/user") == os.stat(f"/proc/{pid(engine, other)}/ns/user")
    assert (
        engine.docker("exec", other, "ip", "-o", "link").text == engine.docker("exec", donor, "ip", "-o", "link").text
    )
    both = started(engine, "", "sh", "-c", "sleep 1000", PidMode=f"container:{donor}")
    assert "sleep 1000" in engine.docker("exec", both, "ps").text
    assert inspected(engine, both)["State"]["Running"]
    for container in (other, both):
        assert engine.docker("restart", "-t", "0", container).code == 0
        assert engine.docker("exec", container, "id", "-u").text == "0"


@pytest.mark.parametrize(
    ("setting", "lines", "words"),
    [
        ("a:b:c", "", 'Invalid user/group specification in --userns-remap: "a:b:c"'),
        ("nosuchuser", "", 'Error during uid lookup for "nosuchuser"'),
        ("daemon:nosuchgroup", "", 'Error during groupname lookup for "nosuchgroup"'),
        ("4000000000", "", "Uid 4000000000 has no entry in /etc/passwd"),
        ("daemon", "", 'no subuid ranges found for user "daemon"'),
    ],
)
def test_what_cannot_be_mapped_ends_the_daemon(tmp_path: Path, setting: str, lines: str, words: str) -> None:
    assert words in refused_start("--userns-remap", setting, within=within(tmp_path, lines))


def test_a_user_beyond_the_map_is_said(engine: Sampan) -> None:
    refused = create(engine, "", "true", config={"User": "70000"})
    answer = engine.api("POST", f"/containers/{read(refused)['Id']}/start")
    assert "the container's user namespace has no such user or group" in str(read(answer)["message"])


_ON_RAMFS = (
    'for a; do [ "$before" != --data-root ] || root=$a; before=$a; done; '
    'mkdir "$root" && mount -t ramfs ramfs "$root" && exec "$@"'
)


def test_a_data_root_that_takes_no_maps_is_refused_at_the_start(tmp_path: Path) -> None:
    """And not only when the first container is started: ramfs has no idmapped mounts."""
    ranges = within(tmp_path, f"daemon:{RANGE}:65536\n")
    said = refused_start("--userns-remap", "daemon", within=(*ranges, "sh", "-c", _ON_RAMFS, "sh"))
    assert "its file system takes no idmapped mounts" in said
    assert "put it on ext4, xfs or btrfs" in said
