"""Seccomp profiles as users write them: Docker's JSON format, read with types and bounds.

The format is the OCI runtime specification's with conditions added (moby/profiles, seccomp.go). As in Docker, members that
are not known are passed over; what is known and cannot be honoured here is refused by name.
"""

from functools import lru_cache
from typing import Annotated

import msgspec

from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.runtime.seccomp_default import default_profile
from sampan.runtime.seccomp_names import AUDIT_ARCH
from sampan.runtime.seccomp_policy import ACTIONS, FLAGS, NOTIFY, OPERATORS, Conditions, Kernel, Profile, Rule, resolve
from sampan.spec import oci_runtime as oci

UNCONFINED = "unconfined"
"""`--security-opt seccomp=unconfined`: no filter."""
BUILTIN = "builtin"
"""`--security-opt seccomp=builtin`: the profile of `seccomp_default`, also where the daemon has another default."""

_LONGEST_TEXT = 1 << 20
_HIGHEST_ERRNO = 4095
_ARGUMENTS = 6
_BEFORE_THE_AGENT = ("sendmsg", "write")
"""runc names `write` alone."""
_ELSEWHERE = """
    X32 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 LOONGARCH64
"""
_KNOWN_ARCHITECTURES = frozenset(AUDIT_ARCH) | {f"SCMP_ARCH_{name}" for name in _ELSEWHERE.split()}

_Unsigned = Annotated[int, msgspec.Meta(ge=0)]


class _Argument(msgspec.Struct, frozen=True, rename="camel"):
    index: _Unsigned = 0
    value: _Unsigned = 0
    value_two: _Unsigned = 0
    op: str = ""


class _Filter(msgspec.Struct, frozen=True, rename="camel"):
    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    min_kernel: str | None = None


