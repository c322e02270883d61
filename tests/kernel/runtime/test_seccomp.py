"""The default filter on the running kernel: calls are made by number from a forked child that has installed it."""

import ctypes
import errno
import json
import mmap
import os
import signal
import struct
from collections.abc import Callable

import pytest

from sampan.kernel.seccomp import install_filter
from sampan.runtime.profile_capabilities import DEFAULT
from sampan.runtime.seccomp_compile import compiled
from sampan.runtime.seccomp_document import for_container
from sampan.runtime.seccomp_names import numbers
from sampan.runtime.seccomp_policy import kernel_version
from tests.requires import requires

pytestmark = requires("root", "seccomp")

MACHINE = os.uname().machine
NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}.get(MACHINE, "")
only_x86 = pytest.mark.skipif(MACHINE != "x86_64", reason="int 0x80 is an instruction of x86")

_syscall = ctypes.CDLL(None, use_errno=True)["syscall"]
_syscall.restype = ctypes.c_long


def program(setting: str = "", caps: tuple[str, ...] = DEFAULT) -> bytes:
    policy = for_container(setting, False, caps, MACHINE, kernel_version(os.uname().release))
    assert policy is not None
    return compiled(policy, MACHINE)


def call(number: int, *args: int) -> int:
    """0 or more, or the negative error number, as the kernel gives it."""
    result: int = _syscall(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in args))
    return -ctypes.get_errno() if result == -1 else result


