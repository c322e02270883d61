"""From a resolved seccomp policy to the classic BPF program that the kernel runs at each system call (seccomp(2)).

    architecture? ─┬─ native ── x32? ── number ── balanced tree of ranges ──┬─ return
                   ├─ 32-bit ─────────── number ── its own tree ────────────┤
                   └─ any other: kill                                       └─ arguments, word by word ── return

Numbers are grouped into ranges that end alike, so a call is decided after about seven comparisons and a filter of Docker's
size is some 250 instructions long. Only comparisons that the kernel can foresee stand before a decision without arguments:
since Linux 5.11 such calls are allowed from a bitmap, and the program does not run at all.

The rules, in this order:
- An architecture that the policy does not name ends the process. An x32 call answers ENOSYS, as on kernels without x32.
- A number above all that the policy names, in a policy that denies by default, answers ENOSYS: programs probe for new calls
  and fall back on ENOSYS, not on EPERM.
- Of several rules for one call, one without arguments wins; else the first whose comparisons all hold.
- A name that no table knows is skipped, as in runc: profiles name calls of machines that are not this one.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache

from sampan.errors import InvalidParameter
from sampan.runtime.seccomp_names import AUDIT_ARCH, NATIVE, X32_BIT, numbers
from sampan.spec import oci_runtime as oci

_LOAD, _LOAD_NUMBER, _AND = 0x20, 0x00, 0x54
_JUMP, _IF_EQUAL, _IF_GREATER, _IF_AT_LEAST = 0x05, 0x15, 0x25, 0x35
_RETURN = 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_FARTHEST = 255
_LONGEST = 4096

_ALLOW, _LOG, _TRACE, _TRAP, _ERRNO = 0x7FFF0000, 0x7FFC0000, 0x7FF00000, 0x00030000, 0x00050000
_USER_NOTIF = 0x7FC00000
_KILL_THREAD, _KILL_PROCESS = 0x00000000, 0x80000000
_RETURNS = {
    "SCMP_ACT_ALLOW": _ALLOW,
    "SCMP_ACT_LOG": _LOG,
    "SCMP_ACT_TRACE": _TRACE,
    "SCMP_ACT_NOTIFY": _USER_NOTIF,
    "SCMP_ACT_TRAP": _TRAP,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_KILL": _KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": _KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": _KILL_PROCESS,
}
_CARRY_ERRNO = frozenset({"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"})
_PERMISSIVE = frozenset({"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"})
_EPERM, _ENOSYS = 1, 38

# The 32-bit architecture whose programs the machine runs too. There the upper half of an argument is always zero.
_COMPATIBLE = {"SCMP_ARCH_X86_64": "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64": "SCMP_ARCH_ARM"}
# Arm's own calls (breakpoint, set_tls) lie far above all others: they are no measure of how new a policy is.
_PRIVATE_NUMBERS = 0xF0000

# Arguments that the kernel reads as 32 bits. Compared as 64 they could be passed off as another value: socket(0x100000026)
# is "greater than 40" to a filter and AF_ALG to the kernel (the fault of CVE-2019-10063).
_READ_AS_32_BITS = {
    "socket": (0, 1, 2),
    "socketpair": (0, 1, 2),
    "socketcall": (0,),
    "ioctl": (0, 1),
    "fcntl": (0, 1),
    "prctl": (0,),
    "personality": (0,),
    "setns": (0, 1),
    "keyctl": (0,),
}

_Comparison = tuple[oci.SeccompArg, bool]
"""A comparison, and whether only the lower 32 bits count."""
_Alternative = tuple[tuple[_Comparison, ...], int]
_Decision = tuple[_Alternative, ...] | int
"""What happens to a call: a return value, or alternatives by argument (the default is for when none holds)."""


def compile_filter(policy: oci.Seccomp, machine: str) -> bytes:
    """`policy` as an array of `struct sock_filter` for a machine (`uname -m`).

    Raises InvalidParameter for an unknown machine, action or operator, and for a policy that makes more than 4096
    instructions.
    """
    native = NATIVE.get(machine)
    if native is None:
        raise InvalidParameter(f"seccomp profiles cannot be compiled for the machine {machine!r}")
    program = _Program()
    entry = program.answer(_KILL_PROCESS)
    compatible = _COMPATIBLE[native]
    if compatible in policy.architectures:
        entry = program.branch(_IF_EQUAL, AUDIT_ARCH[compatible], _tree(program, policy, compatible), entry)
    # Last, because the program grows towards its start: a native call meets its own architecture first.
    entry = program.branch(_IF_EQUAL, AUDIT_ARCH[native], _tree(program, policy, native), entry)
    program.load(_ARCH_AT)
    return program.assemble()


@lru_cache(maxsize=64)
def compiled(policy: oci.Seccomp, machine: str) -> bytes:
    """`compile_filter`, remembered by the policy's content. Callers are the daemon's; the launcher gets the bytes."""
    return compile_filter(policy, machine)


class _Program:
    """A program written from its end to its start, so that every target of a jump is already there.

    Positions count from the end; jumps only go towards it, as the kernel demands.
    """

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._answers: dict[int, int] = {}

    def answer(self, value: int) -> int:
        """The position of an instruction that returns `value`, near enough for a conditional jump from here."""
        position = self._answers.get(value)
        if position is None or self._distance(position) >= _FARTHEST:
            position = self._answers[value] = self._put(_RETURN, value)
        return position

    def load(self, offset: int) -> int:
        return self._put(_LOAD, offset)

    def constant(self, value: int) -> int:
        return self._put(_LOAD_NUMBER, value)

    def mask(self, value: int) -> int:
        return self._put(_AND, value)

    def branch(self, test: int, value: int, yes: int, no: int) -> int:
        """Compare the accumulator with `value` and go on at `yes` or `no`."""
        yes = self._near(yes)
        no = self._near(no)
        return self._put(test, value, self._distance(yes), self._distance(no))

    def continue_at(self, position: int) -> None:
        """Whatever is written next runs into `position`."""
        if self._distance(position) > 0:
            self._put(_JUMP, self._distance(position))

    def assemble(self) -> bytes:
        if len(self._code) > _LONGEST:
            raise InvalidParameter(
                f"the seccomp profile makes {len(self._code)} instructions; the kernel takes {_LONGEST}"
            )
        return b"".join(struct.pack("=HBBI", code, yes, no, value) for code, yes, no, value in reversed(self._code))

    def _put(self, code: int, value: int, yes: int = 0, no: int = 0) -> int:
        self._code.append((code, yes, no, value))
        return len(self._code) - 1

    def _distance(self, position: int) -> int:
        return len(self._code) - position - 1

    def _near(self, position: int) -> int:
        # One less than the farthest: the other side of the same branch may still put a jump in between.
        if self._distance(position) < _FARTHEST:
            return position
        return self._put(_JUMP, self._distance(position))


def _tree(program: _Program, policy: oci.Seccomp, arch: str) -> int:
    """The part for one architecture; returns where it begins."""
    ranges = _ranges(policy, arch)
    default = _return_value(policy.default_action, policy.default_errno_ret)
    leaves: dict[_Decision, int] = {}

    def leaf(decision: _Decision) -> int:
        if isinstance(decision, int):
            return program.answer(decision)
        if decision not in leaves:
            leaves[decision] = _alternatives(program, decision, default)
        return leaves[decision]

    def between(first: int, last: int) -> int:
        if first == last:
            return leaf(ranges[first][1])
        middle = (first + last + 1) // 2
        upper = between(middle, last)
        return program.branch(_IF_AT_LEAST, ranges[middle][0], upper, between(first, middle - 1))

    entry = between(0, len(ranges) - 1)
    if arch == "SCMP_ARCH_X86_64":
        entry = program.branch(_IF_AT_LEAST, X32_BIT, program.answer(_ERRNO | _ENOSYS), entry)
    program.continue_at(entry)
    return program.load(_NUMBER_AT)


def _ranges(policy: oci.Seccomp, arch: str) -> list[tuple[int, _Decision]]:
    """All 32-bit numbers as ranges: where each begins (the first at 0) and what happens in it."""
    decisions = _decisions(policy, arch)
    default = _return_value(policy.default_action, policy.default_errno_ret)
    newest = max((number for number in decisions if number < _PRIVATE_NUMBERS), default=None)
    unnamed_above = default
    if newest is not None and policy.default_action not in _PERMISSIVE:
        unnamed_above = _ERRNO | _ENOSYS
    ranges: list[tuple[int, _Decision]] = []

    def put(start: int, decision: _Decision) -> None:
        if ranges and ranges[-1][0] == start:
            ranges.pop()
        if not ranges or ranges[-1][1] != decision:
            ranges.append((start, decision))

    put(0, default)
    for number in sorted(decisions):
        put(number, decisions[number])
        put(number + 1, default if newest is None or number < newest else unnamed_above)
    return ranges


def _decisions(policy: oci.Seccomp, arch: str) -> dict[int, _Decision]:
    """What the policy says of each call that `arch` has, by number; calls that it leaves to the default are included."""
    known = numbers(arch)
    default = _return_value(policy.default_action, policy.default_errno_ret)
    unconditional: dict[str, int] = {}
    alternatives: dict[str, list[_Alternative]] = {}
    for rule in policy.syscalls:
        value = _return_value(rule.action, rule.errno_ret)
        for name in rule.names:
            if name not in known:
                continue
            found = alternatives.setdefault(name, [])
            if value == default:
                continue
            if not rule.args:
                unconditional.setdefault(name, value)
            found.extend((comparisons, value) for comparisons in _conjunctions(name, rule.args))
    decisions: dict[int, _Decision] = {}
    for name, found in alternatives.items():
        decisions[known[name]] = unconditional[name] if name in unconditional else tuple(found) or default
    return decisions


def _conjunctions(name: str, args: tuple[oci.SeccompArg, ...]) -> Iterable[tuple[_Comparison, ...]]:
    """The comparisons that must hold together. Two on the same argument are alternatives, as runc has it."""
    narrow = _READ_AS_32_BITS.get(name, ())
    comparisons = tuple((argument, argument.index in narrow) for argument in args)
    if not comparisons:
        return ()
    if len({argument.index for argument in args}) < len(args):
        return tuple((comparison,) for comparison in comparisons)
    return (comparisons,)


def _alternatives(program: _Program, decision: tuple[_Alternative, ...], default: int) -> int:
    otherwise = program.answer(default)
    for comparisons, value in reversed(decision):
        holds = program.answer(value)
        for argument, narrow in reversed(comparisons):
            holds = _compare(program, argument, narrow, holds, otherwise)
        otherwise = holds
    return otherwise


def _compare(program: _Program, argument: oci.SeccompArg, narrow: bool, yes: int, no: int) -> int:
    """One comparison of 64 bits in two words, the upper one first; returns where it begins."""
    low_at = _ARGUMENTS_AT + 8 * argument.index
    high_at = None if narrow else low_at + 4
    high, low = argument.value >> 32, argument.value & 0xFFFFFFFF
    if argument.op in ("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE"):
        yes, no = no, yes
    match argument.op:
        case "SCMP_CMP_EQ" | "SCMP_CMP_NE":
            program.branch(_IF_EQUAL, low, yes, no)
            lower = program.load(low_at)
            program.branch(_IF_EQUAL, high, lower, no)
        case "SCMP_CMP_GT" | "SCMP_CMP_LE" | "SCMP_CMP_GE" | "SCMP_CMP_LT":
            strict = argument.op in ("SCMP_CMP_GT", "SCMP_CMP_LE")
            program.branch(_IF_GREATER if strict else _IF_AT_LEAST, low, yes, no)
            lower = program.load(low_at)
            same = program.branch(_IF_EQUAL, high, lower, no)
            program.branch(_IF_GREATER, high, yes, same)
        case "SCMP_CMP_MASKED_EQ":
            program.branch(_IF_EQUAL, argument.value_two & 0xFFFFFFFF, yes, no)
            program.mask(low)
            lower = program.load(low_at)
            program.branch(_IF_EQUAL, argument.value_two >> 32, lower, no)
            program.mask(high)
        case unknown:
            raise InvalidParameter(f"string {unknown} is not a valid operator for seccomp")
    return program.constant(0) if high_at is None else program.load(high_at)


def _return_value(action: str, errno_ret: int | None) -> int:
    value = _RETURNS.get(action)
    if value is None:
        raise InvalidParameter(f"string {action} is not a valid action for seccomp")
    if action in _CARRY_ERRNO:
        return value | (_EPERM if errno_ret is None else errno_ret & 0xFFFF)
    return value
