"""The options of a bridge network (`-o KEY=VALUE`): which count, and what they may say. Pure; the wording is Docker's."""

import ipaddress
from collections.abc import Mapping

from sampan.errors import InvalidParameter, NotImplementedHere, System
from sampan.network import definition as words
from sampan.network.definition import GatewayMode

_OPTION_LIMIT = 64 * 1024
_KNOWN = "com.docker.network."
_SWITCHES = frozenset((words.ENABLE_ICC, words.ENABLE_MASQUERADE))
_MODES = frozenset((words.GATEWAY_MODE, words.GATEWAY_MODE6))
_FAMILIES = frozenset((words.ENABLE_IPV4, words.ENABLE_IPV6))
_HONOURED = (
    _SWITCHES
    | _MODES
    | _FAMILIES
    | frozenset((words.BRIDGE_NAME, words.HOST_BINDING, words.MTU, words.INTERFACE_PREFIX))
)
_LONGEST_PREFIX = 10
"""An interface's name has fifteen bytes; the number behind it needs some of them."""
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def check_options(given: Mapping[str, str], internal: bool = False) -> None:
    """Known ones by their values; those of Docker that are not there yet by name.

    Raises InvalidParameter, NotImplementedHere, System (Docker's kind for a mode that the network cannot have).
    """
    if sum(len(key) + len(value) for key, value in given.items()) > _OPTION_LIMIT:
        raise InvalidParameter("the options are too long")
    for key, value in given.items():
        if key.startswith(_KNOWN) and key not in _HONOURED:
            raise NotImplementedHere(f"network option {key} is not implemented yet")
        if key in _FAMILIES and value not in _TRUE | _FALSE:
            raise InvalidParameter(f'driver-opt "{key}" is not a valid bool')
        if key in _SWITCHES and value not in _TRUE | _FALSE:
            raise _unparsed(key, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
        if key in _MODES:
            _check_mode(key, value, internal)
    _check_mtu(given.get(words.MTU, ""))
    _check_binding(given.get(words.HOST_BINDING, ""))
    prefix = given.get(words.INTERFACE_PREFIX, "")
    if prefix and not is_link_name(prefix, _LONGEST_PREFIX):
        raise InvalidParameter(f"invalid {words.INTERFACE_PREFIX}: {prefix[:_LONGEST_PREFIX]!r}")


def _unparsed(key: str, value: str, why: str) -> InvalidParameter:
    return InvalidParameter(f"failed to parse {key} value: {value} ({why})")


def _check_mode(key: str, value: str, internal: bool) -> None:
    if value not in tuple(GatewayMode):
        raise _unparsed(key, value, f"unknown gateway mode {value}")
    if value == GatewayMode.ISOLATED and not internal:
        raise System("gateway mode 'isolated' can only be used for an internal network")


def _check_mtu(mtu: str) -> None:
    if mtu and not (mtu.isascii() and mtu.isdecimal() and 68 <= int(mtu[:6]) <= 65535):
        raise _unparsed(words.MTU, mtu, "it is no MTU from 68 to 65535")


def _check_binding(binding: str) -> None:
    if not binding:
        return
    try:
        ipaddress.ip_address(binding)
    except ValueError as error:
        raise _unparsed(words.HOST_BINDING, binding, "nil ip") from error


def is_true(value: str) -> bool:
    """An option's yes or no, after `check_options`."""
    return value in _TRUE


def is_link_name(name: str, longest: int = 15) -> bool:
    """Whether the kernel takes it as the name of a link, and files and commands too."""
    return (
        0 < len(name) <= longest
        and name.isascii()
        and name.isprintable()
        and not set(name) & set("/ :%")
        and name not in (".", "..")
    )
