"""What a container is given: capabilities, paths, sysctls, devices, options, limits. Docker's words where it says no."""

import resource
import stat
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.kernel.caps import Cap
from sampan.runtime import profile_apparmor
from sampan.runtime import profile_capabilities as capabilities
from sampan.runtime import profile_devices as devices
from sampan.runtime import profile_files as files
from sampan.runtime import profile_options as options
from sampan.runtime import profile_sysctl as sysctl
from sampan.spec import oci_runtime as oci

ALL_BUT_RESOURCE = tuple(name for name in capabilities.KNOWN if name != "CAP_SYS_RESOURCE")


# Capabilities


def test_names_stand_at_their_numbers() -> None:
    assert [f"CAP_{cap.name}" for cap in sorted(Cap)] == list(capabilities.KNOWN)
    assert capabilities.from_mask(1 << 21 | 1) == ("CAP_CHOWN", "CAP_SYS_ADMIN")


def test_the_default_is_dockers_fourteen() -> None:
    assert len(capabilities.DEFAULT) == 14
    mask = sum(1 << capabilities.KNOWN.index(name) for name in capabilities.DEFAULT)
    assert mask == 0xA80425FB


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), set(capabilities.DEFAULT)),
        (("net_admin",), (), {*capabilities.DEFAULT, "CAP_NET_ADMIN"}),
        (("CAP_NET_ADMIN", "NET_ADMIN"), (), {*capabilities.DEFAULT, "CAP_NET_ADMIN"}),
        ((), ("NET_RAW", "cap_mknod"), set(capabilities.DEFAULT) - {"CAP_NET_RAW", "CAP_MKNOD"}),
        ((), ("ALL",), set()),
        (("CHOWN",), ("all",), {"CAP_CHOWN"}),
        (("ALL",), (), set(ALL_BUT_RESOURCE)),
        (("all",), ("SYS_ADMIN",), set(ALL_BUT_RESOURCE) - {"CAP_SYS_ADMIN"}),
        (("ALL",), ("ALL",), set(ALL_BUT_RESOURCE)),
        (("KILL",), ("KILL",), set(capabilities.DEFAULT)),
    ],
)
def test_added_and_dropped(add: tuple[str, ...], drop: tuple[str, ...], expected: set[str]) -> None:
    found = capabilities.granted(add, drop, False, ALL_BUT_RESOURCE)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_privileged_has_what_the_host_has() -> None:
    assert capabilities.granted((), ("ALL",), True, ALL_BUT_RESOURCE) == ALL_BUT_RESOURCE


