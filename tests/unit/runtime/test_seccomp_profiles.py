"""Profiles: the conditions of the default one, and JSON as users write it."""

import json
import os
from pathlib import Path

import pytest

from sampan.errors import InvalidParameter, NotImplementedHere, SampanError
from sampan.runtime.profile_capabilities import DEFAULT
from sampan.runtime.seccomp_default import default_profile
from sampan.runtime.seccomp_document import for_container, parse
from sampan.runtime.seccomp_names import is_known, numbers
from sampan.runtime.seccomp_policy import Kernel, kernel_version, resolve
from sampan.spec import oci_runtime as oci

KERNEL = (6, 18)


def allowed(policy: oci.Seccomp) -> set[str]:
    return {name for rule in policy.syscalls if rule.action == "SCMP_ACT_ALLOW" for name in rule.names}


@pytest.mark.parametrize(
    ("cap", "names"),
    [
        ("CAP_SYS_ADMIN", {"mount", "unshare", "setns", "bpf", "clone3", "fsopen", "quotactl", "umount2", "syslog"}),
        ("CAP_DAC_READ_SEARCH", {"open_by_handle_at"}),
        ("CAP_SYS_BOOT", {"reboot"}),
        ("CAP_SYS_CHROOT", {"chroot"}),
        ("CAP_SYS_MODULE", {"init_module", "finit_module", "delete_module"}),
        ("CAP_SYS_PACCT", {"acct"}),
        ("CAP_SYS_PTRACE", {"kcmp", "pidfd_getfd", "process_madvise"}),
        ("CAP_SYS_RAWIO", {"iopl", "ioperm"}),
        ("CAP_SYS_TIME", {"settimeofday", "clock_settime", "clock_settime64", "stime"}),
        ("CAP_SYS_TTY_CONFIG", {"vhangup"}),
        ("CAP_SYS_NICE", {"mbind", "get_mempolicy", "set_mempolicy", "set_mempolicy_home_node"}),
        ("CAP_SYSLOG", {"syslog"}),
        ("CAP_BPF", {"bpf"}),
        ("CAP_PERFMON", {"perf_event_open"}),
    ],
)
def test_a_capability_brings_its_calls(cap: str, names: set[str]) -> None:
    without = allowed(resolve(default_profile(), (), "x86_64", KERNEL))
    with_it = allowed(resolve(default_profile(), (cap,), "x86_64", KERNEL))
    assert names <= with_it
    assert not (names - {"clone"}) & without


def test_the_size_of_the_default_profile() -> None:
    """The corpus counts 370 names on amd64 with the default capabilities; riscv_hwprobe is of another machine."""
    assert len(allowed(resolve(default_profile(), DEFAULT, "x86_64", KERNEL))) == 370 - 1


@pytest.mark.parametrize(("kernel", "there"), [((4, 7), False), ((4, 8), True), ((3, 10), False), ((6, 1), True)])
def test_tracing_waits_for_a_kernel_that_filters_what_a_tracer_changes(kernel: Kernel, there: bool) -> None:
    assert ("ptrace" in allowed(resolve(default_profile(), (), "x86_64", kernel))) is there
    assert "ptrace" in allowed(resolve(default_profile(), ("CAP_SYS_PTRACE",), "x86_64", kernel))


def test_calls_of_one_machine() -> None:
    on_x86, on_arm = (allowed(resolve(default_profile(), (), machine, KERNEL)) for machine in ("x86_64", "aarch64"))
    assert {"arch_prctl", "modify_ldt"} <= on_x86
    assert not {"arch_prctl", "modify_ldt"} & on_arm
    assert {"set_tls", "cacheflush"} <= on_arm


