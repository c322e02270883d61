"""The compiler against libseccomp (installed with runc): the same policy, both programs, every call.

What differs on purpose is said in docs/seccomp.md; it is left out here and tested on its own.
"""

import ctypes
import ctypes.util
import itertools
import os
import struct
import tempfile

import pytest

from sampan.runtime.profile_capabilities import DEFAULT, KNOWN
from sampan.runtime.seccomp_compile import compile_filter
from sampan.runtime.seccomp_default import default_profile
from sampan.runtime.seccomp_names import AUDIT_ARCH, numbers
from sampan.runtime.seccomp_policy import resolve
from sampan.spec import oci_runtime as oci
from tests.requires import requires

_NAME = ctypes.util.find_library("seccomp")
pytestmark = [
    requires("runc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the tables compared are of x86-64"),
]

ENOSYS = 0x00050000 | 38
_ACTIONS = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000, "SCMP_ACT_KILL": 0, "SCMP_ACT_LOG": 0x7FFC0000}
_OPERATORS = {
    f"SCMP_CMP_{name}": number for number, name in enumerate(("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"), 1)
}
_ARCH_X86 = 0x40000003


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("value", ctypes.c_uint64), ("second", ctypes.c_uint64))


def by_libseccomp(policy: oci.Seccomp) -> bytes:
    """The program that runc would have made of `policy` (without its own ENOSYS part), for x86-64 and i386."""
    assert _NAME is not None
    library = ctypes.CDLL(_NAME, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    default = value(policy.default_action, policy.default_errno_ret)
    context = ctypes.c_void_p(library.seccomp_init(default))
    assert library.seccomp_arch_add(context, ctypes.c_uint32(_ARCH_X86)) == 0
    for rule in policy.syscalls:
        action = value(rule.action, rule.errno_ret)
        if action == default:
            continue
        for name in rule.names:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == -1:
                continue
            compared = (_Comparison * len(rule.args))(
                *(_Comparison(each.index, _OPERATORS[each.op], each.value, each.value_two) for each in rule.args)
            )
            done = library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(rule.args), compared)
            assert done == 0, (name, done)
    with tempfile.TemporaryFile() as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        file.seek(0)
        return file.read()


def value(action: str, errno_ret: int | None) -> int:
    return _ACTIONS[action] | ((1 if errno_ret is None else errno_ret) if action == "SCMP_ACT_ERRNO" else 0)


def run(code: list[tuple[int, int, int, int]], data: bytes) -> int:
    accumulator = at = 0
    while True:
        operation, yes, no, operand = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x00:
                accumulator = operand
            case 0x54:
                accumulator &= operand
            case 0x05:
                at += operand
            case 0x15:
                at += yes if accumulator == operand else no
            case 0x25:
                at += yes if accumulator > operand else no
            case 0x35:
                at += yes if accumulator >= operand else no
            case 0x06:
                return operand
            case _:
                pytest.fail(f"instruction {operation:#x}")


def compare(policy: oci.Seccomp, newest: int, values: tuple[int, ...]) -> None:
    ours, theirs = (
        list(struct.iter_unpack("=HBBI", code)) for code in (compile_filter(policy, "x86_64"), by_libseccomp(policy))
    )
    different = []
    for arch, number in itertools.product(("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"), range(newest + 1)):
        for first in values:
            if arch == "SCMP_ARCH_X86_64" and number == numbers(arch)["uretprobe"]:
                continue  # Linux 6.11, in a gap of the older numbers: libseccomp may be older
            data = struct.pack("=IIQ6Q", number, AUDIT_ARCH[arch], 0, first, first ^ 3, 0, 1, 2, 38)
            answers = run(ours, data), run(theirs, data)
            if answers[0] != answers[1]:
                different.append((arch, number, hex(first), *map(hex, answers)))
    assert different == []


# What libseccomp of Debian 12 knows; above it runc's own part would answer.
NEWEST = numbers("SCMP_ARCH_X86_64")["set_mempolicy_home_node"]
VALUES = (0, 1, 2, 8, 16, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0x7E020000, 0x10000000, 0x3D0F00, 0xFFFFFFFF)


@pytest.mark.parametrize("caps", [(), DEFAULT, ("CAP_SYS_ADMIN",), KNOWN], ids=["none", "default", "admin", "all"])
def test_the_default_profile(caps: tuple[str, ...]) -> None:
    compare(resolve(default_profile(), caps, "x86_64", (6, 18)), NEWEST, VALUES)


@pytest.mark.parametrize("operator", sorted(_OPERATORS))
def test_every_comparison(operator: str) -> None:
    rules = tuple(
        oci.SeccompRule(
            names=(name,),
            action="SCMP_ACT_ERRNO",
            errno_ret=number,
            args=(oci.SeccompArg(index=0, value=against, value_two=against & 0xFFFF00000001, op=operator),),
        )
        for number, (name, against) in enumerate(
            zip(("read", "write", "close", "lseek", "dup"), (0, 1, 0xFFFFFFFF, 1 << 32, (5 << 32) + 7), strict=True), 2
        )
    )
    names = frozenset(numbers("SCMP_ARCH_X86"))
    assert all(rule.names[0] in names for rule in rules)
    policy = oci.Seccomp(default_action="SCMP_ACT_ALLOW", architectures=("SCMP_ARCH_X86",), syscalls=rules)
    values = (
        0,
        1,
        2,
        6,
        7,
        8,
        0xFFFFFFFE,
        0xFFFFFFFF,
        1 << 32,
        (1 << 32) + 1,
        (5 << 32) + 6,
        (5 << 32) + 7,
        (5 << 32) + 8,
        6 << 32,
    )
    ours, theirs = (
        list(struct.iter_unpack("=HBBI", code)) for code in (compile_filter(policy, "x86_64"), by_libseccomp(policy))
    )
    for rule, first in itertools.product(rules, values):
        number = numbers("SCMP_ARCH_X86_64")[rule.names[0]]
        data = struct.pack("=IIQ6Q", number, AUDIT_ARCH["SCMP_ARCH_X86_64"], 0, first, 0, 0, 0, 0, 0)
        assert run(ours, data) == run(theirs, data), (rule, hex(first))


def test_what_libseccomp_lets_through() -> None:
    """The difference that is on purpose: a family of more than 32 bits, which the kernel reads as AF_ALG."""
    policy = resolve(default_profile(), DEFAULT, "x86_64", (6, 18))
    data = struct.pack(
        "=IIQ6Q",
        numbers("SCMP_ARCH_X86_64")["socket"],
        AUDIT_ARCH["SCMP_ARCH_X86_64"],
        0,
        (1 << 32) + 38,
        5,
        0,
        0,
        0,
        0,
    )
    ours, theirs = (
        list(struct.iter_unpack("=HBBI", code)) for code in (compile_filter(policy, "x86_64"), by_libseccomp(policy))
    )
    assert run(ours, data) == 0x00050001
    assert run(theirs, data) == 0x7FFF0000