def test_a_default_that_the_host_lacks_is_left_out() -> None:
    without = tuple(name for name in ALL_BUT_RESOURCE if name != "CAP_AUDIT_WRITE")
    assert "CAP_AUDIT_WRITE" not in capabilities.granted((), (), False, without)


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        (["FROB"], [], 'invalid CapAdd: unknown capability: "CAP_FROB"'),
        ([""], [], 'invalid CapAdd: unknown capability: "CAP_"'),
        ([], ["cap_frob"], 'invalid CapDrop: unknown capability: "CAP_FROB"'),
        (
            ["sys_resource"],
            [],
            (
                "invalid CapAdd: capability not supported by your kernel or not available in the current environment: "
                '"CAP_SYS_RESOURCE"'
            ),
        ),
    ],
)
def test_capabilities_that_cannot_be(add: list[str], drop: list[str], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        capabilities.validate(add, drop, ALL_BUT_RESOURCE)
    assert str(caught.value) == message


def test_inheritable_and_ambient_stay_empty() -> None:
    found = capabilities.as_sets(capabilities.DEFAULT)
    assert found.bounding == found.effective == found.permitted == capabilities.DEFAULT
    assert found.inheritable == found.ambient == ()


# /proc, /sys and /dev


def test_what_is_masked_is_at_least_what_docker_masks() -> None:
    shown = files.shown_masked_paths(None, False, ("/sys/devices/system/cpu/cpu0/thermal_throttle",))
    assert shown is not None
    assert len(shown) == 13
    hidden = files.masked_paths(None, False, ("/sys/devices/system/cpu/cpu0/thermal_throttle",))
    assert set(hidden) > set(shown)


@pytest.mark.parametrize("privileged", [False, True])
def test_a_list_of_ones_own_is_taken_as_it_is(privileged: bool) -> None:
    assert files.masked_paths((), privileged) == ()
    assert files.masked_paths(("/proc/x",), privileged) == ("/proc/x",)
    assert files.shown_masked_paths(("/proc/x",), privileged) == ("/proc/x",)
    assert files.read_only_paths((), privileged) == ()


def test_privileged_hides_nothing() -> None:
    assert files.masked_paths(None, True) == ()
    assert files.read_only_paths(None, True) == ()
    assert files.shown_masked_paths(None, True) is None
    assert files.shown_read_only_paths(None, True) is None
    assert files.shown_read_only_paths(None, False) == files.READ_ONLY


def of(mounts: tuple[oci.Mount, ...], destination: str) -> tuple[str, ...]:
    (found,) = (mount for mount in mounts if mount.destination == destination)
    return found.options


def test_own_file_systems() -> None:
    plain = files.mounts()
    assert of(plain, "/proc") == ("nosuid", "noexec", "nodev")
    assert "ro" in of(plain, "/sys")
    assert "ro" in of(plain, "/sys/fs/cgroup")
    assert of(plain, "/dev/shm") == ("nosuid", "noexec", "nodev", "mode=1777", "size=67108864")
    assert of(files.mounts(shm_size=1 << 20), "/dev/shm")[-1] == "size=1048576"
    assert "/dev/shm" not in [mount.destination for mount in files.mounts(shm_size=0)]
    order = [mount.destination for mount in plain]
    assert all(
        order.index(parent) < order.index(child) for parent, child in (("/sys", "/sys/fs/cgroup"), ("/dev", "/dev/shm"))
    )


@pytest.mark.parametrize(
    ("privileged", "cgroups", "sys_writable", "cgroups_writable"),
    [(False, None, False, False), (True, None, True, True), (False, True, False, True), (True, False, True, False)],
)
def test_who_may_write(privileged: bool, cgroups: bool | None, sys_writable: bool, cgroups_writable: bool) -> None:
    found = files.mounts(privileged=privileged, writable_cgroups=cgroups)
    assert ("ro" not in of(found, "/sys")) is sys_writable
    assert ("ro" not in of(found, "/sys/fs/cgroup")) is cgroups_writable


def test_thermal_counters_are_those_of_this_machine() -> None:
    expected = {str(path) for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")}
    assert set(files.thermal_throttle_paths()) == expected


# Sysctls


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("net.core.somaxconn", "net.core.somaxconn"),
        ("net/core/somaxconn", "net.core.somaxconn"),
        ("net/ipv4/conf/eth0.1/forwarding", "net.ipv4.conf.eth0/1.forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net.ipv4.conf.eth0/1.forwarding"),
        ("kernel.shm_rmid_forced", "kernel.shm_rmid_forced"),
        ("kernel/msgmax", "kernel.msgmax"),
        ("fs.mqueue.msg_max", "fs.mqueue.msg_max"),
        ("kernel.domainname", "kernel.domainname"),
    ],
)
def test_sysctls_of_own_namespaces(given: str, key: str) -> None:
    assert sysctl.requested({given: "1"}, own_network=True, own_ipc=True, own_uts=True) == {key: "1"}


def test_where_a_key_lies() -> None:
    assert sysctl.path("net.ipv4.conf.eth0/1.forwarding") == "net/ipv4/conf/eth0.1/forwarding"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kernel.core_pattern", "|/bin/sh", 'sysctl "kernel.core_pattern" is not in a separate kernel namespace'),
        ("net/../kernel/core_pattern", "|x", "invalid sysctl"),
        ("net...kernel.core_pattern", "|x", "invalid sysctl"),
        ("net.", "1", "invalid sysctl"),
        ("net./etc/passwd", "1", "invalid sysctl"),
        ("", "1", "invalid sysctl"),
        ("net.core.x\n", "1", "invalid sysctl"),
        ("net.core.\x00", "1", "invalid sysctl"),
        ("net.core.somaxconn+kernel.core_pattern", "1", "invalid sysctl"),
        ("net.core.somaxconn", "1\nkernel.core_pattern=x", "invalid value"),
        ("net.core.somaxconn", "9" * 5000, "invalid value"),
        ("kernel.hostname", "x", 'it conflicts with the OCI "hostname" field'),
        ("kernel.shmmax2", "1", "is not in a separate kernel namespace"),
        ("vm.swappiness", "1", "is not in a separate kernel namespace"),
        ("fs.file-max", "1", "is not in a separate kernel namespace"),
    ],
)
def test_sysctls_of_the_host_are_refused(key: str, value: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        sysctl.requested({key: value}, own_network=True, own_ipc=True, own_uts=True)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("net.core.somaxconn", 'sysctl "net.core.somaxconn" not allowed in host network namespace'),
        ("kernel.sem", 'sysctl "kernel.sem" is not allowed in the hosts ipc namespace'),
        ("kernel.domainname", 'sysctl "kernel.domainname" is not in a separate kernel namespace'),
        ("kernel.hostname", 'sysctl "kernel.hostname" is not in a separate kernel namespace'),
    ],
)
def test_sysctls_of_shared_namespaces_are_refused(key: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        sysctl.requested({key: "1"}, own_network=False, own_ipc=False, own_uts=False)
    assert str(caught.value) == message


# Devices


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("c 10:229 rwm", oci.DeviceRule(allow=True, type="c", major=10, minor=229)),
        ("b 8:* r", oci.DeviceRule(allow=True, type="b", major=8, access="r")),
        ("a *:* rwm", oci.DeviceRule(allow=True)),
    ],
)
def test_device_rules(text: str, rule: oci.DeviceRule) -> None:
    assert devices.parse_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "c 10:229", "d 1:1 r", "c 1:1 x", "c 1:1 rwmm", "c -1:1 r", "c 1:1 r\n", "c 1:٣ r", "c 1:1 r extra"]
)
def test_device_rules_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        devices.parse_rule(text)
    assert str(caught.value) == f"invalid device cgroup rule format: '{text}'"


