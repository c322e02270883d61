"""A start in a user namespace as data: what the builder makes, what init does not do any more."""

import pytest

from sampan.kernel.namespaces import Clone
from sampan.runtime import plan, user_plan, world_plan
from sampan.runtime.start_failure import StartFailed
from sampan.spec import oci_runtime as oci
from sampan.spec.user_maps import UserMaps

MAPS = UserMaps(((0, 100000, 10),), ((0, 200000, 10),))
DEV = oci.Mount("/dev", "tmpfs", "tmpfs", ("nosuid",))


def config(*mounts: oci.Mount, devices: tuple[oci.Device, ...] = (), users: UserMaps | None = MAPS) -> oci.Config:
    namespaces = (oci.Namespace("network"), *((oci.Namespace("user"),) if users else ()))
    process = oci.Process(("true",), rlimits=(oci.Rlimit("RLIMIT_NOFILE", 1, 2),))
    return oci.Config(
        process=process, mounts=mounts, linux=oci.Linux(namespaces=namespaces, devices=devices, users=users)
    )


def names(steps: list[list[object]]) -> list[object]:
    return [step[0] for step in steps]


def test_the_world_begins_with_its_users() -> None:
    steps = world_plan.world(config(DEV), "id", {}, linked=True)
    assert names(steps) == ["session_keyring", "user_namespace", "sysctl"]
    assert steps[1][1:3] == [MAPS.uids, MAPS.gids]
    assert steps[2] == ["sysctl", {"net.ipv4.ip_unprivileged_port_start": "0"}]
    without = world_plan.world(config(DEV, users=None), "id", {}, linked=True)
    assert names(without) == ["session_keyring", "dev", "sysctl"]
    assert without[2] == ["sysctl", world_plan.NETWORK_SYSCTLS]


def test_other_maps_are_another_world() -> None:
    """So a parked slot of one range is not taken for another."""
    other = UserMaps(((0, 100001, 10),), MAPS.gids)
    assert world_plan.world(config(DEV), "id", {}, linked=True) != world_plan.world(
        config(DEV, users=other), "id", {}, linked=True
    )


def test_the_namespace_is_made_with_the_others() -> None:
    assert Clone.NEWUSER in plan.namespace_flags(config())
    joined = oci.Config(
        process=oci.Process(("true",)),
        linux=oci.Linux(namespaces=(oci.Namespace("user", "/proc/5/ns/user"),), users=MAPS),
    )
    assert Clone.NEWUSER not in plan.namespace_flags(joined)
    assert plan.joined(joined) == [("/proc/5/ns/user", Clone.NEWUSER)]


def test_what_the_builder_does() -> None:
    """Binds are counted as the descriptors come: tmpfs and the engine's own instances are none of them."""
    mounts = (
        DEV,
        oci.Mount("/a", "bind", "/a", ("rbind",)),
        oci.Mount("/t", "tmpfs"),
        oci.Mount("/b", "bind", "/b", ("rbind", "ridmap")),
        oci.Mount("/c", "bind", "/c", ("bind", "idmap")),
        oci.Mount("/d", "bind", "/d", ("bind", "idmap-if-can")),
    )
    body = user_plan.body(config(*mounts), MAPS, None, [[7, 1, 2]])
    assert body["mapped"] == [[1, True, True], [2, False, True], [3, False, False]]
    assert (body["root"], body["limits"]) == ((100000, 200000), [[7, 1, 2]])


def test_devices_have_the_host_s_numbers() -> None:
    devices = (
        oci.Device(path="/dev/snd/a", type="c", major=1, minor=2),
        oci.Device(path="/dev/b", type="b", major=3, minor=4, uid=0, gid=6),
    )
    made = world_plan.dev(config(DEV, devices=devices), MAPS)
    assert made is not None
    nodes = made[1]
    assert isinstance(nodes, list)
    assert nodes[-2:] == [["snd/a", "c", 1, 2, 0o666, 0, 0], ["b", "b", 3, 4, 0o666, 100000, 200006]]
    assert world_plan.dev(config(oci.Mount("/dev", "bind", "/dev")), MAPS) is None


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (oci.Device(path="/opt/x", type="c", major=1, minor=1), "outside /dev are not implemented"),
        (oci.Device(path="/dev/x", type="c", major=1, minor=1, uid=99), "does not have"),
    ],
)
def test_devices_that_cannot_be(device: oci.Device, words: str) -> None:
    with pytest.raises(StartFailed, match=words):
        world_plan.dev(config(DEV, devices=(device,)), MAPS)


def test_limits_are_not_init_s() -> None:
    assert "rlimits" not in names(plan.enter(config(), {}))
    assert "rlimits" in names(plan.enter(config(users=None), {}))
