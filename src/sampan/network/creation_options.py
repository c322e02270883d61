"""The options of a bridge network (`-o KEY=VALUE`): which count, and what they may say. Pure; the wording is Docker's."""

import ipaddress
from collections.abc import Mapping

from sampan.errors import InvalidParameter, NotImplementedHere, System
from sampan.network import definition as words
from sampan.network.definition import GatewayMode

_OPTION_LIMIT = 64 * 1024
_SWITCHES = frozenset((words.ENABLE_ICC, words.ENABLE_MASQUERADE, words.INHIBIT_IPV4, words.DEFAULT_BRIDGE))
_MODES = frozenset((words.GATEWAY_MODE, words.GATEWAY_MODE6))
_FAMILIES = frozenset((words.ENABLE_IPV4, words.ENABLE_IPV6))
_TRUSTED_LIMIT = 64
_NAMES_SHOWN = 80
_LONGEST_PREFIX = 10
"""An interface's name has fifteen bytes; the number behind it needs some of them."""
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def check_options(given: Mapping[str, str], internal: bool = False) -> None:
    """Known ones by their values; those that mean nothing to Docker's driver either are kept and shown.

    Raises InvalidParameter, NotImplementedHere, System (Docker's kind for a mode that the network cannot have).
    """
    check_size(given)
    for key, value in given.items():
        if key == words.DEFAULT_BRIDGE and is_true(value):
            raise NotImplementedHere(f"network option {key} is not implemented yet")
        if key in _FAMILIES and value not in _TRUE | _FALSE:
            raise InvalidParameter(f'driver-opt "{key}" is not a valid bool')
        if key in _SWITCHES and value not in _TRUE | _FALSE:
            raise _unparsed(key, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
        if key in _MODES:
            _check_mode(key, value, internal)
    _check_mtu(given.get(words.MTU, ""))
    _check_address(words.HOST_BINDING, given.get(words.HOST_BINDING, ""))
    _check_address(words.HOST_IPV4, given.get(words.HOST_IPV4, ""), 4)
    _check_address(words.HOST_IPV6, given.get(words.HOST_IPV6, ""), 6)
    _check_trusted(given.get(words.TRUSTED, ""))
    prefix = given.get(words.INTERFACE_PREFIX, "")
    if prefix and not is_link_name(prefix, _LONGEST_PREFIX):
        raise InvalidParameter(f"invalid {words.INTERFACE_PREFIX}: {prefix[:_LONGEST_PREFIX]!r}")


def check_size(given: Mapping[str, str]) -> None:
    """Raises InvalidParameter for more than is ever kept."""
    if sum(len(key) + len(value) for key, value in given.items()) > _OPTION_LIMIT:
        raise InvalidParameter("the options are too long")


def _unparsed(key: str, value: str, why: str) -> InvalidParameter:
    return InvalidParameter(f"failed to parse {key} value: {value} ({why})")


def _check_mode(key: str, value: str, internal: bool) -> None:
    if value not in tuple(GatewayMode):
        raise _unparsed(key, value, f"unknown gateway mode {value}")
    if value == GatewayMode.ISOLATED and not internal:
        raise System("gateway mode 'isolated' can only be used for an internal network")


def _check_mtu(mtu: str) -> None:
    number = mtu.removeprefix("-").removeprefix("+")
    if mtu and not (number.isascii() and number.isdecimal()):
        raise _unparsed(words.MTU, mtu, f'strconv.Atoi: parsing "{mtu}": invalid syntax')
    if mtu.startswith("-"):
        raise InvalidParameter(f"invalid MTU number: {mtu}")
    if mtu and not (mtu.isascii() and mtu.isdecimal() and 68 <= int(mtu[:6]) <= 65535):
        raise _unparsed(words.MTU, mtu, "it is no MTU from 68 to 65535")


def _check_address(key: str, text: str, version: int = 0) -> None:
    """`version` is the family that it must have; 0 for either."""
    if not text:
        return
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise _unparsed(key, text, "nil ip") from error
    if "%" in text or (version and address.version != version):
        raise _unparsed(key, text, f"it is no IPv{version or 4} address")


def _check_trusted(text: str) -> None:
    """Names of links with colons between them. Docker takes what no link can be called, and fails at the first container."""
    names = [name for name in text.split(":") if name]
    for name in names:
        if not is_link_name(name):
            raise _unparsed(words.TRUSTED, text[:_NAMES_SHOWN], f"{name[:_NAMES_SHOWN]!r} is no name of an interface")
    if len(names) > _TRUSTED_LIMIT:
        raise _unparsed(words.TRUSTED, text[:_NAMES_SHOWN], f"more than {_TRUSTED_LIMIT} interfaces")


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