def filtered(installed: bytes, act: Callable[[], object]) -> object:
    """What `act` returns in a child with the filter on; -signal if one ended it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            install_filter(installed)
            os.write(writer, json.dumps(act()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    assert answer
    return json.loads(answer)


CALLS: list[tuple[str, tuple[int, ...], int]] = [
    ("socket", (38, 5, 0), errno.EPERM),
    ("socket", (40, 1, 0), errno.EPERM),
    ("socket", ((1 << 32) + 38, 5, 0), errno.EPERM),
    ("unshare", (0x10000000,), errno.EPERM),
    ("unshare", (0x00020000,), errno.EPERM),
    ("setns", (0, 0), errno.EPERM),
    ("keyctl", (0, 0, 0), errno.EPERM),
    ("add_key", (0, 0, 0, 0, 0), errno.EPERM),
    ("mount", (0, 0, 0, 0, 0), errno.EPERM),
    ("umount2", (0, 0), errno.EPERM),
    ("pivot_root", (0, 0), errno.EPERM),
    ("open_tree", (0, 0, 0), errno.EPERM),
    ("fsopen", (0, 0), errno.EPERM),
    ("bpf", (0, 0, 0), errno.EPERM),
    ("perf_event_open", (0, 0, 0, 0, 0), errno.EPERM),
    ("io_uring_setup", (1, 0), errno.EPERM),
    ("userfaultfd", (0,), errno.EPERM),
    ("kexec_load", (0, 0, 0, 0), errno.EPERM),
    ("init_module", (0, 0, 0), errno.EPERM),
    ("open_by_handle_at", (0, 0, 0), errno.EPERM),
    ("reboot", (0, 0, 0, 0), errno.EPERM),
    ("settimeofday", (0, 0), errno.EPERM),
    ("swapon", (0, 0), errno.EPERM),
    ("quotactl", (0, 0, 0, 0), errno.EPERM),
    ("sethostname", (0, 0), errno.EPERM),
    ("personality", (0x0040000,), errno.EPERM),
    ("clone", (0x10000000 | 17, 0, 0, 0, 0), errno.EPERM),
    ("clone3", (0, 0), errno.ENOSYS),
    ("open_tree_attr", (0, 0, 0, 0, 0), errno.ENOSYS),
]


@pytest.mark.parametrize(("name", "args", "error"), CALLS, ids=[f"{name}{args}" for name, args, _ in CALLS])
def test_a_denied_call_fails_for_root(name: str, args: tuple[int, ...], error: int) -> None:
    assert filtered(program(), lambda: call(numbers(NATIVE)[name], *args)) == -error


def test_allowed_calls_reach_the_kernel() -> None:
    def act() -> object:
        return [
            call(numbers(NATIVE)["getpid"]) == os.getpid(),
            call(numbers(NATIVE)["socket"], 1, 1, 0) >= 0,
            call(numbers(NATIVE)["socket"], 16, 3, 0) >= 0,
            call(numbers(NATIVE)["personality"], 0xFFFFFFFF) >= 0,
            call(numbers(NATIVE)["chroot"], 0) == -errno.EFAULT,
            call(numbers(NATIVE)["ptrace"], 16, 0, 0, 0) == -errno.ESRCH,
        ]

    assert filtered(program(), act) == [True] * 6


def test_a_number_that_no_profile_knows_is_unknown() -> None:
    assert filtered(program(), lambda: [call(470), call(5000), call(0x7FFFFFFF)]) == [-errno.ENOSYS] * 3


def test_a_filter_is_inherited_and_only_adds() -> None:
    everything = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}'
    mount = numbers(NATIVE)["mount"]

    def act() -> object:
        install_filter(program(everything))
        return call(mount, 0, 0, 0, 0, 0)

    assert filtered(program(), act) == -errno.EPERM
    assert filtered(program(everything), lambda: call(mount, 0, 0, 0, 0, 0)) == -errno.EFAULT


def test_capabilities_open_their_calls() -> None:
    mount = numbers(NATIVE)["mount"]
    assert filtered(program(caps=("CAP_SYS_ADMIN",)), lambda: call(mount, 0, 0, 0, 0, 0)) == -errno.EFAULT


def kill_on_getppid(action: str) -> bytes:
    return program(f'{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["getppid"],"action":"{action}"}}]}}')


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
def test_actions_that_end_the_process(action: str) -> None:
    assert filtered(kill_on_getppid(action), os.getppid) == -signal.SIGSYS


def test_actions_that_do_not() -> None:
    assert filtered(kill_on_getppid("SCMP_ACT_LOG"), os.getppid) == os.getpid()
    # Without a tracer SCMP_ACT_TRACE makes a call unknown (seccomp(2)).
    assert filtered(kill_on_getppid("SCMP_ACT_TRACE"), lambda: call(numbers(NATIVE)["getppid"])) == -errno.ENOSYS


def thirty_two_bit(number: int, first: int = 0, second: int = 0, third: int = 0) -> int:
    """A call through int 0x80, whatever the process is: number in eax, arguments in ebx, ecx and edx."""
    code = (
        b"\x53"  # push rbx
        b"\xb8"
        + struct.pack("=I", number)
        + b"\xbb"
        + struct.pack("=I", first & 0xFFFFFFFF)
        + b"\xb9"
        + struct.pack("=I", second)
        + b"\xba"
        + struct.pack("=I", third)
        + b"\xcd\x80"  # int 0x80
        + b"\x5b"  # pop rbx
        + b"\xc3"
    )
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as room:
        room.write(code)
        holder = ctypes.c_char.from_buffer(room)
        result: int = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(holder))()
        del holder
    return result


@only_x86
def test_the_32_bit_door_is_filtered_by_its_own_numbers() -> None:
    i386 = numbers("SCMP_ARCH_X86")

    def act() -> object:
        return {
            "getpid": thirty_two_bit(i386["getpid"]) == os.getpid(),
            "mount": thirty_two_bit(i386["mount"]),
            "unshare": thirty_two_bit(i386["unshare"], 0x10000000),
            "keyctl": thirty_two_bit(i386["keyctl"]),
            "socket alg": thirty_two_bit(i386["socket"], 38, 5, 0),
            "socket unix": thirty_two_bit(i386["socket"], 1, 1, 0) > 0,
            "clone3": thirty_two_bit(i386["clone3"]),
            "newer": thirty_two_bit(5000),
            # 21 is mount there and access here: a filter that mixed the tables up would let it through.
            "21": thirty_two_bit(21),
        }

    assert filtered(program(), act) == {
        "getpid": True,
        "mount": -errno.EPERM,
        "unshare": -errno.EPERM,
        "keyctl": -errno.EPERM,
        "socket alg": -errno.EPERM,
        "socket unix": True,
        "clone3": -errno.ENOSYS,
        "newer": -errno.ENOSYS,
        "21": -errno.EPERM,
    }


@only_x86
def test_a_profile_for_one_architecture_ends_the_other() -> None:
    only = '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": []}'
    assert filtered(program(only), lambda: thirty_two_bit(20)) == -signal.SIGSYS


@only_x86
@pytest.mark.parametrize("name", ["mount", "unshare", "getpid"])
def test_x32_is_not_there(name: str) -> None:
    number = 0x40000000 | numbers(NATIVE)[name]
    everything = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}'
    assert filtered(program(), lambda: call(number, 0, 0, 0, 0, 0)) == -errno.ENOSYS
    assert filtered(program(everything), lambda: call(number, 0, 0, 0, 0, 0)) == -errno.ENOSYS
