"""Security corpus, section C: capabilities, users, groups and what is refused of them; system calls from inside."""

import os
import re
import stat
from pathlib import Path

import pytest

from sampan.runtime.seccomp_names import numbers
from tests.archives import Layer
from tests.daemons import Daemon, Sampan
from tests.requires import requires
from tests.security import elf
from tests.security.hostile import Canary, host_state, load, run
from tests.waiting import within

pytestmark = requires("root", "busybox", "docker-client")

DEFAULT_MASK = 0xA80425FB
STATUS = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|Uid|Gid)' /proc/self/status"


def status_of(text: str) -> dict[str, str]:
    return {line.split(":", 1)[0]: " ".join(line.split()[1:]) for line in text.splitlines() if ":" in line}


def running(engine: Daemon, *arguments: str) -> str:
    outcome = engine.docker("run", "-d", "--network", "none", *arguments, "sleep", "600")
    assert outcome.code == 0, outcome
    return outcome.text


@pytest.fixture(scope="module")
def sleeper(engine: Sampan) -> str:
    return running(engine, "busybox")


# CVE-2022-24769, CVE-2022-29162, CVE-2022-27649 … 27651: inheritable capabilities


def test_sec_cve_2022_24769_run(engine: Sampan) -> None:
    found = status_of(run(engine, "busybox", "sh", "-c", STATUS).text)
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == int(found["CapBnd"], 16) == DEFAULT_MASK
    assert found["Seccomp"] == "2"


@pytest.mark.parametrize("more", [(), ("--privileged",), ("-u", "1000"), ("--privileged", "-u", "1000")])
def test_sec_cve_2022_29162_exec(engine: Sampan, sleeper: str, more: tuple[str, ...]) -> None:
    found = status_of(engine.docker("exec", *more, sleeper, "sh", "-c", STATUS).text)
    assert int(found["CapInh"], 16) == 0
    assert int(found["CapAmb"], 16) == 0
    if "-u" in more:
        assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
    if "--privileged" not in more:
        assert int(found["CapBnd"], 16) == DEFAULT_MASK
        assert found["Seccomp"] == "2"


@pytest.mark.parametrize(
    "more", [("--cap-add", "ALL"), ("--privileged",), ("--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN")]
)
def test_sec_no_inheritable_whatever_is_added(engine: Sampan, more: tuple[str, ...]) -> None:
    found = status_of(run(engine, *more, "busybox", "sh", "-c", STATUS).text)
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16)


