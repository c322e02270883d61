"""Settings of networks: subnets, gateways, options for drivers. A daemon does not start on a wrong one."""

import ipaddress
from collections.abc import Mapping

from sampan.errors import InvalidParameter
from sampan.network.creation_options import check_options
from sampan.network.options import parse_bip


def cidr(text: str, version: int, key: str) -> str:
    """A network of one family, empty for none. Raises InvalidParameter."""
    if not text:
        return ""
    try:
        network = ipaddress.ip_network(text)
        if network.version != version:
            raise ValueError(f"it is no IPv{version} network")
    except ValueError as error:
        raise InvalidParameter(f"invalid {key}: invalid CIDR address: {text}") from error
    if network.is_multicast:
        raise InvalidParameter(f"invalid {key}: multicast subnet '{network}' is not allowed")
    return str(network)


def gateway(text: str, version: int, key: str) -> str:
    """An address of one family, empty for none. Raises InvalidParameter."""
    if not text:
        return ""
    try:
        address = ipaddress.ip_address(text)
        if address.version != version:
            raise ValueError(f"it is no IPv{version} address")
    except ValueError as error:
        raise InvalidParameter(f"{text} is not an ip address ({key})") from error
    return str(address)


def nested(values: dict[str, object], key: str) -> dict[str, dict[str, str]]:
    """Options by driver: `bridge=KEY=VALUE` on the command line, an object of objects in the file. Raises InvalidParameter."""
    value = values.get(key, {})
    found: dict[str, dict[str, str]] = {}
    if isinstance(value, list):
        for entry in value:
            driver, _, option = str(entry).partition("=")
            name, equals, setting = option.partition("=")
            if not driver or not name or not equals:
                raise InvalidParameter(f"invalid {key}: {entry}: DRIVER=KEY=VALUE is expected")
            found.setdefault(driver, {})[name] = setting
        return found
    if not isinstance(value, dict):
        raise InvalidParameter(f"invalid {key}: an object of objects is expected")
    for driver, options in value.items():
        if not isinstance(options, dict) or not all(isinstance(one, str) for one in options.values()):
            raise InvalidParameter(f"invalid {key}: {driver}: an object of strings is expected")
        found[str(driver)] = {str(name): str(setting) for name, setting in options.items()}
    return found


def check_networks(bip: str, bip6: str, options: Mapping[str, Mapping[str, str]], *, bridge: bool) -> None:
    """What can be said before there is a network. Raises InvalidParameter, NotImplementedHere."""
    for text, key in ((bip, "bip"), (bip6, "bip6")):
        if text and not bridge:
            raise InvalidParameter(
                f"you specified --{key}, but the default bridge network is disabled by --bridge=none"
            )
        if text:
            _check_bip(text, key)
    # Networks of either kind are asked for with them, internal ones too.
    check_options(options.get("bridge", {}), internal=True)


def _check_bip(text: str, key: str) -> None:
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError as error:
        raise InvalidParameter(f"invalid CIDR address: {text}") from error
    if interface.version != (6 if key == "bip6" else 4) or interface.network.num_addresses < 4:
        raise InvalidParameter(f"invalid CIDR address: {text}")
    parse_bip(text, key)
