"""The runtime specification's operations, by `sampan-oci` on real bundles: what each does, when it may, and that nothing stays."""

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.oci.bundles import Runtime
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "mount-interface", "pidns", "netns", "busybox")


def test_from_created_to_deleted(runtime: Runtime) -> None:
    name = runtime.name
    pid_file = runtime.base / "pid"
    runtime("create", "--bundle", str(runtime.bundle("sleep", "1000")), "--pid-file", str(pid_file), name)
    state = json.loads(runtime("state", name))
    assert state["status"] == "created"
    assert state["pid"] == int(pid_file.read_text())
    assert state["bundle"] == str(runtime.base / "bundle")
    # Its program is not executed yet: what runs is the runtime, which nobody inside may look into.
    assert b"sleep" not in Path(f"/proc/{state['pid']}/cmdline").read_bytes()
    assert "already exists" in runtime("create", "--bundle", str(runtime.base / "bundle"), name, code=1)
    assert "created" in runtime("list")
    runtime("start", name)
    eventually(lambda: b"sleep" in Path(f"/proc/{state['pid']}/cmdline").read_bytes())
    assert runtime.status() == "running"
    assert "already running" in runtime("start", name, code=1)
    assert "not stopped" in runtime("delete", name, code=1)
    assert json.loads(runtime("ps", "--format", "json", name)) == [state["pid"]]
    runtime("pause", name)
    assert runtime.status() == "paused"
    assert "paused" in runtime("exec", name, "true", code=255)
    runtime("resume", name)
    runtime("kill", name, "KILL")
    eventually(lambda: runtime.status() == "stopped")
    assert "not running" in runtime("kill", name, "TERM", code=1)
    runtime("delete", name)
    assert "does not exist" in runtime("state", name, code=1)


def test_the_program_sees_its_container_and_nothing_of_ours(runtime: Runtime) -> None:
    script = "hostname; cat /proc/1/comm; ls /proc/self/fd | wc -l; cat /proc/sys/kernel/hostname; head -c1 /proc/kcore | wc -c; "
    said = runtime(
        "run", "--bundle", str(runtime.bundle("sh", "-c", script + "touch /x; exit 7")), runtime.name, code=7
    )
    assert said.split() == ["within", "sh", "4", "within", "0"]
    assert not (runtime.rootfs / "x").exists()


def test_exec_is_one_more_process_with_its_own_streams_user_and_end(runtime: Runtime) -> None:
    runtime("create", "--bundle", str(runtime.bundle("sleep", "1000")), runtime.name)
    runtime("start", runtime.name)
    assert runtime(
        "exec", "--user", "5:6", "--cwd", "/bin", "--env", "A=b", runtime.name, "sh", "-c", "id; pwd; echo $A"
    ) == ("uid=5 gid=6 groups=6\n/bin\nb\n")
    assert runtime("exec", runtime.name, "cat", stdin=b"through") == "through"
    assert runtime("exec", "-t", runtime.name, "tty").strip() == "/dev/pts/0"
    runtime("exec", runtime.name, "sh", "-c", "exit 9", code=9)
    assert "executable file not found" in runtime("exec", runtime.name, "nothing", code=255)
    process = runtime.base / "process.json"
    process.write_text(json.dumps({"args": ["sleep", "500"], "cwd": "/", "env": ["PATH=/bin"]}))
    runtime("exec", "--detach", "--pid-file", str(runtime.base / "pid"), "--process", str(process), runtime.name)
    assert int((runtime.base / "pid").read_text()) in json.loads(runtime("ps", "-f", "json", runtime.name))
    runtime("kill", "--all", runtime.name, "9")
    eventually(lambda: runtime.status() == "stopped")


