"""The opt-in `--security-opt sampan=hardened`: what it sets, that inspect shows it, and what it excludes."""

import json
import os
from typing import Any

import pytest

from sampan.runtime.seccomp_names import numbers
from tests.daemons import Sampan
from tests.requires import requires
from tests.security import elf
from tests.security.hostile import load, run

pytestmark = requires("root", "overlay", "busybox", "docker-client")

HARDENED = ("--security-opt", "sampan=hardened")
STATUS = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status"
LEFT = 0xA80425FB & ~sum(1 << number for number in (8, 13, 27, 29, 31))


def inspected(engine: Sampan, *options: str) -> dict[str, Any]:
    made = engine.docker("create", "--network", "none", *HARDENED, *options, "busybox", "true")
    assert made.code == 0, made
    (shown,) = json.loads(engine.docker("inspect", made.text).out)
    engine.docker("rm", made.text)
    found: dict[str, Any] = shown["HostConfig"]
    return found


def test_what_it_sets_is_in_force_and_shown(engine: Sampan) -> None:
    found = dict(line.split(":\t") for line in run(engine, *HARDENED, "busybox", "sh", "-c", STATUS).text.splitlines())
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == LEFT
    assert found["NoNewPrivs"] == "1"
    assert found["Seccomp"] == "2"
    host = inspected(engine)
    assert set(host["SecurityOpt"]) == {"sampan=hardened", "no-new-privileges"}
    assert set(host["CapDrop"]) == {"AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "SETPCAP"}
    assert host["PidsLimit"] == 2048
    assert host["CgroupnsMode"] == "private"


def test_execs_have_it_too(engine: Sampan) -> None:
    made = engine.docker("run", "-d", "--net", "none", *HARDENED, "busybox", "sleep", "100").text
    found = dict(line.split(":\t") for line in engine.docker("exec", made, "sh", "-c", STATUS).text.splitlines())
    assert int(found["CapEff"], 16) == LEFT
    assert found["NoNewPrivs"] == "1"
    engine.docker("rm", "-f", made)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program is for x86-64")
def test_a_program_with_set_uid_gains_nothing(engine: Sampan) -> None:
    """The control: without the option it becomes root."""
    program = elf.call_64(numbers("SCMP_ARCH_X86_64")["setuid"], 0)
    tag = load(engine, "sec-set-uid", lambda layer: layer.file("become", program, 0o4755))
    assert run(engine, "-u", "1000", tag, "/become").code == 0
    assert run(engine, *HARDENED, "-u", "1000", tag, "/become").code == 1  # EPERM


def test_what_was_said_stands(engine: Sampan) -> None:
    host = inspected(engine, "--cap-add", "NET_RAW", "--pids-limit", "7")
    assert "NET_RAW" not in host["CapDrop"]
    assert host["PidsLimit"] == 7
    assert inspected(engine, "--cap-drop", "ALL")["CapDrop"] == ["ALL"]
    made = engine.docker("create", *HARDENED, "busybox").text
    assert engine.docker("update", "--pids-limit", "9", made).code == 0
    engine.docker("rm", made)


@pytest.mark.parametrize(
    "option",
    [
        ("--privileged",),
        ("--cap-add", "all"),
        ("--pid", "host"),
        ("--ipc", "host"),
        ("--security-opt", "seccomp=unconfined"),
        ("--security-opt", "apparmor=unconfined"),
        ("--security-opt", "writable-cgroups=true"),
        ("--security-opt", "systempaths=unconfined"),
    ],
    ids=" ".join,
)
def test_what_it_excludes(engine: Sampan, option: tuple[str, ...]) -> None:
    refused = engine.docker("create", *HARDENED, *option, "busybox")
    assert refused.code == 1, refused
    assert b"sampan=hardened excludes" in refused.err


def test_another_word_is_refused(engine: Sampan) -> None:
    refused = engine.docker("create", "--security-opt", "sampan=soft", "busybox")
    assert b'"hardened" is the only value' in refused.err
