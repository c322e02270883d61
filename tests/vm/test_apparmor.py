"""AppArmor where the kernel has it: the default profile is loaded without tools and holds, others are entered by name."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sampan.runtime.profile_apparmor import policy
from tests.vm.conftest import sampan, shell

PROFILES = Path("/sys/kernel/security/apparmor/profiles")
CURRENT = "cat /proc/self/attr/current"
DENIES = """
profile sampan-test-denies flags=(attach_disconnected,mediate_deleted) {
  file, capability, network, signal, ptrace, umount,
  deny /denied rw,
}
"""


@pytest.fixture(scope="module")
def denies(service: None) -> Iterator[str]:
    """A profile that the administrator has loaded."""
    subprocess.run(["apparmor_parser", "-r"], input=DENIES.encode(), check=True)
    yield "sampan-test-denies"
    subprocess.run(["apparmor_parser", "-R"], input=DENIES.encode(), check=True)


def test_the_default_profile_is_loaded_and_entered(service: None) -> None:
    assert "sampan-default (enforce)" in PROFILES.read_text()
    assert sampan("run", "--rm", "busybox", "sh", "-c", CURRENT) == "sampan-default (enforce)"
    sampan("run", "-d", "--name", "confined", "--init", "busybox", "sleep", "1000")
    assert sampan("exec", "confined", "sh", "-c", CURRENT) == "sampan-default (enforce)"
    assert sampan("exec", "--privileged", "confined", "sh", "-c", CURRENT) == "sampan-default (enforce)"
    assert sampan("exec", "-u", "1000", "confined", "sh", "-c", CURRENT) == "sampan-default (enforce)"
    assert sampan("inspect", "--format", "{{.AppArmorProfile}}", "confined") == "sampan-default"
    assert "name=apparmor" in sampan("info", "--format", "{{.SecurityOptions}}")
    # The engine still ends it.
    sampan("stop", "-t", "3", "confined")
    sampan("rm", "-f", "confined")


@pytest.mark.parametrize("option", [("--security-opt", "apparmor=unconfined"), ("--privileged",)])
def test_unconfined(service: None, option: tuple[str, ...]) -> None:
    assert sampan("run", "--rm", *option, "busybox", "sh", "-c", CURRENT) == "unconfined"
    sampan("create", "--name", "free", *option, "busybox")
    assert sampan("inspect", "--format", "{{.AppArmorProfile}}", "free") == "unconfined"
    sampan("rm", "free")


# With everything else taken down, so that it is the profile that says no.
OPEN = ("--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined")
TRIES = {
    "mount": "mkdir -p /m; mount -t tmpfs none /m",
    "sysrq": ": >> /proc/sysrq-trigger",
    "kernel": ": >> /proc/sys/kernel/core_pattern",
    "network": ": >> /proc/sys/net/ipv4/ip_forward",
    "kcore": "dd if=/proc/kcore of=/dev/null bs=1 count=1",
}


@pytest.mark.parametrize("name", TRIES)
def test_the_default_profile_denies_what_the_other_walls_let_through(service: None, name: str) -> None:
    sampan("run", "--rm", *OPEN, "busybox", "sh", "-c", TRIES[name], expect=None)
    confined = f"({TRIES[name]}) 2>&1; echo ended $?"
    told = sampan("run", "--rm", *OPEN, "busybox", "sh", "-c", confined)
    assert not told.endswith("ended 0"), told
    assert "ermission denied" in told, told
    free = sampan("run", "--rm", *OPEN, "--security-opt", "apparmor=unconfined", "busybox", "sh", "-c", confined)
    assert free.endswith("ended 0"), free


def test_what_programs_do_goes_on(service: None) -> None:
    script = (
        "echo x > /tmp/x && kill -0 1 && echo 1 > /proc/self/oom_score_adj; ls /proc/sys/net > /dev/null && echo done"
    )
    assert sampan("run", "--rm", "busybox", "sh", "-c", script).endswith("done")


def test_a_profile_by_name(denies: str) -> None:
    option = ("--security-opt", f"apparmor={denies}")
    script = f"touch /fine && {CURRENT}; touch /denied && echo made"
    told = sampan("run", "--rm", *option, "busybox", "sh", "-c", script, expect=1)
    assert f"{denies} (enforce)" in told
    assert "ermission denied" in told
    assert "made" not in told
    sampan("run", "-d", "--name", "named", *option, "busybox", "sleep", "1000")
    assert sampan("inspect", "--format", "{{.AppArmorProfile}}", "named") == denies
    assert sampan("exec", "named", "sh", "-c", CURRENT) == f"{denies} (enforce)"
    sampan("rm", "-f", "named")


def test_sec_apparmor_that_is_not_there_stops_the_start(service: None) -> None:
    """No container runs without the profile that it was to have. The command makes 127 of the kernel's words."""
    told = sampan("run", "--rm", "--security-opt", "apparmor=nosuch", "busybox", "sh", "-c", "echo ran", expect=127)
    assert "unable to apply apparmor profile" in told
    assert "ran" not in told.splitlines()


def test_the_profile_comes_back_with_the_daemon(service: None) -> None:
    shell("sh", "-c", "printf sampan-default > /sys/kernel/security/apparmor/.remove")
    assert "sampan-default" not in PROFILES.read_text()
    told = sampan("run", "--rm", "busybox", "true", expect=127)
    assert "unable to apply apparmor profile" in told
    shell("systemctl", "restart", "sampan.service")
    assert sampan("run", "--rm", "busybox", "sh", "-c", CURRENT) == "sampan-default (enforce)"


def test_the_compiled_profile_is_that_of_its_text() -> None:
    """As scripts/apparmor makes it."""
    text = Path(__file__).parents[2] / "packaging/apparmor/sampan-default"
    abi = "/etc/apparmor.d/abi/3.0"
    command = ["apparmor_parser", "-S", "-K", "--policy-features", abi, "--kernel-features", abi, str(text)]
    assert subprocess.run(command, check=True, capture_output=True).stdout == policy()
