"""Containers with users of their own: who they are on the host, what their files look like there, and what they cannot reach."""

import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from sampan.crashpoints import VARIABLE
from tests.daemons import PROJECT, Sampan, entry_point, running_sampan
from tests.requires import requires
from tests.user_namespaces import FIRST, KINDS, POOL, create, ids, inspected, output, owner, pid, read, started, uid_map
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "userns", "idmap", "netns", "bridge", "nftables", "docker-client", "busybox")
SLEEP = ("sleep", "1000")


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan(*POOL) as started_engine:
        started_engine.load_busybox()
        yield started_engine


@pytest.fixture(autouse=True)
def clean(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory of the host's that anybody may reach and only its owner, root, may change."""
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.getuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o111)
    made = tmp_path / "place"
    made.mkdir(mode=0o755)
    return made


def test_root_inside_is_a_subordinate_user_who_owns_its_namespaces(engine: Sampan) -> None:
    container = started(engine, "auto", *SLEEP, NetworkMode="bridge")
    process = pid(engine, container)
    [(lowest, first, count)] = uid_map(process)
    assert (lowest, count) == (0, 65536)
    assert first >= FIRST
    assert ids(process) == ({first}, {first})
    own = os.stat(f"/proc/{process}/ns/user").st_ino
    assert own != os.stat("/proc/self/ns/user").st_ino
    assert {kind: owner(process, kind) for kind in KINDS} == dict.fromkeys(KINDS, own)
    inside = engine.docker("exec", container, "id").text
    assert inside.startswith("uid=0(root) gid=0(root)")


def test_layers_lie_on_the_disk_as_the_image_has_them(engine: Sampan) -> None:
    """No file is given to another user: not what the container makes, copies up or removes, nor what is exported or committed."""
    script = "touch /made && chown 7:8 /made && echo x >>/etc/passwd && rmdir /home && chmod u+s /bin/busybox"
    container = started(engine, "auto", "sh", "-c", script)
    engine.api("POST", f"/containers/{container}/wait")
    upper = next(engine.data_root.rglob(f"*/{container}/upper"))
    made = {name: (upper / name).lstat() for name in ("made", "etc/passwd", "bin/busybox", "home")}
    assert [(found.st_uid, found.st_gid) for found in made.values()] == [(7, 8), (0, 0), (0, 0), (0, 0)]
    assert stat.S_ISCHR(made["home"].st_mode), "a whiteout"
    assert {"A /made", "C /etc/passwd", "D /home"} <= set(engine.docker("diff", container).text.splitlines())
    with tarfile.open(fileobj=BytesIO(engine.docker("export", container).out)) as archive:
        assert {(member.uid, member.gid) for member in archive} == {(0, 0), (7, 8)}
    assert engine.docker("commit", container, "kept").code == 0
    for mode in ("auto", "host"):
        assert output(engine, mode, "stat", "-c", "%u:%g", "/made", config={"Image": "kept"}) == "7:8\n"


def test_a_bind_is_the_hosts_and_nobodys_inside(engine: Sampan, place: Path) -> None:
    """As in Docker with userns-remap: root inside has no rights on what is root's outside."""
    (place / "secret").write_text("root's")
    (place / "secret").chmod(0o600)
    script = "stat -c %u /b/secret; cat /b/secret; touch /b/new; chown 0 /b/secret; true"
    said = output(engine, "auto", "sh", "-c", script, Binds=[f"{place}:/b"])
    assert said.splitlines()[0] == "65534"
    assert "root's" not in said.splitlines()
    assert said.count("Permission denied") + said.count("Operation not permitted") == 3
    assert os.listdir(place) == ["secret"]


def test_a_setuid_program_in_a_bind_is_nobody_that_matters(engine: Sampan, place: Path) -> None:
    os.chown(place, FIRST, FIRST)
    program = "cp /bin/busybox /b/su && chmod 4755 /b/su"
    output(
        engine,
        f"private:uidmapping=0:{FIRST}:1000",
        "sh",
        "-c",
        program,
        Binds=[f"{place}:/b"],
    )
    left = (place / "su").stat()
    assert (left.st_uid, left.st_gid) == (FIRST, FIRST)
    assert left.st_mode & stat.S_ISUID


def test_an_idmapped_bind_is_root_s_on_both_sides(engine: Sampan, place: Path) -> None:
    (place / "own").write_text("x")
    script = "stat -c %u:%g /b/own && touch /b/new && chown 5:6 /b/new"
    assert output(engine, "auto", "sh", "-c", script, Binds=[f"{place}:/b:idmap"]) == "0:0\n"
    new = (place / "new").stat()
    assert (new.st_uid, new.st_gid) == (5, 6)
    refused = create(engine, "", "true", Binds=[f"{place}:/b:idmap"])
    assert refused.status == 400
    assert "has no user namespace of its own" in str(read(refused)["message"])