@pytest.mark.parametrize(
    ("text", "which"), [("c 4096:0 r", "major"), ("c 1:1048576 r", "minor"), (f"c {'9' * 5000}:1 r", "major")]
)
def test_device_numbers_out_of_range(text: str, which: str) -> None:
    with pytest.raises(InvalidParameter, match=f"invalid {which} value in device cgroup rule format"):
        devices.parse_rule(text)


def test_a_device_of_the_host() -> None:
    found, rules = devices.from_path("/dev/null", "/dev/other", "r")
    (null,) = found
    assert (null.path, null.type, null.major, null.minor) == ("/dev/other", "c", 1, 3)
    assert null.file_mode == stat.S_IMODE(Path("/dev/null").stat().st_mode)
    assert rules == (oci.DeviceRule(allow=True, type="c", major=1, minor=3, access="r"),)


def test_a_link_to_a_device_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    found, _ = devices.from_path(str(tmp_path / "link"), "/dev/x", "rwm")
    assert (found[0].major, found[0].minor) == (1, 3)


@pytest.mark.parametrize(
    ("path", "access", "message"),
    [
        ("/dev/no-such", "rwm", 'adding custom device "/dev/no-such": no such file or directory'),
        ("/etc/passwd", "rwm", 'adding custom device "/etc/passwd": not a device node'),
        ("/proc/self", "rwm", "not a device node"),
        ("/dev/null", "rx", "invalid device mode: rx"),
        ("/dev/\0", "rwm", "adding custom device"),
    ],
)
def test_what_is_no_device(path: str, access: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        devices.from_path(path, path, access)
    assert message in str(caught.value)


def test_a_directory_of_many_files_is_not_walked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_MOST_LOOKED_AT", 5)
    for place in (tmp_path, tmp_path / "inner"):
        place.mkdir(exist_ok=True)
        for number in range(3):
            (place / str(number)).touch()
    with pytest.raises(InvalidParameter, match="more than 5 files below"):
        devices.from_path(str(tmp_path), "/dev/x", "rwm")
    # The kernel's own tree, which is another at every look, in short time.
    with pytest.raises(InvalidParameter):
        devices.from_path("/proc", "/dev/x", "rwm")


def test_a_privileged_container_gets_the_hosts_devices_but_no_terminals() -> None:
    found = {device.path: device for device in devices.all_of_host()}
    assert found["/dev/null"].major == 1
    assert "/dev/console" not in found
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/", "/dev/mqueue/")) for path in found)
    assert devices.rules(True, ()) == (devices.ALLOW_ALL,)


def test_device_rules_deny_first() -> None:
    extra = devices.parse_rule("c 10:229 rwm")
    found = devices.rules(False, (extra,))
    assert found[0] == oci.DeviceRule(allow=False)
    assert found[-1] == extra
    assert not any(rule.major == 10 and rule.minor == 229 for rule in devices.DEFAULT_RULES)


# Options and limits


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], options.SecurityOptions()),
        (["no-new-privileges"], options.SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges:true"], options.SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges=1"], options.SecurityOptions(no_new_privileges=True)),
        (["no-new-privileges", "no-new-privileges=false"], options.SecurityOptions()),
        (["seccomp=unconfined"], options.SecurityOptions(seccomp="unconfined")),
        (["seccomp:unconfined"], options.SecurityOptions(seccomp="unconfined")),
        (['seccomp={"a":"b=c"}'], options.SecurityOptions(seccomp='{"a":"b=c"}')),
        (["apparmor=unconfined"], options.SecurityOptions(apparmor="unconfined")),
        (["writable-cgroups"], options.SecurityOptions(writable_cgroups=True)),
        (["writable-cgroups=false"], options.SecurityOptions(writable_cgroups=False)),
        (["label=disable"], options.SecurityOptions(labels=("disable",))),
        (["label:disable", "disable"], options.SecurityOptions(labels=("disable", "disable"))),
    ],
)
def test_security_options(given: list[str], expected: options.SecurityOptions) -> None:
    assert options.parse(given) == expected


