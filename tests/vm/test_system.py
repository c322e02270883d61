"""The whole engine under systemd on cgroup v2 alone: run, exec, limits, OOM, a published port, a restart of the service."""

import os
import platform
import time
import urllib.request
from pathlib import Path

from tests.requires import requires
from tests.vm.conftest import GROUPS, PROGRAMS, group_of, sampan, shell
from tests.waiting import eventually

pytestmark = requires("cgroup_v2")


def test_this_is_the_machine_that_the_lane_promises() -> None:
    assert (GROUPS / "cgroup.controllers").exists()
    assert " - cgroup " not in Path("/proc/self/mountinfo").read_text()
    assert Path("/proc/1/comm").read_text().strip() == "systemd"
    assert Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    assert platform.release().startswith("6.1.")
    assert " / / rw" in Path("/proc/self/mountinfo").read_text()


def test_the_host_check_has_nothing_to_complain_of(service: None) -> None:
    assert "cgroup v2" in sampan("system", "check-host")


def test_run_and_exec(service: None) -> None:
    assert sampan("run", "--rm", "busybox", "echo", "hello") == "hello"
    sampan("run", "--rm", "busybox", "sh", "-c", "exit 7", expect=7)
    sampan("run", "-d", "--name", "holder", "busybox", "sleep", "1000")
    assert sampan("exec", "holder", "cat", "/proc/1/comm") == "sleep"
    sampan("exec", "holder", "sh", "-c", "exit 9", expect=9)
    # The kernel before 6.7 takes the layers of an overlay in one option.
    assert "overlay" in sampan("exec", "holder", "grep", " / / ", "/proc/self/mountinfo")
    sampan("rm", "-f", "holder")


def test_limits_stand_in_the_group_and_are_seen_inside(service: None) -> None:
    words = "run -d --name limited -m 64m --memory-swap 64m --cpus 0.5 --pids-limit 20 --cpuset-cpus 0 -c 512"
    sampan(*words.split(), "busybox", "sleep", "1000")
    expected = {
        "memory.max": str(64 << 20),
        "memory.swap.max": "0",
        "cpu.max": "50000 100000",
        "pids.max": "20",
        "cpuset.cpus": "0",
    }
    group = GROUPS / group_of("limited")
    assert {name: (group / name).read_text().strip() for name in expected} == expected
    # systemd switches controllers off that its own units do not need; not where somebody uses them.
    shell("systemctl", "daemon-reload")
    assert {name: (group / name).read_text().strip() for name in expected} == expected
    # A cgroup namespace of its own: the container's group is what /sys/fs/cgroup shows, and it cannot be written.
    assert sampan("exec", "limited", "cat", "/sys/fs/cgroup/memory.max", "/proc/self/cgroup") == f"{64 << 20}\n0::/"
    sampan("exec", "limited", "mkdir", "/sys/fs/cgroup/below", expect=1)
    sampan("rm", "-f", "limited")
    assert not group.exists()


def test_too_much_memory_is_killed_and_told(service: None) -> None:
    hungry = "x=a; while :; do x=$x$x; done"
    sampan("run", "--name", "hungry", "-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", hungry, expect=137)
    assert sampan("inspect", "--format", "{{.State.OOMKilled}}", "hungry") == "true"
    sampan("rm", "hungry")


def test_a_device_that_was_not_given_is_refused(service: None) -> None:
    disk = os.stat("/dev/vda").st_rdev
    make = f"mknod /tmp/disk b {os.major(disk)} {os.minor(disk)} && head -c 1 /tmp/disk"
    assert "not permitted" in sampan("run", "--rm", "busybox", "sh", "-c", make, expect=1)


def test_a_published_port_answers(service: None) -> None:
    serve = "mkdir /www && echo a page >/www/index.html && exec httpd -f -p 80 -h /www"
    sampan("run", "-d", "--name", "web", "-p", "127.0.0.1:8080:80", "busybox", "sh", "-c", serve)
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=20) as page:
                assert page.read() == b"a page\n"
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    address = sampan("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "web")
    assert sampan("run", "--rm", "busybox", "wget", "-q", "-O", "-", f"http://{address}/") == "a page"
    sampan("rm", "-f", "web")


def test_a_restart_of_the_service_leaves_containers_alone(service: None) -> None:
    sampan("run", "-d", "--name", "stays", "busybox", "sleep", "1000")
    before = sampan("inspect", "--format", "{{.State.Pid}}", "stays")
    shell("systemctl", "restart", "sampan.service")
    assert sampan("inspect", "--format", "{{.State.Pid}} {{.State.Running}}", "stays") == f"{before} true"
    assert sampan("exec", "stays", "echo", "alive") == "alive"
    sampan("rm", "-f", "stays")
    assert shell("systemctl", "is-active", "sampan.service") == "active"


def test_a_daemon_in_a_container_of_its_own_can_limit(tmp_path: Path) -> None:
    """In a cgroup namespace the daemon stands in the highest group there is, where v2 lets nobody switch controllers on."""
    place = tmp_path.as_posix()
    daemon = f"sampand --data-root {place}/data --exec-root {place}/run -H unix://{place}/socket --pidfile {place}/pid"
    body = f"""
        umount /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        PATH={PROGRAMS}:$PATH
        export DOCKER_HOST=unix://{place}/socket
        {daemon} >{place}/log 2>&1 & daemon=$!
        for i in $(seq 600); do sampan version >/dev/null 2>&1 && break; sleep 0.2; done
        sampan run --rm -m 64m --pids-limit 20 host cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
        cat /proc/$daemon/cgroup
        kill $daemon; wait $daemon
    """
    unit = ["systemd-run", "--quiet", "--pipe", "--wait", "-p", "Delegate=yes"]
    text = shell(*unit, "unshare", "--cgroup", "--mount", "bash", "-euc", body)
    assert text.splitlines()[:2] == [str(64 << 20), "20"], text + Path(place, "log").read_text()
    assert "-leaf" in text.splitlines()[2]


def test_nothing_is_left_on_the_machine(service: None) -> None:
    assert sampan("ps", "-aq") == ""
    shell("systemctl", "stop", "sampan.service")
    # Until then parked slots have scopes, too.
    eventually(lambda: "0 loaded units" in shell("systemctl", "list-units", "--all", "docker-*"), "scopes stay")
    assert list(GROUPS.glob("sampan-*")) == []
    shell("systemctl", "start", "sampan.service")