def test_every_name_of_the_default_profile_is_a_system_call() -> None:
    everything = allowed(resolve(default_profile(), ("CAP_SYS_ADMIN", *DEFAULT), "x86_64", KERNEL))
    assert [name for name in sorted(everything) if not is_known(name)] == []


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.18.44-fc-v657", (6, 18)),
        ("3.12-1-amd64", (3, 12)),
        ("4.8", (4, 8)),
        ("5.10-rc3", (5, 10)),
        ("10.0+", (10, 0)),
    ],
)
def test_kernel_release(release: str, version: Kernel) -> None:
    assert kernel_version(release) == version


@pytest.mark.parametrize("release", ["", "6", "six.one", "6.x"])
def test_kernel_release_without_numbers(release: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        kernel_version(release)


HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


@pytest.mark.skipif(not HEADER.exists(), reason="needs the kernel's headers for x86-64 (linux-libc-dev)")
@pytest.mark.parametrize(("arch", "header"), [("SCMP_ARCH_X86_64", "unistd_64.h"), ("SCMP_ARCH_X86", "unistd_32.h")])
def test_the_tables_agree_with_the_headers_of_this_machine(arch: str, header: str) -> None:
    defined = {}
    for line in HEADER.with_name(header).read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "#define" and words[1].startswith("__NR_") and words[2].isdecimal():
            defined[words[1].removeprefix("__NR_")] = int(words[2])
    assert len(defined) > 300
    table = numbers(arch)
    assert {name: table.get(name) for name in defined if name in table} == {
        name: number for name, number in defined.items() if name in table
    }
    # A kernel newer than the tables may add calls at the end; none of the older ones may be missing.
    assert [name for name, number in defined.items() if name not in table and number < 467] == []


def document(**members: object) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **members})


def test_a_profile_of_a_user() -> None:
    text = document(
        defaultErrnoRet=38,
        archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
        somethingElse={"comment": "unknown members are passed over"},
        syscalls=[
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": None, "includes": {}, "excludes": {}},
            {"name": "openat", "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "comment": "one name, the older form"},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
                "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390"]},
            },
            {"names": ["futex"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "5.4"}},
        ],
    )
    found = for_container(text, False, ("CAP_CHOWN",), "x86_64", KERNEL)
    assert found == oci.Seccomp(
        default_action="SCMP_ACT_ERRNO",
        default_errno_ret=38,
        architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
        syscalls=(
            oci.SeccompRule(names=("read", "write"), action="SCMP_ACT_ALLOW"),
            oci.SeccompRule(names=("openat",), action="SCMP_ACT_ERRNO", errno_ret=13),
            oci.SeccompRule(
                names=("clone",),
                action="SCMP_ACT_ALLOW",
                args=(oci.SeccompArg(index=0, value=2114060288, op="SCMP_CMP_MASKED_EQ"),),
            ),
            oci.SeccompRule(names=("futex",), action="SCMP_ACT_LOG"),
        ),
    )
    older = for_container(text, False, ("CAP_SYS_ADMIN",), "x86_64", (5, 3))
    assert older is not None
    assert [rule.names for rule in older.syscalls] == [("read", "write"), ("openat",)]


