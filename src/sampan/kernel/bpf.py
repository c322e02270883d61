"""bpf(2), as far as the device rules of cgroup v2 need it: load a program, attach it to a group, look what is attached."""

from __future__ import annotations

import ctypes
import errno
import os

from sampan.kernel.calls import check, system_call

_PROG_LOAD = 5
_PROG_ATTACH = 8
_PROG_QUERY = 16
_PROG_TYPE_CGROUP_DEVICE = 15
_ATTACH_TYPE_CGROUP_DEVICE = 6
_ALLOW_MULTI = 2
_INSTRUCTION = 8
_LOG_BYTES = 65536
_MOST_ATTACHED = 64

_bpf = system_call("bpf", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)


class _Load(ctypes.Structure):
    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
    )


class _Attach(ctypes.Structure):
    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_bpf_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("replace_bpf_fd", ctypes.c_uint32),
    )


class _Query(ctypes.Structure):
    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("prog_cnt", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


def load_device_program(program: bytes) -> int:
    """BPF_PROG_LOAD of type BPF_PROG_TYPE_CGROUP_DEVICE; returns its descriptor (the kernel makes it close-on-exec).

    `program` is an array of `struct bpf_insn`. Raises OSError: EPERM without CAP_BPF or CAP_SYS_ADMIN, EINVAL or EACCES
    where the verifier refuses it, then with the verifier's last line.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    load = _Load(
        prog_type=_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt=len(program) // _INSTRUCTION,
        insns=ctypes.addressof(instructions),
        license=ctypes.addressof(licence),
        prog_name=b"sampan_devices",
    )
    descriptor = _bpf(_PROG_LOAD, ctypes.byref(load), ctypes.sizeof(load))
    if descriptor == -1 and ctypes.get_errno() in (errno.EINVAL, errno.EACCES):
        log = ctypes.create_string_buffer(_LOG_BYTES)
        load.log_level, load.log_size, load.log_buf = 1, _LOG_BYTES, ctypes.addressof(log)
        descriptor = _bpf(_PROG_LOAD, ctypes.byref(load), ctypes.sizeof(load))
        said = log.value.decode("ascii", "replace").strip().rpartition("\n")[2]
        return check(descriptor, "bpf", "PROG_LOAD", "CGROUP_DEVICE", load.insn_cnt, said)
    return check(descriptor, "bpf", "PROG_LOAD", "CGROUP_DEVICE", load.insn_cnt)


def attach_device_program(directory: int, program: bytes) -> None:
    """Load `program` and attach it to the group whose directory is open as `directory` (BPF_PROG_ATTACH, BPF_F_ALLOW_MULTI).

    The group keeps the program. Every program of the group and of the groups above must allow an access.
    """
    loaded = load_device_program(program)
    try:
        attach = _Attach(
            target_fd=directory,
            attach_bpf_fd=loaded,
            attach_type=_ATTACH_TYPE_CGROUP_DEVICE,
            attach_flags=_ALLOW_MULTI,
        )
        result = _bpf(_PROG_ATTACH, ctypes.byref(attach), ctypes.sizeof(attach))
        check(result, "bpf", "PROG_ATTACH", "CGROUP_DEVICE", directory)
    finally:
        os.close(loaded)


def attached_device_programs(directory: int) -> tuple[int, ...]:
    """The kernel's ids of the device programs attached to this very group (BPF_PROG_QUERY)."""
    ids = (ctypes.c_uint32 * _MOST_ATTACHED)()
    query = _Query(
        target_fd=directory,
        attach_type=_ATTACH_TYPE_CGROUP_DEVICE,
        prog_ids=ctypes.addressof(ids),
        prog_cnt=_MOST_ATTACHED,
    )
    result = _bpf(_PROG_QUERY, ctypes.byref(query), ctypes.sizeof(query))
    check(result, "bpf", "PROG_QUERY", "CGROUP_DEVICE", directory)
    return tuple(ids[: query.prog_cnt])