def test_a_terminal_is_handed_to_the_console_socket(runtime: Runtime) -> None:
    place = str(runtime.base / "console")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(place)
        listener.listen(1)
        got: list[int] = []

        def take() -> None:
            caller, _ = listener.accept()
            with caller:
                got.extend(socket.recv_fds(caller, 64, 1)[1])

        taker = threading.Thread(target=take)
        taker.start()
        process = {"terminal": True, "consoleSize": {"height": 30, "width": 90}}
        bundle = runtime.bundle("sh", "-c", "stty size", process=process)
        runtime("create", "--bundle", str(bundle), "--console-socket", place, runtime.name)
        taker.join(10)
    runtime("start", runtime.name)
    assert os.read(got[0], 100) == b"30 90\r\n"
    os.close(got[0])
    assert "console socket" in runtime("create", "--bundle", str(bundle), "another", code=1)


def test_hooks_hear_the_state_in_order_and_get_no_environment(runtime: Runtime) -> None:
    log = runtime.base / "hooks"

    def hook(point: str) -> list[dict[str, Any]]:
        script = f'echo {point} $(grep -o \'"status":"[a-z]*"\') $(env | grep -c SECRET) >> {log}'
        return [{"path": "/bin/sh", "args": ["sh", "-c", script]}]

    points = ("prestart", "createRuntime", "poststart", "poststop")
    os.environ["SECRET"] = "x"
    try:
        runtime(
            "create",
            "--bundle",
            str(runtime.bundle("sleep", "9", hooks={point: hook(point) for point in points})),
            runtime.name,
        )
        runtime("start", runtime.name)
        runtime("delete", "--force", runtime.name)
    finally:
        del os.environ["SECRET"]
    assert [line.split() for line in log.read_text().splitlines()] == [
        ["prestart", '"status":"creating"', "0"],
        ["createRuntime", '"status":"creating"', "0"],
        ["poststart", '"status":"running"', "0"],
        ["poststop", '"status":"stopped"', "0"],
    ]


def test_create_container_hooks_are_the_hosts_in_the_containers_world(runtime: Runtime) -> None:
    (runtime.rootfs / "mnt").mkdir()
    (runtime.rootfs / "made").mkdir()
    # The container's own must not be what runs: a shell there that says so.
    state = 'root=$(sed \'s/.*"rootfs":"\\([^"]*\\).*/\\1/\')'
    script = (
        f"{state}; echo $(hostname) $(cat /proc/net/dev | wc -l) $(test -e /etc/debian_version; echo $?) > $root/made/seen; "
        "mount -t tmpfs hook $root/mnt && echo mounted > $root/mnt/file; ls $root/proc/1 > /dev/null || exit 9"
    )
    hooks = {
        "createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": [f"PATH={os.environ['PATH']}"]}]
    }
    bundle = runtime.bundle("sh", "-c", "cat /made/seen /mnt/file; grep -c shared /proc/self/mountinfo", hooks=hooks)
    shown = runtime("run", "--bundle", str(bundle), runtime.name, code=1).split("\n")
    devices = len(Path("/proc/net/dev").read_text().splitlines())
    assert shown[0].split()[0] == "within"
    assert int(shown[0].split()[1]) <= devices
    assert shown[0].split()[2] == "0"
    assert shown[1:3] == ["mounted", "0"]
    assert not (runtime.rootfs / "mnt/file").exists()
    bad = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo no >&2; exit 3"]}]}
    said = runtime("create", "--bundle", str(runtime.bundle("true", hooks=bad)), runtime.name, code=1)
    assert "error running createContainer hook #0: exit status 3, output: no" in said
    shared = [{"destination": "/mnt", "type": "bind", "source": "/usr", "options": ["rbind", "rslave"]}]
    said = runtime("create", "--bundle", str(runtime.bundle("true", hooks=bad, mounts=shared)), runtime.name, code=1)
    assert "shared or slave mounts is not implemented" in said


def test_a_hook_that_fails_undoes_what_was_made(runtime: Runtime) -> None:
    bad = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo no >&2; exit 3"]}]}
    said = runtime("create", "--bundle", str(runtime.bundle("true", hooks=bad)), runtime.name, code=1)
    assert "createRuntime hook #0: exit status 3, output: no" in said
    assert list(runtime.root.glob("*")) == []
    assert [path for path in Path("/sys/fs/cgroup").glob(f"*/sampan-test/{runtime.name}") if path.exists()] == []


