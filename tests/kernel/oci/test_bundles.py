"""What bundles may ask for beside lives: users of their own, maps of mounts, how a program is run, agents."""

import array
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.oci.bundles import Runtime
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "mount-interface", "pidns", "netns", "busybox")

FIRST = 300_000
ROWS = [{"containerID": 0, "hostID": FIRST, "size": 65536}]
KINDS = ("mount", "pid", "network", "ipc", "uts")


def linux(runtime: Runtime, *more: str, **changed: Any) -> dict[str, Any]:
    """`linux` with further namespaces."""
    return {
        "cgroupsPath": f"/sampan-test/{runtime.name}",
        "namespaces": [{"type": kind} for kind in (*KINDS, *more)],
        **changed,
    }


def mapped(runtime: Runtime) -> dict[str, Any]:
    return linux(runtime, "user", uidMappings=ROWS, gidMappings=ROWS)


@requires("userns")
def test_users_of_its_own(runtime: Runtime) -> None:
    subprocess.run(["chown", "-R", f"{FIRST}:{FIRST}", str(runtime.rootfs)], check=True)
    limits = {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]}
    bundle = runtime.bundle("sleep", "1000", linux=mapped(runtime), process=limits)
    runtime("create", "--bundle", str(bundle), runtime.name)
    pid = json.loads(runtime("state", runtime.name))["pid"]
    assert Path(f"/proc/{pid}").stat().st_uid == FIRST
    runtime("start", runtime.name)
    script = "id; cat /proc/self/gid_map; ulimit -n; ls -ln /dev/null | cut -c1-10; echo x > /dev/null"
    shown = runtime("exec", "--user", "7:8", runtime.name, "sh", "-c", script)
    assert shown.split() == ["uid=7", "gid=8", "groups=8", "0", str(FIRST), "65536", "100", "crw-rw-rw-"]
    joined = [{"type": "mount"}, *({"type": kind, "path": f"/proc/{pid}/ns/{kind}"} for kind in ("user", "pid"))]
    second = {"namespaces": joined, "cgroupsPath": f"/sampan-test/{runtime.name}-second"}
    bundle = runtime.bundle(
        "sh", "-c", "cat /proc/self/uid_map; tr '\\0' ' ' < /proc/1/cmdline", linux=second, hostname=""
    )
    said = runtime("run", "--bundle", str(bundle), f"{runtime.name}-second")
    assert said.split() == ["0", str(FIRST), "65536", "sleep", "1000"]


@requires("idmap")
def test_maps_of_mounts(runtime: Runtime) -> None:
    files = runtime.base / "files"
    files.mkdir()
    (files / "roots").touch()
    os.chown(files / "roots", 0, 0)
    script = "stat -c %u:%g /data/roots"
    rows = {"uidMappings": [{"containerID": 0, "hostID": 77, "size": 10}]}
    rows["gidMappings"] = [{"containerID": 0, "hostID": 88, "size": 10}]
    bind = {"destination": "/data", "source": str(files), "type": "bind", "options": ["rbind", "idmap"]}
    (runtime.rootfs / "data").mkdir()
    for mount, changed, seen in (
        ({**bind, **rows}, linux(runtime), "77:88"),
        (bind, mapped(runtime), "0:0"),
        ({**bind, "options": ["rbind"]}, mapped(runtime), "65534:65534"),
    ):
        bundle = runtime.bundle("sh", "-c", script, mounts=[mount], linux=changed)
        assert runtime("run", "--bundle", str(bundle), runtime.name).strip() == seen


@requires("timens")
def test_clocks_and_manner(runtime: Runtime) -> None:
    script = "cut -d. -f1 /proc/uptime; uname -m; chrt -p $$ | tail -n1; ionice -p $$"
    clocks = {"boottime": {"secs": 10**9}, "monotonic": {"secs": 10**9, "nanosecs": 5}}
    asked = {"scheduler": {"policy": "SCHED_BATCH", "nice": 3}, "ioPriority": {"class": "IOPRIO_CLASS_IDLE"}}
    wanted = linux(runtime, "time", timeOffsets=clocks, personality={"domain": "LINUX32"})
    bundle = runtime.bundle("sh", "-c", f"{script}; sleep 1000", process=asked, linux=wanted)
    runtime("create", "--bundle", str(bundle), runtime.name)
    pid = json.loads(runtime("state", runtime.name))["pid"]
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH
    assert os.getpriority(os.PRIO_PROCESS, pid) == 3
    assert b"idle" in subprocess.run(["ionice", "-p", str(pid)], stdout=subprocess.PIPE, check=True).stdout
    runtime("start", runtime.name)
    process = runtime.base / "process.json"
    program = ["sh", "-c", "cut -d. -f1 /proc/uptime; uname -m; grep Cpus_allowed_list /proc/self/status"]
    affinity = {"execCPUAffinity": {"initial": "0", "final": "1"}} if os.cpu_count() or 0 > 1 else {}
    process.write_text(json.dumps({"args": program, "cwd": "/", "env": ["PATH=/bin"], **affinity}))
    uptime, machine, _, processors = runtime("exec", "--process", str(process), runtime.name).split()
    assert int(uptime) >= 10**9
    assert machine in ("i686", "armv8l")
    assert processors == "1" or not affinity