def test_what_takes_no_maps_is_said_by_name(engine: Sampan) -> None:
    made = create(engine, "auto", "true", Binds=["/proc:/b:idmap"])
    answer = engine.api("POST", f"/containers/{read(made)['Id']}/start")
    assert answer.status >= 400
    assert "does not support idmapped mounts" in str(read(answer)["message"])


def test_a_volume_is_shared_between_maps(engine: Sampan) -> None:
    binds: dict[str, Any] = {"Binds": ["parts:/v"]}
    try:
        output(engine, "auto", "sh", "-c", "echo one >/v/one && chown 9 /v/one", **binds)
        assert output(engine, "auto:size=100", "sh", "-c", "stat -c %u /v/one && echo two >/v/two", **binds) == "9\n"
        assert output(engine, "", "sh", "-c", "stat -c %u /v/one /v/two", **binds) == "9\n0\n"
    finally:
        engine.remove_containers()
        engine.docker("volume", "rm", "-f", "parts")


@pytest.mark.parametrize(("mode", "inside"), [("keep-id", "1234:2345"), ("keep-id:uid=7,gid=8", "7:8")])
def test_keep_id_leaves_files_of_the_caller(engine: Sampan, place: Path, mode: str, inside: str) -> None:
    os.chown(place, 1234, 2345)
    os.chown(engine.socket, 0, 2345)
    engine.directory.chmod(0o711)
    program = "id -u; id -g; touch /b/made; stat -c %u:%g /b"
    words = ["run", "--rm", "--network", "none", "--userns", mode, "-v", f"{place}:/b", "busybox", "sh", "-c", program]
    done = subprocess.run(
        [*entry_point("sampan"), *words],
        env={**os.environ, "DOCKER_HOST": engine.host, "PYTHONPATH": str(PROJECT / "src"), "HOME": "/nonexistent"},
        user=1234, group=2345, extra_groups=[], capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    uid, gid = inside.split(":")
    assert done.stdout.decode().split() == [uid, gid, inside]
    made = (place / "made").stat()
    assert (made.st_uid, made.st_gid) == (1234, 2345)


def _may_signal(uid: int, process: int) -> bool:
    """Whether a process of that user may send a signal to another, and see what it is."""
    program = f"import os; os.kill({process}, 0); os.readlink('/proc/{process}/cwd')"
    return (
        subprocess.run(
            [sys.executable, "-c", program], user=uid, group=uid, extra_groups=[], capture_output=True
        ).returncode
        == 0
    )


def test_two_containers_are_strangers(engine: Sampan) -> None:
    one, other = started(engine, "auto", *SLEEP), started(engine, "auto:size=5000", *SLEEP)
    processes = pid(engine, one), pid(engine, other)
    (_, first, count), (_, second, length) = uid_map(processes[0])[0], uid_map(processes[1])[0]
    assert length == 5000
    assert first + count <= second or second + length <= first
    assert not _may_signal(first, processes[1])
    assert not _may_signal(second, processes[0])
    # The control: who may is seen to.
    assert _may_signal(0, processes[0])


def test_who_it_is_outside_reaches_nothing_of_the_engine_s(engine: Sampan) -> None:
    """CVE-2021-21284: a process of the host with the user of a container's root, in the data root and the exec root."""
    outside = uid_map(pid(engine, started(engine, "auto", *SLEEP)))[0][1]
    engine.directory.chmod(0o711)
    for root in (engine.data_root, engine.exec_root):
        for act in (f"os.listdir('{root}')", f"open('{root}/x', 'w')", f"os.chmod('{root}', 0o777)"):
            command = [sys.executable, "-c", f"import os; {act}"]
            done = subprocess.run(command, user=outside, group=outside, extra_groups=[], capture_output=True)
            assert b"PermissionError" in done.stderr, (act, done.stderr)


def test_ranges_are_kept_and_given_back(engine: Sampan) -> None:
    kept, gone = started(engine, "auto:size=1000", *SLEEP), started(engine, "auto:size=2000", "true")
    before = uid_map(pid(engine, kept))
    engine.api("DELETE", f"/containers/{gone}?force=1")
    engine.kill()
    engine.start(*POOL)
    assert uid_map(pid(engine, kept)) == before
    assert engine.docker("exec", kept, "id", "-u").text == "0"
    new = started(engine, "auto:size=2000", *SLEEP)
    first = before[0][1]
    expected = FIRST if first >= FIRST + 2000 else first + 1000
    assert uid_map(pid(engine, new)) == [(0, expected, 2000)], "what was removed is free, what is there is not"
    assert engine.docker("restart", "-t", "0", kept).code == 0
    assert uid_map(pid(engine, kept)) == before


@pytest.mark.parametrize(
    "point", ["monitor-after-clone", "monitor-after-mount", "monitor-after-record", "launcher-after-fork"]
)
def test_nothing_stays_of_a_start_that_died(engine: Sampan, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's fixture finds what does: processes, groups, links, mounts."""
    container = str(read(create(engine, "auto", "true", NetworkMode="bridge"))["Id"])
    plain = engine.command()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "command", lambda: ["env", f"{VARIABLE}={point}", *plain])
        engine.stop()
        engine.start(*POOL)
    assert engine.api("POST", f"/containers/{container}/start").status >= 400
    engine.stop()
    engine.start(*POOL)
    assert engine.api("POST", f"/containers/{container}/start").status == 204
    assert read(engine.api("POST", f"/containers/{container}/wait"))["StatusCode"] == 0


def test_exec_and_copies_are_inside(engine: Sampan, tmp_path: Path) -> None:
    container = started(engine, "auto", *SLEEP)
    script = "id -u; echo ok >/dev/stdout; grep CapEff /proc/self/status"
    asked = engine.docker("exec", "-u", "1000:1000", container, "sh", "-c", script).text.split()
    assert asked == ["1000", "ok", "CapEff:", "0000000000000000"]
    assert engine.docker("exec", "-t", container, "sh", "-c", "stat -c %u:%g $(tty)").text == "0:5"
    (tmp_path / "given").write_text("in")
    assert engine.docker("cp", str(tmp_path / "given"), f"{container}:/root/given").code == 0
    assert engine.docker("exec", container, "stat", "-c", "%u:%g", "/root/given").text == "0:0"
    for _ in range(2):
        with tarfile.open(fileobj=BytesIO(engine.docker("cp", f"{container}:/root/given", "-").out)) as archive:
            assert [(member.name, member.uid) for member in archive] == [("given", 0)]
        engine.docker("stop", "-t", "0", container)


def test_an_exec_s_user_must_be_there(engine: Sampan) -> None:
    container = started(engine, "auto:size=2000", *SLEEP)
    refused = engine.docker("exec", "-u", "5000", container, "id")
    assert refused.code != 0
    assert b"the container's user namespace has no such user or group" in refused.out + refused.err


def test_a_health_check_runs_inside(engine: Sampan) -> None:
    check = {"Healthcheck": {"Test": ["CMD-SHELL", "test $(id -u) = 0 && touch /checked"], "Interval": 10**8}}
    container = started(engine, "auto", *SLEEP, config=check)
    eventually(lambda: inspected(engine, container)["State"]["Health"]["Status"] == "healthy")


def test_its_network_is_its_root_s(engine: Sampan) -> None:
    assert engine.docker("network", "create", "own").code == 0
    try:
        script = (
            "nslookup me 127.0.0.11 >/dev/null && ip link set eth0 mtu 1400 && cat /sys/class/net/eth0/mtu && "
            "cat /proc/sys/net/ipv4/ip_forward && cat /proc/sys/kernel/domainname"
        )
        names = {"Hostname": "me", "Domainname": "here"}
        more: dict[str, Any] = {"NetworkMode": "own", "CapAdd": ["NET_ADMIN"], "Sysctls": {"net.ipv4.ip_forward": "0"}}
        assert output(engine, "auto", "sh", "-c", script, config=names, **more).split() == ["1400", "0", "here"]
    finally:
        engine.remove_containers()
        engine.docker("network", "rm", "own")


def test_one_container_s_users_for_another(engine: Sampan) -> None:
    """What shares namespaces shares their owner; a container with other users is told so."""
    donor = started(engine, "auto", *SLEEP, NetworkMode="bridge", IpcMode="shareable")
    shared: dict[str, Any] = {
        "NetworkMode": f"container:{donor}",
        "IpcMode": f"container:{donor}",
        "PidMode": f"container:{donor}",
    }
    other = started(engine, f"container:{donor[:12]}", "sh", "-c", "touch /dev/shm/x && sleep 1000", **shared)
    assert inspected(engine, other)["HostConfig"]["UsernsMode"] == f"container:{donor}"
    assert os.stat(f"/proc/{pid(engine, donor)}/ns/user") == os.stat(f"/proc/{pid(engine, other)}/ns/user")
    assert "sleep 1000" in engine.docker("exec", donor, "ps").text
    eventually(lambda: engine.docker("exec", donor, "stat", "-c", "%u", "/dev/shm/x").text == "0")
    refused = create(engine, "auto", "true", NetworkMode=f"container:{donor}")
    answer = engine.api("POST", f"/containers/{read(refused)['Id']}/start")
    assert "has other users than this one" in str(read(answer)["message"])


def test_devices_limits_and_memory(engine: Sampan) -> None:
    script = (
        "echo x >/dev/null && head -c1 /dev/zero | wc -c && stat -c %u:%g /dev/null /dev/shm /t && ulimit -n && ls /dev/full2 && "
        "mknod /tmp/n c 1 3; touch /dev/shm/x && stat -c %u /dev/shm/x /etc/hosts && echo y >>/etc/hosts && tty </dev/null; true"
    )
    full = {"PathOnHost": "/dev/full", "PathInContainer": "/dev/full2", "CgroupPermissions": "rw"}
    limits = [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    more: dict[str, Any] = {
        "Devices": [full],
        "Ulimits": limits,
        "Tmpfs": {"/t": "uid=5,gid=6"},
        "IpcMode": "shareable",
    }
    said = output(engine, "auto", "sh", "-c", script, **more).splitlines()
    assert said[:6] == ["1", "0:0", "0:0", "5:6", "100", "/dev/full2"]
    assert "mknod: /tmp/n: Operation not permitted" in said
    assert said[6:9] == ["0", "0", "not a tty"]


def test_explicit_maps(engine: Sampan) -> None:
    words = ("--uidmap", "0:100000:1000", "--uidmap", "5000:5000:1", "--gidmap", "0:300000:10")
    done = engine.sampan(
        "run", "--rm", "--network", "none", *words, "busybox", "cat", "/proc/self/uid_map", "/proc/self/gid_map"
    )
    rows = [line.split() for line in done.text.splitlines()]
    assert rows == [["0", "100000", "1000"], ["5000", "5000", "1"], ["0", "300000", "10"]]


def test_the_upper_half_of_ids(engine: Sampan) -> None:
    """Podman's usual range lies there, and some system calls return ids as signed numbers."""
    mode = "private:uidmapping=0:3000000000:65536"
    container = started(engine, mode, "sh", "-c", "touch /x && rmdir /home && sleep 1000")
    assert ids(pid(engine, container)) == ({3000000000}, {3000000000})
    eventually(lambda: "D /home" in engine.docker("diff", container).text)
    assert engine.docker("exec", "-u", "65535:65535", container, "id", "-u").text == "65535"


def test_docker_s_own_command_says_it_by_annotation(engine: Sampan) -> None:
    done = engine.docker(
        "run", "--rm", "--annotation", "sampan.userns=auto:size=300", "busybox", "cat", "/proc/self/uid_map"
    )
    assert done.text.split()[::2] == ["0", "300"]


@pytest.mark.parametrize(
    ("mode", "host", "words"),
    [
        ("x", {}, "invalid userns mode: x"),
        ("auto:size=no", {}, "size is a number"),
        ("auto:uid=1", {}, "auto has no option 'uid=1'"),
        ("auto:size=3000000", {}, "no 3000000 uids in a row are free"),
        ("private", {}, "private needs uidmapping"),
        ("private:uidmapping=1:1:1", {}, "a container needs a root"),
        ("private:uidmapping=0:1:10,uidmapping=5:100:1", {}, "overlap in the container"),
        ("private:uidmapping=0:1:10,uidmapping=50:5:1", {}, "overlap on the host"),
        ("keep-id", {}, "the caller is root"),
        ("auto", {"Privileged": True}, "privileged mode is incompatible with user namespaces."),
        ("auto", {"NetworkMode": "host"}, "cannot share the host's network namespace when user namespaces are enabled"),
        ("auto", {"PidMode": "host"}, "cannot share the host PID namespace when user namespaces are enabled"),
    ],
)
def test_what_cannot_be_is_refused(engine: Sampan, mode: str, host: dict[str, Any], words: str) -> None:
    answer = create(engine, mode, "true", **host)
    assert answer.status in (400, 500)
    assert words in str(read(answer)["message"])


def test_slots_with_users_of_their_own(engine: Sampan) -> None:
    """Once an `auto` was asked for, the next ones find their world made; a slot's range is nobody else's meanwhile."""
    seen: list[int] = []

    def from_a_slot() -> bool:
        container = str(read(create(engine, "auto", "cat", "/proc/self/uid_map"))["Id"])
        assert engine.api("POST", f"/containers/{container}/start?explain=1").status == 204
        engine.api("POST", f"/containers/{container}/wait")
        seen.append(int(engine.docker("logs", container).text.split()[1]))
        return b'"beget"' not in engine.api("GET", f"/containers/{container}/sampan/steps").body

    eventually(from_a_slot)
    assert len(set(seen)) == len(seen), "all of them are still there"
    _, first, count = map(int, output(engine, "auto:size=100000", "cat", "/proc/self/uid_map").split())
    assert count == 100000
    assert all(other + 65536 <= first or first + count <= other for other in seen)