@pytest.mark.parametrize(
    ("args", "changed", "text"),
    [
        (["nothing"], {}, "executable file not found in $PATH"),
        (["/etc"], {}, "is a directory"),
        (["true"], {"mounts": [{"destination": "/x", "type": "bind", "source": "/no/such"}]}, "no such file"),
        (
            ["true"],
            {"linux": {"namespaces": [{"type": "mount"}, {"type": "pid", "path": "/no/such"}]}, "hostname": ""},
            "cannot join namespace",
        ),
        (["true"], {"root": {"path": "/no/such"}}, "rootfs"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    runtime: Runtime, args: list[str], changed: dict[str, Any], text: str
) -> None:
    log = runtime.base / "log.json"
    bundle = runtime.bundle(*args, **changed)
    said = runtime("--log", str(log), "--log-format", "json", "create", "--bundle", str(bundle), runtime.name, code=1)
    assert text in said
    assert text in json.loads(log.read_text().splitlines()[-1])["msg"]
    assert list(runtime.root.glob("*")) == []


@requires("cgroup:memory", "cgroup:pids")
def test_limits_at_birth_and_by_update(runtime: Runtime) -> None:
    linux = {"resources": {"pids": {"limit": 5}}, "cgroupsPath": f"/sampan-test/{runtime.name}"}
    namespaces = [{"type": kind} for kind in ("mount", "pid", "network", "ipc", "uts")]
    runtime(
        "create",
        "--bundle",
        str(runtime.bundle("sleep", "99", linux={**linux, "namespaces": namespaces})),
        runtime.name,
    )
    runtime("start", runtime.name)
    # All of them live on: how many stand there at a moment depends on no clock, but for the exec's own two.
    crowd = "for n in 1 2 3 4 5 6 7 8; do sleep 99 & done"
    assert "can't fork" in runtime("exec", runtime.name, "sh", "-c", crowd, code=2)
    runtime("update", "--resources", "-", runtime.name, stdin=json.dumps({"pids": {"limit": 50}}).encode())
    runtime("exec", runtime.name, "sh", "-c", crowd)
    # Back to what it was born with: an update goes by what stands now.
    runtime("update", "--pids-limit", "5", runtime.name)
    assert "temporarily unavailable" in runtime("exec", runtime.name, "true", code=255)
    assert "a group is a number" in runtime("exec", "-g", "wheel", runtime.name, "id", code=255)


def test_a_filter_that_is_older_than_calls_of_ours_lets_the_program_run(runtime: Runtime) -> None:
    """runtime-tools' own default profile has no close_range(2), nor had Docker's before 20.10."""
    denied = [{"names": ["close_range"], "action": "SCMP_ACT_ERRNO"}]
    linux = {
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": denied},
        "cgroupsPath": f"/sampan-test/{runtime.name}",
    }
    namespaces = [{"type": kind} for kind in ("mount", "pid", "network", "ipc", "uts")]
    bundle = runtime.bundle(
        "sh", "-c", "echo runs; ls /proc/self/fd | wc -l", linux={**linux, "namespaces": namespaces}
    )
    assert runtime("run", "--bundle", str(bundle), runtime.name).split() == ["runs", "4"]


def test_a_container_of_another_boot_is_stopped(runtime: Runtime) -> None:
    runtime("create", "--bundle", str(runtime.bundle("sleep", "99")), runtime.name)
    path = runtime.root / runtime.name / "state.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "boot": "another"}))
    assert runtime.status() == "stopped"
    path.write_text(json.dumps({**kept, "init": [os.getpid(), kept["init"][1]]}))
    assert runtime.status() == "stopped"
    assert "not running" in runtime("kill", runtime.name, "TERM", code=1)
    path.write_text(json.dumps(kept))


def test_features_name_what_is_there(runtime: Runtime) -> None:
    said = json.loads(runtime("features"))
    assert said["linux"]["seccomp"]["enabled"]
    assert "pid" in said["linux"]["namespaces"]
    assert said["hooks"].index("createContainer") < said["hooks"].index("startContainer")
    assert {"user", "time"} <= set(said["linux"]["namespaces"])