def one_rule(**members: object) -> str:
    return document(syscalls=[{"names": ["read"], "action": "SCMP_ACT_ALLOW", **members}])


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", InvalidParameter, "Decoding seccomp profile failed"),
        ("{", InvalidParameter, "Decoding seccomp profile failed"),
        ("/etc/profile.json", InvalidParameter, "Decoding seccomp profile failed"),
        ("[]", InvalidParameter, "Decoding seccomp profile failed"),
        ("[" * 100_000, InvalidParameter, "Decoding seccomp profile failed"),
        ("\udcff", InvalidParameter, "Decoding seccomp profile failed"),
        (" " * (1 << 20) + "{}", InvalidParameter, "longer than"),
        (document(defaultAction="SCMP_ACT_PERMIT"), InvalidParameter, "string SCMP_ACT_PERMIT is not a valid action"),
        (json.dumps({"syscalls": [{"names": ["read"]}]}), InvalidParameter, "is not a valid action for seccomp"),
        (one_rule(action="allow"), InvalidParameter, "string allow is not a valid action for seccomp"),
        (one_rule(action="SCMP_ACT_NOTIFY"), NotImplementedHere, "SCMP_ACT_NOTIFY"),
        (document(flags=["SECCOMP_FILTER_FLAG_MOON"]), InvalidParameter, "SECCOMP_FILTER_FLAG_MOON"),
        (document(listenerPath="/run/agent.sock"), NotImplementedHere, "listenerPath"),
        (
            document(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86"}]),
            InvalidParameter,
            "use either 'architectures' or 'archMap'",
        ),
        (document(architectures=["x86"]), InvalidParameter, "string x86 is not a valid arch for seccomp"),
        (one_rule(name="write"), InvalidParameter, "use either 'name' or 'names'"),
        (one_rule(names=[""]), InvalidParameter, "empty string is not a valid syscall"),
        (document(syscalls=[None]), InvalidParameter, "nil syscall"),
        (one_rule(args=[None]), InvalidParameter, "nil to syscall condition"),
        (one_rule(args=[{"index": 0, "value": 1, "op": "=="}]), InvalidParameter, "string == is not a valid operator"),
        (one_rule(args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]), InvalidParameter, "index 6 is out of range"),
        (one_rule(args=[{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]), InvalidParameter, "Decoding seccomp"),
        (one_rule(args=[{"index": 0, "value": 1 << 64, "op": "SCMP_CMP_EQ"}]), InvalidParameter, ""),
        (one_rule(errnoRet=4096), InvalidParameter, "errnoRet 4096 is out of range"),
        (document(defaultErrnoRet=70000), InvalidParameter, "errnoRet 70000 is out of range"),
        (one_rule(includes={"minKernel": "4"}), InvalidParameter, 'invalid kernel version: "4"'),
        (one_rule(includes={"minKernel": "4.8.1"}), InvalidParameter, 'invalid kernel version: "4.8.1"'),
        (one_rule(excludes={"minKernel": "0.0"}), InvalidParameter, "version cannot be 0.0"),
        (one_rule(excludes={"minKernel": "४.८"}), InvalidParameter, "invalid kernel version"),
        (one_rule(names="read"), InvalidParameter, "Decoding seccomp profile failed"),
    ],
)
def test_what_cannot_be_honoured_is_refused(text: str, kind: type[SampanError], message: str) -> None:
    with pytest.raises(kind) as caught:
        parse(text)
    assert message in str(caught.value)


def test_an_empty_profile_is_no_filter() -> None:
    assert parse("{}") is None
    assert for_container('{"syscalls": []}', False, (), "x86_64", KERNEL) is None


def test_who_gets_which_filter() -> None:
    default = resolve(default_profile(), DEFAULT, "x86_64", KERNEL)
    assert for_container("", False, DEFAULT, "x86_64", KERNEL) == default
    assert for_container("builtin", False, DEFAULT, "x86_64", KERNEL) == default
    assert for_container("unconfined", False, DEFAULT, "x86_64", KERNEL) is None
    assert for_container("", True, DEFAULT, "x86_64", KERNEL) is None
    assert for_container("builtin", True, DEFAULT, "x86_64", KERNEL) is None
    assert for_container("", True, DEFAULT, "x86_64", KERNEL, document()) is None
    assert for_container("", False, DEFAULT, "x86_64", KERNEL, "unconfined") is None
    assert for_container("builtin", False, DEFAULT, "x86_64", KERNEL, "unconfined") == default
    assert for_container("", False, DEFAULT, "x86_64", KERNEL, document()) == oci.Seccomp(
        default_action="SCMP_ACT_ERRNO"
    )
    assert for_container(document(), True, DEFAULT, "x86_64", KERNEL) == oci.Seccomp(default_action="SCMP_ACT_ERRNO")


def test_this_machine_has_a_table() -> None:
    assert resolve(default_profile(), (), os.uname().machine, kernel_version(os.uname().release)).syscalls