def test_the_daemons_default_can_be_undone() -> None:
    assert options.parse([], no_new_privileges=True).no_new_privileges
    assert not options.parse(["no-new-privileges=false"], no_new_privileges=True).no_new_privileges


@pytest.mark.parametrize(
    ("option", "kind", "message"),
    [
        ("frob", InvalidParameter, 'invalid --security-opt 1: "frob"'),
        ("", InvalidParameter, 'invalid --security-opt 1: ""'),
        ("label", InvalidParameter, 'invalid --security-opt 1: "label"'),
        ("frob=1", InvalidParameter, 'invalid --security-opt 2: "frob=1"'),
        ("systempaths=unconfined", InvalidParameter, 'invalid --security-opt 2: "systempaths=unconfined"'),
        ("no-new-privileges=maybe", InvalidParameter, 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ("label=frob", InvalidParameter, 'Bad label option "frob"'),
        ("label=user:me", NotImplementedHere, "label=user:me"),
    ],
)
def test_security_options_that_are_none(option: str, kind: type[SampanError], message: str) -> None:
    with pytest.raises(kind) as caught:
        options.parse([option])
    assert message in str(caught.value)


def test_a_profile_of_apparmor_is_never_dropped_in_silence() -> None:
    def entered(asked: str, on_host: bool, privileged: bool = False) -> str:
        return options.apparmor_profile(asked, on_host=on_host, default="ours", privileged=privileged)

    assert entered("", on_host=False) == ""
    assert entered("", on_host=True) == "ours"
    assert entered("", on_host=True, privileged=True) == ""
    assert entered("unconfined", on_host=True) == ""
    assert entered("mine", on_host=True) == "mine"
    assert entered("mine", on_host=True, privileged=True) == "mine"
    with pytest.raises(InvalidParameter, match="apparmor: config provided but apparmor not supported"):
        entered("mine", on_host=False)
    for bad in ("a\nb", "a\0b", "x" * 2000):
        with pytest.raises(InvalidParameter, match="invalid apparmor profile"):
            entered(bad, on_host=True)


def test_the_default_profile_of_apparmor_is_what_its_name_says() -> None:
    """The kernel's form begins with its version and the profile's name."""
    raw = profile_apparmor.policy()
    assert raw.startswith(b"\x04\x08\0version\0\x02")
    assert b"profile\0\x07\x05\x0f\0" + profile_apparmor.NAME.encode() + b"\0" in raw


def test_limits() -> None:
    assert options.rlimit("nofile", 1024, 2048) == oci.Rlimit(type="RLIMIT_NOFILE", soft=1024, hard=2048)
    assert options.rlimit("memlock", -1, -1) == oci.Rlimit(type="RLIMIT_MEMLOCK", soft=-1, hard=-1)


@pytest.mark.parametrize(
    ("name", "soft", "hard", "message"),
    [
        ("frob", 1, 1, "invalid ulimit type: frob"),
        ("NOFILE", 1, 1, "invalid ulimit type: NOFILE"),
        ("nofile", 3, 2, "ulimit soft limit must be less than or equal to hard limit: 3 > 2"),
        ("nofile", -1, 2, "ulimit soft limit must be less than or equal to hard limit: -1 (unlimited) > 2"),
        ("nofile", -2, -1, "out of range"),
        ("nofile", 1, 1 << 63, "out of range"),
    ],
)
def test_limits_that_cannot_be(name: str, soft: int, hard: int, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        options.rlimit(name, soft, hard)
    assert message in str(caught.value)


def test_every_limit_is_one_of_the_kernels() -> None:
    unknown = {name for name in options.RLIMITS if not hasattr(resource, f"RLIMIT_{name.upper()}")}
    # File locks have had no limit since Linux 2.4.25; Docker takes the name, and so does setrlimit(2).
    assert unknown == {"locks"}