def test_hooks_before_the_program_are_the_containers_own(runtime: Runtime) -> None:
    (runtime.rootfs / "seen").mkdir()
    os.chmod(runtime.rootfs / "seen", 0o777)
    members = """grep -o '"status": *"[a-z]*"\\|"pid": *[0-9]*'"""
    program = f"{members} > /seen/state; id -u > /seen/user; echo $MINE > /seen/mine"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", program], "env": ["PATH=/bin", "MINE=yes"]}
    process = {"user": {"uid": 5, "gid": 5}}
    bundle = runtime.bundle(
        "sleep", "1000", process=process, hooks={"startContainer": [hook]}, root={"path": str(runtime.rootfs)}
    )
    runtime("create", "--bundle", str(bundle), runtime.name)
    assert not (runtime.rootfs / "seen/state").exists()
    runtime("start", runtime.name)
    assert (runtime.rootfs / "seen/state").read_text().split() == ['"status":', '"created"', '"pid":', "1"]
    assert [(runtime.rootfs / "seen" / name).read_text() for name in ("user", "mine")] == ["5\n", "yes\n"]
    runtime("delete", "--force", runtime.name)
    for program, timeout, text in (
        ("echo no; exit 3", 60, "exit status 3, output: no"),
        ("sleep 1000", 1, "timed out"),
    ):
        bad = {"path": "/bin/sh", "args": ["sh", "-c", program], "env": ["PATH=/bin"], "timeout": timeout}
        bundle = runtime.bundle("sleep", "1000", hooks={"startContainer": [bad]})
        runtime("create", "--bundle", str(bundle), runtime.name)
        said = runtime("start", runtime.name, code=1)
        assert "error running startContainer hook #0" in said
        assert text in said
        eventually(lambda: runtime.status() == "stopped")
        runtime("delete", runtime.name)


def test_a_root_that_is_shared(runtime: Runtime) -> None:
    bundle = runtime.bundle("cat", "/proc/self/mountinfo", linux=linux(runtime, rootfsPropagation="shared"))
    rows = [line.split() for line in runtime("run", "--bundle", str(bundle), runtime.name).splitlines()]
    assert [row[6].partition(":")[0] for row in rows if row[4] == "/"] == ["shared"]