def test_added_and_dropped_capabilities_are_those(engine: Sampan) -> None:
    found = status_of(run(engine, "--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "busybox", "sh", "-c", STATUS).text)
    assert int(found["CapEff"], 16) == (DEFAULT_MASK | 1 << 12) & ~1
    nothing = status_of(run(engine, "--cap-drop", "ALL", "busybox", "sh", "-c", STATUS).text)
    assert [int(nothing[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")] == [0, 0, 0]


# CVE-2016-8867, CVE-2018-10856: users other than root


@pytest.mark.parametrize("user", ["1000", "1000:1000", "www-data", "nobody"])
def test_sec_cve_2016_8867(engine: Sampan, user: str) -> None:
    found = status_of(run(engine, "-u", user, "busybox", "sh", "-c", STATUS).text)
    assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == int(found["CapAmb"], 16) == 0
    assert int(found["CapBnd"], 16) == DEFAULT_MASK
    assert found["Uid"].split()[0] != "0"


# CVE-2016-3697, CVE-2026-46680: a number is an id, never a name


def test_sec_cve_2016_3697(engine: Sampan) -> None:
    lines = (
        b"root:x:0:0::/root:/bin/sh\n1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/root:/bin/sh\n-1:x:0:0::/:/bin/sh\n"
    )
    tag = load(engine, "sec-numeric", lambda layer: layer.file("etc/passwd", lines))
    assert run(engine, "-u", "1000", tag, "id", "-u").text == "1000"
    for user in ("4294967296", "-1"):
        outcome = run(engine, "-u", user, tag, "id", "-u")
        assert outcome.code != 0 or outcome.text != "0"
    load(engine, "sec-numeric-user", lambda layer: layer.file("etc/passwd", lines), {"User": "1000"})
    assert run(engine, "sec-numeric-user", "id", "-u").text == "1000"


# CVE-2024-40635, CVE-2026-30892: ids are not cut to 32 bits, and not misread


@pytest.mark.parametrize(
    "user", ["2147483648", "4294967295", "4294967296", "-1", "9" * 5000, "0x3e8", "1e3", "١", "1000 "]
)
def test_sec_cve_2024_40635(engine: Sampan, user: str) -> None:
    outcome = run(engine, "-u", user, "busybox", "sh", "-c", "id -u")
    if outcome.code == 0:
        assert outcome.text == str(int(user))
        assert outcome.text != "0"
    else:
        assert outcome.code in (125, 126), outcome
        assert outcome.err.strip()
    assert engine.api("GET", "/_ping").status == 200


@pytest.mark.parametrize(
    ("user", "ids"), [("1", "1 0"), ("1:1", "1 1"), ("33", "33 33"), (":33", "0 33"), ("www-data:4", "33 4")]
)
def test_sec_cve_2026_30892(engine: Sampan, sleeper: str, user: str, ids: str) -> None:
    for outcome in (
        engine.docker("exec", "-u", user, sleeper, "sh", "-c", "echo $(id -u) $(id -g)"),
        run(engine, "-u", user, "busybox", "sh", "-c", "echo $(id -u) $(id -g)"),
    ):
        assert outcome.text == ids, outcome


# CVE-2022-36109, CVE-2022-2989, CVE-2023-25173: supplementary groups


@pytest.mark.parametrize(
    ("arguments", "groups"),
    [
        (("busybox",), {"0"}),
        (("-u", "1000", "busybox"), {"0"}),
        (("-u", "1000:1000", "busybox"), {"1000"}),
        (("-u", "www-data", "busybox"), {"33", "4"}),
        (("-u", "www-data:33", "busybox"), {"33"}),
        (("-u", "www-data", "--group-add", "7", "--group-add", "adm", "busybox"), {"33", "4", "7"}),
    ],
)
def test_sec_cve_2022_36109(engine: Sampan, arguments: tuple[str, ...], groups: set[str]) -> None:
    """The primary group is always among them, and none of the engine's own is."""
    found = status_of(run(engine, *arguments, "sh", "-c", STATUS).text)
    assert set(found["Groups"].split()) == groups


def test_sec_cve_2022_36109_a_group_that_is_denied_stays_denied(engine: Sampan) -> None:
    """A file that a group may not read is not opened by leaving that group (mode 0604)."""

    def build(layer: Layer) -> None:
        layer.file("denied", b"secret", 0o604)

    tag = load(engine, "sec-denied-group", build)
    assert run(engine, "-u", "1000", tag, "cat", "/denied").code != 0


# CVE-2026-47262, CVE-2024-9676: hostile user databases


@pytest.mark.parametrize("name", ["etc/passwd", "etc/group"])
@pytest.mark.parametrize("kind", ["fifo", "device", "host", "loop", "directory", "long line", "binary"])
def test_sec_cve_2026_47262(engine: Sampan, canary: Canary, name: str, kind: str) -> None:
    def build(layer: Layer) -> None:
        match kind:
            case "fifo":
                layer._add(name, b"6", 0o666)
            case "device":
                layer.symlink(name, "/dev/zero")
            case "host":
                layer.symlink(name, f"{canary.path}/secret")
            case "loop":
                layer.symlink(name, f"/{name}")
            case "directory":
                layer.directory(name + "/x")
            case "long line":
                layer.file(name, b"root:x:" + b"0" * (4 << 20))
            case _:
                layer.file(name, bytes(range(256)) * 64)

    tag = load(engine, f"sec-db-{name[4:]}-{kind.replace(' ', '')}", build)
    for user in ("0", "1000", "someone"):
        with within(5):
            outcome = run(engine, "-u", user, tag, "grep", "^Uid:", "/proc/self/status")
        assert "0" not in outcome.text.split() or user == "0", outcome
        assert canary.secret.encode() not in outcome.out + outcome.err
    assert engine.api("GET", "/_ping").status == 200


# CVE-2022-4318: text that is written into files of ours


@pytest.mark.parametrize(
    "host",
    [
        {"HostConfig": {"ExtraHosts": ["a\n1.2.3.4 evil:10.0.0.1"]}},
        {"HostConfig": {"ExtraHosts": ["a:10.0.0.1\n1.2.3.4 evil"]}},
        {"Hostname": "a\nb"},
        {"Hostname": "a b"},
        {"Domainname": "a\n1.2.3.4 evil"},
        {"HostConfig": {"Dns": ["1.1.1.1\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"DnsSearch": ["a\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"DnsOptions": ["ndots:1\nnameserver 6.6.6.6"]}},
    ],
)
def test_sec_cve_2022_4318(engine: Sampan, host: dict[str, object]) -> None:
    body = {"Image": "busybox", "Cmd": ["cat", "/etc/hosts", "/etc/resolv.conf"], **host}
    created = engine.api("POST", "/containers/create", body)
    if created.status == 201:
        identifier = created.json()["Id"]  # type: ignore[index]
        started = engine.api("POST", f"/containers/{identifier}/start")
        if started.status == 204:
            engine.api("POST", f"/containers/{identifier}/wait")
            # By the command: between the lines of the API's answer stand the heads of its frames.
            logs = engine.docker("logs", identifier).out
            assert logs
            assert not re.search(rb"^(1\.2\.3\.4|nameserver 6\.6\.6\.6)", logs, re.MULTILINE)
            assert b"\n1.2.3.4" not in logs
            assert b"\nnameserver 6.6.6.6" not in logs
        engine.api("DELETE", f"/containers/{identifier}?force=1")
    else:
        assert created.status == 400, created


# CVE-2022-0811, CVE-2024-3154: sysctls of the host


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kernel.core_pattern", "|/bin/evil"),
        ("kernel/core_pattern", "|/bin/evil"),
        ("net/../kernel/core_pattern", "|/bin/evil"),
        ("net.core.somaxconn+kernel.core_pattern", "|/bin/evil"),
        ("net.core.somaxconn", "1\nkernel.core_pattern=x"),
        ("net.core.somaxconn\nkernel.core_pattern", "x"),
        ("vm.overcommit_memory", "1"),
        ("kernel.hostname", "evil"),
        ("fs.file-max", "1"),
    ],
)
def test_sec_cve_2022_0811(engine: Sampan, key: str, value: str) -> None:
    before = host_state()
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Sysctls": {key: value}}}
    created = engine.api("POST", "/containers/create", body)
    status = created.status
    if status == 201:
        identifier = created.json()["Id"]  # type: ignore[index]
        status = engine.api("POST", f"/containers/{identifier}/start").status
        engine.api("DELETE", f"/containers/{identifier}?force=1")
    assert status in (400, 500)
    assert host_state() == before


@pytest.mark.parametrize(
    ("mode", "key"), [("--network=host", "net.core.somaxconn=7"), ("--ipc=host", "kernel.msgmax=7")]
)
def test_sec_sysctls_of_shared_namespaces(engine: Sampan, mode: str, key: str) -> None:
    path = Path("/proc/sys") / key.split("=")[0].replace(".", "/")
    before = path.read_text()
    outcome = engine.docker("run", "--rm", mode, "--sysctl", key, "busybox", "true")
    assert outcome.code in (125, 126, 127), outcome
    assert path.read_text() == before


# CVE-2021-41091, CVE-2021-41103, CVE-2024-25621: the engine's own directories


def test_sec_cve_2021_41091(engine: Sampan, sleeper: str) -> None:
    """Nobody but root walks through the data or the run directory."""
    # The directory that the test made is closed; those of the engine have to be so by themselves.
    engine.directory.chmod(0o755)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            reached = [str(path) for root in (engine.data_root, engine.exec_root) for path in _entered(root)]
            status = 1 if reached else 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    engine.directory.chmod(0o700)
    assert status == 0


def _entered(root: Path) -> list[Path]:
    found = []
    for directory, names, files in os.walk(root):
        found += [Path(directory) / name for name in (*names, *files)]
    return found


def test_sec_cve_2021_41103_modes(engine: Sampan, sleeper: str) -> None:
    for root in (engine.data_root, engine.exec_root):
        assert stat.S_IMODE(root.stat().st_mode) & 0o066 == 0, root
    for name in ("containers", "layers", "content", "volumes", "rw"):
        place = engine.data_root / name
        if place.exists():
            assert stat.S_IMODE(place.stat().st_mode) & 0o022 == 0, place
    assert stat.S_IMODE(engine.socket.stat().st_mode) & 0o007 == 0


# CVE-2021-43784: messages between the engine's processes have no 16-bit lengths


@pytest.mark.parametrize("size", [70_000, 300_000, 1_500_000])
def test_sec_cve_2021_43784(engine: Sampan, size: int) -> None:
    chunk = "x" * 100_000
    variables = [f"V{number}={chunk[: min(size - at, 100_000)]}" for number, at in enumerate(range(0, size, 100_000))]
    body = {
        "Image": "busybox",
        "Env": variables,
        "Cmd": ["sh", "-c", "env | wc -c"],
        "HostConfig": {"NetworkMode": "none"},
    }
    created = engine.api("POST", "/containers/create", body)
    assert created.status in (201, 400, 413), created
    if created.status == 201:
        identifier = created.json()["Id"]  # type: ignore[index]
        started = engine.api("POST", f"/containers/{identifier}/start")
        assert started.status in (204, 400, 500)
        if started.status == 204:
            engine.api("POST", f"/containers/{identifier}/wait")
            counted = engine.api("GET", f"/containers/{identifier}/logs?stdout=1").body[8:]
            assert int(counted) > size
        engine.api("DELETE", f"/containers/{identifier}?force=1")
    assert engine.api("GET", "/_ping").status == 200


# CVE-2026-31431 and the holes of system call filters


EPERM, ENOSYS = 1, 38
X86_64, I386 = numbers("SCMP_ARCH_X86_64"), numbers("SCMP_ARCH_X86")
AF_ALG, AF_VSOCK = 38, 40
PROGRAMS: dict[str, tuple[bytes, int]] = {
    "alg": (elf.call_64(X86_64["socket"], AF_ALG, 5, 0), EPERM),
    "vsock": (elf.call_64(X86_64["socket"], AF_VSOCK, 1, 0), EPERM),
    "alg-wide": (elf.call_64(X86_64["socket"], (1 << 32) + AF_ALG, 5, 0), EPERM),
    "alg-i386": (elf.call_32(I386["socket"], AF_ALG, 5, 0), EPERM),
    "alg-int80": (elf.call_64_by_int80(I386["socket"], AF_ALG, 5, 0), EPERM),
    "vsock-i386": (elf.call_32(I386["socket"], AF_VSOCK, 1, 0), EPERM),
    "clone3": (elf.call_64(X86_64["clone3"], 0, 0), ENOSYS),
    "clone3-i386": (elf.call_32(I386["clone3"], 0, 0), ENOSYS),
    "unshare-user": (elf.call_64(X86_64["unshare"], 0x10000000), EPERM),
    "unshare-user-i386": (elf.call_32(I386["unshare"], 0x10000000), EPERM),
    "clone-user": (elf.call_64(X86_64["clone"], 0x10000011, 0, 0, 0, 0), EPERM),
    "mount": (elf.call_64(X86_64["mount"], 0, 0, 0, 0, 0), EPERM),
    "mount-i386": (elf.call_32(I386["mount"], 0, 0, 0, 0, 0), EPERM),
    "mount-int80": (elf.call_64_by_int80(I386["mount"], 0, 0, 0, 0, 0), EPERM),
    "mount-x32": (elf.call_64(0x40000000 | X86_64["mount"], 0, 0, 0, 0, 0), ENOSYS),
    "keyctl": (elf.call_64(X86_64["keyctl"], 0, 0, 0), EPERM),
    "keyctl-i386": (elf.call_32(I386["keyctl"], 0, 0, 0), EPERM),
    "bpf": (elf.call_64(X86_64["bpf"], 0, 0, 0), EPERM),
    "io_uring": (elf.call_64(X86_64["io_uring_setup"], 1, 0), EPERM),
    "userfaultfd": (elf.call_64(X86_64["userfaultfd"], 0), EPERM),
    "open_by_handle_at": (elf.call_64(X86_64["open_by_handle_at"], 0, 0, 0), EPERM),
    "perf": (elf.call_64(X86_64["perf_event_open"], 0, 0, 0, 0, 0), EPERM),
    "newer": (elf.call_64(5000), ENOSYS),
    "unix": (elf.call_64(X86_64["socket"], 1, 1, 0), 0),
    "unix-i386": (elf.call_32(I386["socket"], 1, 1, 0), 0),
    "getpid-i386": (elf.call_32(I386["getpid"]), 0),
}


@pytest.fixture(scope="module")
def callers(engine: Sampan) -> str:
    def build(layer: Layer) -> None:
        for name, (program, _) in PROGRAMS.items():
            layer.file(f"call/{name}", program, 0o755)

    return load(engine, "sec-calls", build)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs are for x86-64")
@pytest.mark.parametrize("mode", ["run", "exec", "user"])
def test_sec_cve_2026_31431_and_abi_holes(engine: Sampan, callers: str, mode: str) -> None:
    script = "for p in /call/*; do $p; echo ${p##*/}=$?; done"
    if mode == "exec":
        container = running(engine, callers)
        outcome = engine.docker("exec", container, "sh", "-c", script)
    else:
        outcome = run(engine, *(("-u", "1000") if mode == "user" else ()), callers, "sh", "-c", script)
    found = dict(line.split("=") for line in outcome.text.splitlines())
    assert found == {name: str(error) for name, (_, error) in PROGRAMS.items()}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs are for x86-64")
def test_the_same_programs_reach_the_kernel_without_the_filter(engine: Sampan, callers: str) -> None:
    """The control: it is the filter that denies, not the program that is wrong."""
    script = "for p in clone3 keyctl io_uring userfaultfd unshare-user mount-i386; do /call/$p; echo $p=$?; done"
    outcome = run(engine, "--privileged", callers, "sh", "-c", script)
    found = dict(line.split("=") for line in outcome.text.splitlines())
    assert found["clone3"] == "22"
    assert EPERM not in [int(code) for code in found.values()]


def test_a_profile_of_the_users_own_is_in_force(engine: Sampan, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}'
    )
    denied = run(engine, "--security-opt", f"seccomp={profile}", "busybox", "mkdir", "/x")
    assert denied.code == 1
    assert b"Operation not permitted" in denied.err
    assert run(engine, "busybox", "mkdir", "/x").code == 0
    profile.write_text('{"defaultAction":"SCMP_ACT_FROB","syscalls":[]}')
    broken = run(engine, "--security-opt", f"seccomp={profile}", "busybox", "true")
    assert broken.code == 125
    assert b"SCMP_ACT_FROB" in broken.err


def test_no_new_privileges(engine: Sampan) -> None:
    assert status_of(run(engine, "busybox", "sh", "-c", STATUS).text)["NoNewPrivs"] == "0"
    on = run(engine, "--security-opt", "no-new-privileges", "busybox", "sh", "-c", STATUS)
    assert status_of(on.text)["NoNewPrivs"] == "1"