class _Syscall(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    names: tuple[str, ...] | None = None
    action: str = ""
    errno_ret: _Unsigned | None = None
    args: tuple[_Argument | None, ...] | None = None
    includes: _Filter | None = None
    excludes: _Filter | None = None


class _Architecture(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str = ""
    sub_architectures: tuple[str, ...] | None = None


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    default_action: str = ""
    default_errno_ret: _Unsigned | None = None
    architectures: tuple[str, ...] | None = None
    arch_map: tuple[_Architecture, ...] | None = None
    flags: tuple[str, ...] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[_Syscall | None, ...] | None = None


_decoder = msgspec.json.Decoder(_Document)


@lru_cache(maxsize=16)
def for_container(
    setting: str, privileged: bool, caps: tuple[str, ...], machine: str, kernel: Kernel, default: str = BUILTIN
) -> oci.Seccomp | None:
    """The filter of a container, None for none. `caps` is its bounding set.

    `setting` is what its `seccomp=` said: a profile's text, `unconfined`, `builtin`, or nothing, for which the daemon's
    `default` stands; a privileged container has no filter then (nor with `builtin`). Raises InvalidParameter or
    NotImplementedHere for a profile that cannot be honoured.
    """
    if privileged and setting in ("", BUILTIN):
        return None
    wanted = setting or default
    if wanted == UNCONFINED:
        return None
    if wanted == BUILTIN:
        return resolve(default_profile(), caps, machine, kernel)
    profile = parse(wanted)
    return None if profile is None else resolve(profile, caps, machine, kernel)


def parse(text: str, *, agents: bool = False) -> Profile | None:
    """The profile in a JSON document; None for one that asks for nothing (no default action and no rules).

    With `agents` rules may say SCMP_ACT_NOTIFY. Raises InvalidParameter, NotImplementedHere.
    """
    if len(text) > _LONGEST_TEXT:
        raise InvalidParameter(f"Decoding seccomp profile failed: longer than {_LONGEST_TEXT} bytes")
    try:
        document = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(f"Decoding seccomp profile failed: {error}") from error
    syscalls = document.syscalls or ()
    if not document.default_action and not syscalls:
        return None
    if document.architectures and document.arch_map:
        raise InvalidParameter(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    for flag in document.flags or ():
        if flag not in FLAGS:
            raise InvalidParameter(f"seccomp flag {flag[:60]} not known or supported by this runtime")
    _check_agent(document, agents=agents)
    return Profile(
        default_action=_action(document.default_action),
        default_errno=_errno(document.default_errno_ret),
        architectures=tuple(_architecture(name) for name in document.architectures or ()),
        arch_map={
            _architecture(entry.architecture): tuple(_architecture(name) for name in entry.sub_architectures or ())
            for entry in document.arch_map or ()
        },
        rules=tuple(_rule(call) for call in syscalls),
        flags=tuple(document.flags or ()),
        listener_path=document.listener_path,
        listener_metadata=document.listener_metadata,
    )


def _check_agent(document: _Document, *, agents: bool) -> None:
    """Who answers notifications, and of what there may be none."""
    if document.default_action == NOTIFY:
        raise InvalidParameter("SCMP_ACT_NOTIFY cannot be used as default action")
    asked = [name for call in document.syscalls or () if call and call.action == NOTIFY for name in _names(call)]
    if (asked or document.listener_path) and not agents:
        raise NotImplementedHere("seccomp action SCMP_ACT_NOTIFY and listenerPath are not supported by sampan")
    if asked and not document.listener_path:
        raise InvalidParameter("seccomp: SCMP_ACT_NOTIFY without a listenerPath")
    if document.listener_metadata and not document.listener_path:
        raise InvalidParameter("seccomp: listenerMetadata without a listenerPath")
    for name in _BEFORE_THE_AGENT:
        if name in asked:
            # The agent gets its descriptor by this call, and would be asked for it before it has it.
            raise InvalidParameter(f"SCMP_ACT_NOTIFY cannot be used for the {name} syscall")


def _names(call: _Syscall) -> tuple[str, ...]:
    return (call.name,) if call.name else call.names or ()


def _rule(call: _Syscall | None) -> Rule:
    if call is None:
        raise InvalidParameter("encountered nil syscall while initializing Seccomp")
    names = call.names or ()
    if call.name:
        if names:
            raise InvalidParameter(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
            )
        names = (call.name,)
    if "" in names:
        raise InvalidParameter("empty string is not a valid syscall")
    return Rule(
        rule=oci.SeccompRule(
            names=names,
            action=_action(call.action),
            errno_ret=_errno(call.errno_ret),
            args=tuple(_argument(argument) for argument in call.args or ()),
        ),
        includes=_conditions(call.includes),
        excludes=_conditions(call.excludes),
    )


def _argument(argument: _Argument | None) -> oci.SeccompArg:
    if argument is None:
        raise InvalidParameter("cannot convert nil to syscall condition")
    if argument.op not in OPERATORS:
        raise InvalidParameter(f"string {argument.op} is not a valid operator for seccomp")
    if argument.index >= _ARGUMENTS:
        raise InvalidParameter(
            f"seccomp argument index {argument.index} is out of range: a system call has {_ARGUMENTS}"
        )
    for value in (argument.value, argument.value_two):
        if value >> 64:
            raise InvalidParameter(f"seccomp argument value {value} does not fit into 64 bits")
    return oci.SeccompArg(index=argument.index, value=argument.value, value_two=argument.value_two, op=argument.op)


def _conditions(given: _Filter | None) -> Conditions:
    if given is None:
        return Conditions()
    return Conditions(caps=given.caps or (), arches=given.arches or (), min_kernel=_min_kernel(given.min_kernel or ""))


def _min_kernel(text: str) -> Kernel | None:
    if not text:
        return None
    parts = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise InvalidParameter(f'invalid kernel version: "{text}", expected "<kernel>.<major>"')
    kernel = int(parts[0]), int(parts[1])
    if kernel == (0, 0):
        raise InvalidParameter(f'invalid kernel version: "{text}", expected "<kernel>.<major>": version cannot be 0.0')
    return kernel


def _action(name: str) -> str:
    if name not in ACTIONS and name != NOTIFY:
        raise InvalidParameter(f"string {name} is not a valid action for seccomp")
    return name


def _architecture(name: str) -> str:
    if name not in _KNOWN_ARCHITECTURES:
        raise InvalidParameter(f"string {name} is not a valid arch for seccomp")
    return name


def _errno(number: int | None) -> int | None:
    if number is not None and number > _HIGHEST_ERRNO:
        raise InvalidParameter(
            f"seccomp errnoRet {number} is out of range: the highest error number is {_HIGHEST_ERRNO}"
        )
    return number