def test_descriptors_of_the_callers(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'ls /proc/self/fd | tr "\\n" " "; cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID'
    pipes = [os.pipe() for _ in range(2)]
    # They are to be 3 and 4 in the runtime, whatever they are here.
    wrapped = [sys.executable, "-c", PASSES, str(pipes[0][0]), str(pipes[1][0])]
    for (_, end), text in zip(pipes, (b"first ", b"second "), strict=True):
        os.write(end, text)
        os.close(end)
    monkeypatch.setenv("LISTEN_FDS", "1")
    bundle = runtime.bundle("sh", "-c", script)
    words = ["--root", str(runtime.root), "run", "--preserve-fds", "1", "--bundle", str(bundle), runtime.name]
    done = subprocess.run(
        [*wrapped, *runtime.command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[pipe[0] for pipe in pipes],
        timeout=60,
        check=False,
    )
    for pipe, _ in pipes:
        os.close(pipe)
    assert done.stdout.split() == [b"0", b"1", b"2", b"3", b"4", b"5", b"first", b"second", b"1", b"1"], done
    assert "not open" in runtime("run", "--preserve-fds", "100", "--bundle", str(bundle), runtime.name, code=1)


PASSES = """
import fcntl, os, sys
copies = [fcntl.fcntl(int(word), fcntl.F_DUPFD, 50) for word in sys.argv[1:3]]
for target, copy in enumerate(copies, 3):
    os.dup2(copy, target)
    os.close(copy)
os.closerange(5, 50)
os.execv(sys.argv[3], sys.argv[3:])
"""


@requires("seccomp")
def test_an_agent_is_asked(runtime: Runtime) -> None:
    place = str(runtime.base / "agent")
    rules = [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]
    asked = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": place, "listenerMetadata": "mine", "syscalls": rules}
    got: list[tuple[bytes, list[int]]] = []

    def take(listener: socket.socket) -> None:
        for _ in range(2):
            caller, _ = listener.accept()
            with caller:
                text, descriptors, _, _ = socket.recv_fds(caller, 65536, 1)
            got.append((text, list(descriptors)))
            threading.Thread(target=answer, args=(descriptors[0],), daemon=True).start()

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(place)
        listener.listen(2)
        taker = threading.Thread(target=take, args=(listener,), daemon=True)
        taker.start()
        script = "mkdir /x; sleep 1000"
        runtime(
            "create",
            "--bundle",
            str(runtime.bundle("sh", "-c", script, linux=linux(runtime, seccomp=asked))),
            runtime.name,
        )
        runtime("start", runtime.name)
        said = runtime("exec", runtime.name, "mkdir", "/y", code=1)
        taker.join(10)
    assert "Stale" in said or "stale" in said, said
    state = json.loads(got[0][0])
    assert state["fds"] == ["seccompFd"]
    assert state["metadata"] == "mine"
    assert state["state"]["id"] == runtime.name
    assert state["pid"] == json.loads(runtime("state", runtime.name))["pid"]
    for _, descriptors in got:
        os.close(descriptors[0])


def answer(listener: int) -> None:
    """ESTALE to whatever is asked, until nobody asks any more (seccomp_unotify(2))."""
    import fcntl

    receive, send = 0xC0502100, 0xC0182101
    while True:
        request = array.array("B", bytes(80))
        try:
            fcntl.ioctl(listener, receive, request)
            identity = request.tobytes()[:8]
            reply = identity + (0).to_bytes(8, "little") + (-116 & 0xFFFFFFFF).to_bytes(4, "little") + bytes(4)
            fcntl.ioctl(listener, send, reply)
        except OSError:
            return


@requires("cgroup:memory", "cgroup:pids")
def test_what_it_uses_and_who_is_in_it(runtime: Runtime) -> None:
    wanted = linux(runtime, resources={"pids": {"limit": 7}, "memory": {"limit": 64 << 20}})
    runtime("create", "--bundle", str(runtime.bundle("sleep", "1000", linux=wanted)), runtime.name)
    runtime("start", runtime.name)
    told = json.loads(runtime("events", "--stats", runtime.name))
    assert (told["type"], told["id"]) == ("stats", runtime.name)
    assert told["data"]["pids"] == {"current": 1, "limit": 7}
    assert told["data"]["memory"]["usage"]["limit"] == 64 << 20
    _, line = runtime("ps", runtime.name, "-o", "pid,args").splitlines()
    pid = json.loads(runtime("state", runtime.name))["pid"]
    assert line.split() == [str(pid), "sleep", "1000"]
    assert "no column PID" in runtime("ps", runtime.name, "-o", "args", code=1)


@requires("overlay")
def test_a_file_system_that_the_caller_makes(runtime: Runtime) -> None:
    layers = [runtime.base / name for name in ("low:er", "lower", "upper", "work")]
    for layer in layers:
        layer.mkdir()
        (layer / layer.name).touch()
    (runtime.base / "work/work").unlink()
    lowers = ":".join(str(layer).replace(":", "\\:") for layer in layers[:2])
    options = [f"lowerdir={lowers}", f"upperdir={layers[2]}", f"workdir={layers[3]}", "nodev"]
    mount = {"destination": "/data", "type": "overlay", "source": "overlay", "options": options}
    (runtime.rootfs / "data").mkdir()
    bundle = runtime.bundle(
        "sh", "-c", "cd /data; ls; touch made; grep -c ' /data .*nodev' /proc/mounts", mounts=[mount]
    )
    said = runtime("run", "--bundle", str(bundle), runtime.name)
    assert said.split() == ["low:er", "lower", "upper", "1"]
    assert (layers[2] / "made").exists()
    bad = {**mount, "options": ["lowerdir=/no/such"]}
    said = runtime("run", "--bundle", str(runtime.bundle("true", mounts=[bad])), runtime.name, code=1)
    assert "error mounting overlay to rootfs at /data: no such file" in said
