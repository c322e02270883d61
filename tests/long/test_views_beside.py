"""What a probe sees from inside a container, and which calls it may make: under Docker's newest release and here, in one run."""

import os
from collections.abc import Iterator

import pytest

from tests.daemons import Daemon, running_sampan
from tests.long.newest import running_newest_docker
from tests.requires import requires
from tests.security.probes import CALLS, answers, load_probe, seen

pytestmark = [
    requires("root", "overlay", "netns", "mmdebstrap", "busybox"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs are for x86-64"),
]

SEEN_OTHERWISE = {
    # Of control groups v1: Docker leaves the directory that the hierarchies are mounted in writable.
    "mount /sys/fs/cgroup": ("ro,nosuid,nodev,noexec,relatime tmpfs", "rw,nosuid,nodev,noexec,relatime tmpfs"),
}
ANSWER_OTHERWISE = {
    # The kernel reads 32 bits of it, and 0xffffffff asks what is set, which both allow; Docker's filter compares 64 bits.
    "personality": (0, 1),
}
"""Here, and in Docker."""


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Daemon, Daemon]]:
    with running_sampan() as sampan, running_newest_docker() as docker:
        load_probe(sampan)
        load_probe(docker)
        yield sampan, docker


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-u", "1000"),
        ("--cap-add", "SYS_PTRACE"),
        ("--cap-drop", "ALL"),
        ("--security-opt", "no-new-privileges"),
        ("--security-opt", "systempaths=unconfined"),
        ("--read-only",),
    ],
    ids="".join,
)
def test_what_is_seen(both: tuple[Daemon, Daemon], options: tuple[str, ...]) -> None:
    ours, theirs = (seen(engine, *options) for engine in both)
    differing = {
        name: (ours.get(name), theirs.get(name))
        for name in ours.keys() | theirs.keys()
        if not name.startswith("namespace") and ours.get(name) != theirs.get(name)
    }
    assert {name: pair for name, pair in differing.items() if SEEN_OTHERWISE.get(name) != pair} == {}
    host = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("ipc", "mnt", "net", "pid", "uts")}
    for kind, name in host.items():
        assert ours[f"namespace {kind}"] != name


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-u", "1000"),
        ("--cap-add", "SYS_ADMIN"),
        ("--cap-add", "SYS_PTRACE", "--cap-add", "SYS_TIME"),
        ("--cap-drop", "ALL"),
    ],
    ids="".join,
)
def test_which_calls_answer(both: tuple[Daemon, Daemon], options: tuple[str, ...]) -> None:
    ours, theirs = (answers(engine, *options) for engine in both)
    assert ours.keys() == theirs.keys()
    differing = {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
    assert differing == ANSWER_OTHERWISE
    assert len(ours) > 340, len(CALLS)
