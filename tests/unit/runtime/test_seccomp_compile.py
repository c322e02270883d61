"""Programs are run by an interpreter of classic BPF and compared with the policy read rule by rule."""

import random
import struct

import msgspec
import pytest

from sampan.errors import InvalidParameter
from sampan.runtime.profile_capabilities import DEFAULT, KNOWN
from sampan.runtime.seccomp_compile import compile_filter, compiled
from sampan.runtime.seccomp_default import default_profile
from sampan.runtime.seccomp_names import AUDIT_ARCH, numbers
from sampan.runtime.seccomp_policy import resolve
from sampan.spec import oci_runtime as oci

X86_64, I386, AARCH64, ARM = "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"
ALLOW, LOG, TRACE, TRAP, ERRNO = 0x7FFF0000, 0x7FFC0000, 0x7FF00000, 0x00030000, 0x00050000
KILL_THREAD, KILL_PROCESS = 0, 0x80000000
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38
TWO_POW_32 = 1 << 32


def run(program: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """What the kernel's interpreter would answer. Every jump goes forward, or this does not end: assert it."""
    padded = (*args, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number, arch, 0xDEADBEEF, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = steps = 0
    while True:
        operation, yes, no, value = code[at]
        steps += 1
        assert steps <= len(code)
        match operation:
            case 0x20:
                assert value % 4 == 0
                (accumulator,) = struct.unpack_from("=I", data, value)
                at += 1
            case 0x00:
                accumulator = value
                at += 1
            case 0x54:
                accumulator &= value
                at += 1
            case 0x05:
                at += 1 + value
            case 0x15:
                at += 1 + (yes if accumulator == value else no)
            case 0x25:
                at += 1 + (yes if accumulator > value else no)
            case 0x35:
                at += 1 + (yes if accumulator >= value else no)
            case 0x06:
                return int(value)
            case _:
                pytest.fail(f"instruction {operation:#x}")


NARROW = {"socket": (0, 1, 2), "ioctl": (0, 1), "personality": (0,), "prctl": (0,)}
VALUES = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
}


def value_of(action: str, errno_ret: int | None) -> int:
    number = 1 if errno_ret is None else errno_ret
    return {"SCMP_ACT_ERRNO": ERRNO | number, "SCMP_ACT_TRACE": TRACE | number}.get(action, VALUES.get(action, -1))


def holds(comparison: oci.SeccompArg, name: str, args: tuple[int, ...]) -> bool:
    given = args[comparison.index]
    if comparison.index in NARROW.get(name, ()):
        given %= TWO_POW_32
    return {
        "SCMP_CMP_EQ": given == comparison.value,
        "SCMP_CMP_NE": given != comparison.value,
        "SCMP_CMP_LT": given < comparison.value,
        "SCMP_CMP_LE": given <= comparison.value,
        "SCMP_CMP_GT": given > comparison.value,
        "SCMP_CMP_GE": given >= comparison.value,
        "SCMP_CMP_MASKED_EQ": given & comparison.value == comparison.value_two,
    }[comparison.op]


def expected(policy: oci.Seccomp, native: str, arch: str | None, number: int, args: tuple[int, ...]) -> int:
    """The answer by reading the rules one by one."""
    runs_here = {X86_64: (X86_64, I386), AARCH64: (AARCH64, ARM)}[native]
    if arch not in runs_here or (arch != native and arch not in policy.architectures):
        return KILL_PROCESS
    assert arch is not None
    if arch == X86_64 and number >= 0x40000000:
        return ENOSYS
    default = value_of(policy.default_action, policy.default_errno_ret)
    by_number = {found: name for name, found in numbers(arch).items()}
    named = {name for rule in policy.syscalls for name in rule.names} & set(numbers(arch))
    name = by_number.get(number)
    if name not in named or name is None:
        newest = max((numbers(arch)[each] for each in named if numbers(arch)[each] < 0xF0000), default=1 << 40)
        permissive = policy.default_action in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
        return ENOSYS if number > newest and not permissive else default
    rules = [rule for rule in policy.syscalls if name in rule.names]
    rules = [rule for rule in rules if value_of(rule.action, rule.errno_ret) != default]
    for rule in rules:
        if not rule.args:
            return value_of(rule.action, rule.errno_ret)
    for rule in rules:
        together = len({argument.index for argument in rule.args}) == len(rule.args)
        if (all if together else any)(holds(argument, name, args) for argument in rule.args):
            return value_of(rule.action, rule.errno_ret)
    return default


INTERESTING = (0, 1, 2, 37, 38, 39, 40, 41, 0x20000, 0xFFFFFFFF, TWO_POW_32, TWO_POW_32 + 38, 0x7E020000, (1 << 64) - 1)
ACTIONS = ("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_TRAP", "SCMP_ACT_TRACE", "SCMP_ACT_LOG")
OPERATORS = [f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")]


def random_policy(dice: random.Random) -> oci.Seccomp:
    names = [*dice.sample(sorted(numbers(X86_64)), 20), "socket", "ioctl", "personality", "no_such_call"]

    def argument() -> oci.SeccompArg:
        value = dice.choice(INTERESTING)
        return oci.SeccompArg(
            index=dice.randrange(6),
            value=value,
            value_two=value & dice.choice(INTERESTING),
            op=dice.choice(OPERATORS),
        )

    def rule() -> oci.SeccompRule:
        return oci.SeccompRule(
            names=tuple(dice.sample(names, dice.randrange(1, 8))),
            action=dice.choice(ACTIONS),
            errno_ret=dice.choice((None, 1, 22)),
            args=tuple(argument() for _ in range(dice.choice((0, 1, 1, 2, 3)))),
        )

    return oci.Seccomp(
        default_action=dice.choice(ACTIONS),
        default_errno_ret=dice.choice((None, 38, 13)),
        architectures=dice.choice(((), (X86_64, I386), (AARCH64, ARM), (X86_64, I386, "SCMP_ARCH_X32"))),
        syscalls=tuple(rule() for _ in range(dice.randrange(12))),
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_random_policy_decides_as_its_rules_read(seed: int) -> None:
    dice = random.Random(seed)
    policy = random_policy(dice)
    machine, native = dice.choice((("x86_64", X86_64), ("aarch64", AARCH64)))
    program = compile_filter(policy, machine)
    for _ in range(200):
        arch = dice.choice((native, native, X86_64, I386, ARM, None))
        table = numbers(arch) if arch else {"none": 7}
        named = [table[name] for rule in policy.syscalls for name in rule.names if name in table] or [3]
        number = dice.choice(
            (dice.choice(named), dice.choice(sorted(table.values())), dice.randrange(600), dice.getrandbits(32))
        )
        args = tuple(dice.choice((*INTERESTING, dice.getrandbits(64))) for _ in range(6))
        audit = AUDIT_ARCH[arch] if arch else 0xC0000016
        assert run(program, audit, number, args) == expected(policy, native, arch, number, args), (arch, number, args)


@pytest.mark.parametrize("caps", [DEFAULT, (), KNOWN], ids=["default", "none", "all"])
@pytest.mark.parametrize(("machine", "native", "compatible"), [("x86_64", X86_64, I386), ("aarch64", AARCH64, ARM)])
def test_the_default_profile_decides_every_call_as_its_rules_read(
    machine: str, native: str, compatible: str, caps: tuple[str, ...]
) -> None:
    policy = resolve(default_profile(), caps, machine, (6, 18))
    program = compile_filter(policy, machine)
    for arch in (native, compatible):
        by_number = {number: name for name, number in numbers(arch).items()}
        allowed = {name for rule in policy.syscalls if not rule.args for name in rule.names}
        for number in range(480):
            for args in ((0,) * 6, (0x7E020000, 40, 38, 38, 38, 38)):
                found = run(program, AUDIT_ARCH[arch], number, args)
                if by_number.get(number) in allowed - {"clone3"}:
                    assert found == ALLOW
                else:
                    assert found == expected(policy, native, arch, number, args)


def default_program(caps: tuple[str, ...] = DEFAULT) -> bytes:
    return compiled(resolve(default_profile(), caps, "x86_64", (6, 18)), "x86_64")


# From the security corpus, section 2.1: what a container with the default capabilities may not call on x86-64.
_DENIED = """
    _sysctl acct add_key afs_syscall bpf clock_settime create_module delete_module fanotify_init finit_module fsconfig
    fsmount fsopen fspick get_kernel_syms get_mempolicy getpmsg init_module io_uring_enter io_uring_register
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount
    mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
    process_madvise putpmsg query_module quotactl quotactl_fd reboot request_key security set_mempolicy
    set_mempolicy_home_node setdomainname sethostname setns settimeofday swapoff swapon sysfs syslog tuxcall umount2
    unshare uselib userfaultfd ustat vhangup vserver
"""


def test_the_default_profile_denies_exactly_the_listed_calls_of_x86_64() -> None:
    program = default_program()
    newest_in_corpus = numbers(X86_64)["set_mempolicy_home_node"]
    denied = {
        name
        for name, number in numbers(X86_64).items()
        if number <= newest_in_corpus and run(program, AUDIT_ARCH[X86_64], number) == EPERM
    }
    # uprobe is the kernel's own trampoline (Linux 6.18), newer than the profile and in a gap of the old numbers.
    assert denied - {"uprobe"} == set(_DENIED.split())


@pytest.mark.parametrize("arch", [X86_64, I386])
def test_families_that_reach_past_the_container_are_refused_however_they_are_written(arch: str) -> None:
    program, number = default_program(), numbers(arch)["socket"]
    for family, answer in ((1, ALLOW), (2, ALLOW), (10, ALLOW), (16, ALLOW), (39, ALLOW), (41, ALLOW), (38, EPERM)):
        assert run(program, AUDIT_ARCH[arch], number, (family,)) == answer
    assert run(program, AUDIT_ARCH[arch], number, (40,)) == EPERM
    # The kernel reads 32 bits: the rest of the register must not make the family look like another.
    assert run(program, AUDIT_ARCH[arch], number, (TWO_POW_32 + 38,)) == EPERM
    assert run(program, AUDIT_ARCH[arch], number, ((7 << 40) + 40,)) == EPERM
    assert run(program, AUDIT_ARCH[arch], number, (TWO_POW_32 + 2,)) == ALLOW


@pytest.mark.parametrize("flag", [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_cannot_make_a_namespace(flag: int) -> None:
    clone = numbers(X86_64)["clone"]
    assert run(default_program(), AUDIT_ARCH[X86_64], clone, (flag | 17,)) == EPERM
    assert run(default_program(), AUDIT_ARCH[X86_64], clone, (0x003D0F00,)) == ALLOW
    assert run(default_program((*DEFAULT, "CAP_SYS_ADMIN")), AUDIT_ARCH[X86_64], clone, (flag | 17,)) == ALLOW


def test_clone3_is_unknown_unless_namespaces_may_be_made() -> None:
    clone3 = numbers(X86_64)["clone3"]
    assert run(default_program(), AUDIT_ARCH[X86_64], clone3) == ENOSYS
    assert run(default_program((*DEFAULT, "CAP_SYS_ADMIN")), AUDIT_ARCH[X86_64], clone3) == ALLOW


def test_newer_calls_are_unknown_and_other_architectures_are_the_end() -> None:
    program = default_program()
    for number in (467, 468, 469, 470, 5000, 0x3FFFFFFF, 0xFFFFFFFF):
        assert run(program, AUDIT_ARCH[X86_64], number) == ENOSYS
        assert run(program, AUDIT_ARCH[I386], number) == ENOSYS
    for name in ("read", "mount", "ptrace"):
        assert run(program, AUDIT_ARCH[X86_64], 0x40000000 | numbers(X86_64)[name]) == ENOSYS
    for arch in (AUDIT_ARCH[AARCH64], AUDIT_ARCH[ARM], 0, 0xFFFFFFFF):
        assert run(program, arch, 0) == KILL_PROCESS
    alone = msgspec.structs.replace(resolve(default_profile(), (), "x86_64", (6, 18)), architectures=())
    assert run(compile_filter(alone, "x86_64"), AUDIT_ARCH[I386], 1) == KILL_PROCESS


def test_x32_cannot_pass_a_profile_that_allows_by_default() -> None:
    policy = oci.Seccomp(
        default_action="SCMP_ACT_ALLOW",
        architectures=(X86_64, "SCMP_ARCH_X32"),
        syscalls=(oci.SeccompRule(names=("mount",), action="SCMP_ACT_ERRNO"),),
    )
    program = compile_filter(policy, "x86_64")
    assert run(program, AUDIT_ARCH[X86_64], numbers(X86_64)["mount"]) == EPERM
    assert run(program, AUDIT_ARCH[X86_64], 0x40000000 | numbers(X86_64)["mount"]) == ENOSYS
    assert run(program, AUDIT_ARCH[X86_64], 5000) == ALLOW


def test_a_call_that_needs_no_argument_is_decided_in_a_few_steps() -> None:
    """The kernel's bitmap of always-allowed calls needs a path without loads of arguments and without `and`."""
    program = default_program()
    code = list(struct.iter_unpack("=HBBI", program))
    assert len(code) < 300
    for name in ("read", "futex", "socketpair", "exit_group", "getrandom"):
        at, accumulator = 0, -1
        seen: list[tuple[int, int]] = []
        while code[at][0] != 0x06:
            operation, yes, no, value = code[at]
            seen.append((operation, value))
            number = {0: numbers(X86_64)[name], 4: AUDIT_ARCH[X86_64]}
            if operation == 0x20:
                accumulator = number[value]
                at += 1
            elif operation == 0x05:
                at += 1 + value
            else:
                taken = accumulator == value if operation == 0x15 else accumulator >= value
                at += 1 + (yes if taken else no)
        assert len(seen) <= 14
        assert {operation for operation, _ in seen} <= {0x20, 0x15, 0x35, 0x05}


def test_a_profile_too_long_for_the_kernel_is_refused() -> None:
    rules = tuple(
        oci.SeccompRule(names=("read",), action="SCMP_ACT_ALLOW", args=(oci.SeccompArg(index=0, value=number),))
        for number in range(1100)
    )
    with pytest.raises(InvalidParameter, match="the kernel takes 4096"):
        compile_filter(oci.Seccomp(default_action="SCMP_ACT_ERRNO", syscalls=rules), "x86_64")


def test_long_chains_jump_far() -> None:
    rules = tuple(
        oci.SeccompRule(names=("read",), action="SCMP_ACT_ALLOW", args=(oci.SeccompArg(index=0, value=number * 2),))
        for number in range(400)
    )
    program = compile_filter(oci.Seccomp(default_action="SCMP_ACT_ERRNO", syscalls=rules), "x86_64")
    assert len(program) // 8 > 1000
    for number in (0, 2, 398, 798):
        assert run(program, AUDIT_ARCH[X86_64], 0, (number,)) == ALLOW
        assert run(program, AUDIT_ARCH[X86_64], 0, (number + 1,)) == EPERM


@pytest.mark.parametrize("machine", ["riscv64", ""])
def test_an_unknown_machine_has_no_filter(machine: str) -> None:
    with pytest.raises(InvalidParameter, match="machine"):
        compile_filter(oci.Seccomp(default_action="SCMP_ACT_ALLOW"), machine)
