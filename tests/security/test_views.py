"""What amicontained would tell from inside: capabilities, filter, users, namespaces, paths; of every way to run a container.

The same look for a plain container, a hardened one, one with users of its own and one of an ordinary user's engine.
"""

import os
from collections.abc import Iterator

import pytest

from tests.daemons import Sampan, running_sampan
from tests.ordinary import Lodging, lodging
from tests.requires import requires
from tests.security.probes import seen
from tests.user_namespaces import FIRST, POOL

pytestmark = requires("root", "overlay", "busybox", "docker-client")

DEFAULT = 0xA80425FB
HARDENED = DEFAULT & ~sum(1 << number for number in (8, 13, 27, 29, 31))
USERS = ("--annotation", "sampan.userns=auto")
STRICT = ("--security-opt", "sampan=hardened")


@pytest.fixture(scope="module")
def engine() -> Iterator[Sampan]:
    with running_sampan(*POOL) as started:
        started.load_busybox()
        yield started


@pytest.fixture(scope="module")
def home() -> Iterator[Lodging]:
    with lodging() as engine:
        yield engine


def check(found: dict[str, str], capabilities: int, *, new_privileges: bool) -> None:
    """What holds of every container, whoever runs it."""
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(found[name], 16) == capabilities, name
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert found["Seccomp"] == "2"
    assert found["NoNewPrivs"] == ("0" if new_privileges else "1")
    paths = {name: value for name, value in found.items() if name.startswith("path ")}
    assert len(paths) > 10
    assert [
        name for name, value in paths.items() if "writable" in value or ("opens" in value and "1:3" not in value)
    ] == []
    assert set(found["devices"].split()) >= {"null", "zero", "tty"}
    assert not {"mem", "kmem", "port", "sda", "vda", "kvm"} & set(found["devices"].split())
    # As in Docker, a plain container on control groups v1 sees the machine's; who may do less has a view of its own everywhere.
    for kind in ("ipc", "mnt", "net", "pid", "uts", *(() if new_privileges else ("cgroup",))):
        assert found[f"namespace {kind}"] != os.readlink(f"/proc/self/ns/{kind}"), kind


def test_a_plain_one(engine: Sampan) -> None:
    found = seen(engine, image="busybox")
    check(found, DEFAULT, new_privileges=True)
    assert found["uid_map"].split() == ["0", "0", "4294967295"]
    assert found["namespace user"] == os.readlink("/proc/self/ns/user")


def test_a_hardened_one(engine: Sampan) -> None:
    check(seen(engine, *STRICT, image="busybox"), HARDENED, new_privileges=False)


@requires("userns", "idmap")
@pytest.mark.parametrize(("more", "left"), [((), DEFAULT), (STRICT, HARDENED)], ids=["plain", "hardened"])
def test_one_with_users_of_its_own(engine: Sampan, more: tuple[str, ...], left: int) -> None:
    found = seen(engine, *USERS, *more, image="busybox")
    check(found, left, new_privileges=not more)
    inside, outside, count = map(int, found["uid_map"].split())
    assert (inside, count) == (0, 65536)
    assert outside >= FIRST
    assert found["namespace user"] != os.readlink("/proc/self/ns/user")


@requires("userns", "newuidmap", "useradd", "setpriv", "open-tree", "way-out", "pasta")
@pytest.mark.parametrize(("more", "left"), [((), DEFAULT), (STRICT, HARDENED)], ids=["plain", "hardened"])
def test_one_of_an_ordinary_user(home: Lodging, more: tuple[str, ...], left: int) -> None:
    found = seen(home, *more, image="busybox")
    check(found, left, new_privileges=not more)
    inside, outside, count = map(int, found["uid_map"].splitlines()[0].split()[:3])
    assert (inside, outside, count) == (0, home.person.uid, 1)
    assert found["namespace user"] != os.readlink("/proc/self/ns/user")


def test_the_look_finds_what_it_is_for(engine: Sampan) -> None:
    """The control: a privileged container is seen to be one."""
    found = seen(engine, "--privileged", image="busybox")
    assert int(found["CapEff"], 16) != DEFAULT
    assert found["Seccomp"] == "0"
    with pytest.raises(AssertionError):
        check(found, int(found["CapEff"], 16), new_privileges=True)
