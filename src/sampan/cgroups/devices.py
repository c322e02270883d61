"""Device rules as the two kinds of control groups take them: lines for v1's files, a BPF program for v2. Pure.

The rules are OCI's (config-linux.md, "Allowed Device list"): in order, a later one overrides an earlier one. Here that holds for
each kind of access by itself: `allow c 1:3 r` and then `allow c 1:3 w` allow reading and writing.
"""

import struct
from collections.abc import Sequence

from sampan.errors import InvalidParameter
from sampan.spec import oci_runtime as oci

_ACCESS = {"m": 1, "r": 2, "w": 4}
"""BPF_DEVCG_ACC_* of linux/bpf.h"""
_EVERY_ACCESS = 7
_KINDS = {"a": (1, 2), "b": (1,), "c": (2,), "u": (2,)}
"""BPF_DEVCG_DEV_BLOCK and _CHAR"""
_LETTERS = {1: "b", 2: "c"}

# struct bpf_insn: opcode, registers (destination in the low half), jump offset, constant.
_INSTRUCTION = struct.Struct("<BBhi")
_LOAD_WORD = 0x61
_AND = 0x54
_SHIFT_RIGHT = 0x74
_SET = 0xB4
_COPY = 0xBC
_JUMP_IF_EQUAL = 0x15
_JUMP_UNLESS_EQUAL = 0x55
_EXIT = 0x95
_RESULT, _CONTEXT, _KIND, _WANTED, _MAJOR, _MINOR, _SCRATCH = range(7)


def allows_everything(rules: Sequence[oci.DeviceRule]) -> bool:
    """Whether nothing is to be enforced: no rules at all, or one that allows everything and no denial behind it."""
    for rule in reversed(rules):
        if not rule.allow:
            return False
        if _is_total(rule):
            return True
    return not rules


def v1_writes(rules: Sequence[oci.DeviceRule]) -> list[tuple[str, str]]:
    """(file, line) in order, for the device controller of v1 in a new group; what no rule speaks of is denied.

    Raises InvalidParameter for a rule that takes back part of an earlier one: v1 knows exceptions from one default, and would
    forget such a rule in silence.
    """
    if allows_everything(rules):
        return []
    start = max((number for number, rule in enumerate(rules) if _is_total(rule)), default=-1)
    default = rules[start].allow if start >= 0 else False
    writes = [] if default else [("devices.deny", "a")]
    exceptions: list[tuple[str, str]] = []
    made: list[oci.DeviceRule] = []
    for rule in rules[start + 1 :]:
        lines = [f"{_LETTERS[kind]} {_number(rule.major)}:{_number(rule.minor)} {rule.access}" for kind in _kinds(rule)]
        if rule.allow != default:
            exceptions += [("devices.allow" if rule.allow else "devices.deny", line) for line in lines]
            made.append(rule)
        elif any(_overlap(rule, earlier) for earlier in made):
            raise InvalidParameter(f"device rule {lines[0]!r} overrides an earlier one: not possible on cgroup v1")
    return writes + list(dict.fromkeys(exceptions))


def v2_program(rules: Sequence[oci.DeviceRule]) -> bytes:
    """The program (BPF_PROG_TYPE_CGROUP_DEVICE) that answers 1 where `rules` allow an access, else 0; b"" where they allow all.

    It walks the rules from the last to the first with the set of accesses still undecided: an allowance takes away from the set
    (empty: allowed), a denial of one that is left ends it.
    """
    if allows_everything(rules):
        return b""
    blocks = [_PROLOGUE]
    for rule in reversed(rules):
        blocks += [_rule(rule, kind) for kind in _kinds(rule, joined=True)]
        if _is_total(rule):
            # What stands before is dead, and the verifier refuses instructions that cannot be reached.
            break
    else:
        blocks.append(_answer(0))
    return b"".join(blocks)


def _is_total(rule: oci.DeviceRule) -> bool:
    return rule.type in ("a", "") and rule.major is None and rule.minor is None and _access(rule) == _EVERY_ACCESS


def _overlap(one: oci.DeviceRule, other: oci.DeviceRule) -> bool:
    """Whether there is an access that both speak of."""
    numbers = ((one.major, other.major), (one.minor, other.minor))
    return (
        bool(set(_kinds(one)) & set(_kinds(other)))
        and bool(_access(one) & _access(other))
        and all(_number(each) == "*" or _number(another) in ("*", _number(each)) for each, another in numbers)
    )


def _kinds(rule: oci.DeviceRule, joined: bool = False) -> tuple[int, ...]:
    """Block, character or both; `joined`: both are (0,), which a program need not ask about."""
    kinds = _KINDS.get(rule.type or "a")
    if kinds is None:
        raise InvalidParameter(f"invalid device rule: type {rule.type!r}")
    return (0,) if joined and len(kinds) == 2 else kinds


def _access(rule: oci.DeviceRule) -> int:
    if not rule.access or not set(rule.access) <= set(_ACCESS):
        raise InvalidParameter(f"invalid device rule: access {rule.access!r}")
    return sum(_ACCESS[letter] for letter in set(rule.access))


def _number(number: int | None) -> str:
    return "*" if number is None or number < 0 else str(number)


def _instruction(code: int, register: int, constant: int = 0, *, source: int = 0, offset: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, register | source << 4, offset, constant)


def _answer(value: int) -> bytes:
    return _instruction(_SET, _RESULT, value) + _instruction(_EXIT, 0)


# struct bpf_cgroup_dev_ctx: access_type (access << 16 | kind), major, minor.
_PROLOGUE = b"".join(
    (
        _instruction(_LOAD_WORD, _KIND, source=_CONTEXT, offset=0),
        _instruction(_COPY, _WANTED, source=_KIND),
        _instruction(_AND, _KIND, 0xFFFF),
        _instruction(_SHIFT_RIGHT, _WANTED, 16),
        _instruction(_LOAD_WORD, _MAJOR, source=_CONTEXT, offset=4),
        _instruction(_LOAD_WORD, _MINOR, source=_CONTEXT, offset=8),
    )
)


def _rule(rule: oci.DeviceRule, kind: int) -> bytes:
    """One rule: on to the next where the device is another, or where accesses are left to decide."""
    access = _access(rule)
    verdict = _answer(int(rule.allow))
    if access == _EVERY_ACCESS:
        body = verdict
    elif rule.allow:
        body = _instruction(_AND, _WANTED, _EVERY_ACCESS & ~access)
        body += _skip(_JUMP_UNLESS_EQUAL, _WANTED, 0, verdict) + verdict
    else:
        body = _instruction(_COPY, _SCRATCH, source=_WANTED) + _instruction(_AND, _SCRATCH, access)
        body += _skip(_JUMP_IF_EQUAL, _SCRATCH, 0, verdict) + verdict
    for register, value in ((_MINOR, rule.minor), (_MAJOR, rule.major), (_KIND, kind or None)):
        if value is not None and value >= 0:
            body = _skip(_JUMP_UNLESS_EQUAL, register, value, body) + body
    return body


def _skip(jump: int, register: int, value: int, over: bytes) -> bytes:
    return _instruction(jump, register, value, offset=len(over) // _INSTRUCTION.size)
