"""Where a container's output is kept: the log driver and its options, judged in Docker's words. Pure."""

from collections.abc import Mapping

import msgspec

from sampan.daemon.config_values import parse_size
from sampan.errors import InvalidParameter, NotImplementedHere

DRIVERS = ("json-file", "none")
_DOCKERS = ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "local", "splunk", "syslog")
_KNOWN = {
    "max-size",
    "max-file",
    "compress",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
    "mode",
    "max-buffer-size",
}
_MISSING = {"compress", "labels", "labels-regex", "env", "env-regex", "tag"}


class LogSettings(msgspec.Struct, frozen=True):
    """`driver` json-file or none; `max_size` in bytes, -1 without a bound."""

    driver: str
    max_size: int = -1
    max_files: int = 1


def parse(driver: str, options: Mapping[str, str]) -> LogSettings:
    """The settings of a container. Raises InvalidParameter, NotImplementedHere by name."""
    if driver not in DRIVERS:
        if driver in _DOCKERS:
            raise NotImplementedHere(f"the log driver {driver} is not implemented yet (json-file and none are)")
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered")
    if driver == "none":
        return LogSettings(driver)
    for name in options:
        if name not in _KNOWN:
            raise InvalidParameter(f"unknown log opt '{name}' for {driver} log driver")
    for name in sorted(_MISSING & set(options)):
        if not (name == "compress" and options[name] == "false"):
            raise NotImplementedHere(f"the log option {name} is not implemented yet")
    _check_mode(options)
    max_size = parse_size(options["max-size"]) if options.get("max-size", "-1") != "-1" else -1
    if max_size == 0:
        raise InvalidParameter("max-size must be a positive number")
    return LogSettings(driver, max_size, _max_files(options, max_size))


def _check_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "blocking")
    if mode == "non-blocking":
        raise NotImplementedHere("the log option mode=non-blocking is not implemented yet")
    if mode != "blocking":
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        raise InvalidParameter("logger: max-buffer-size option is only supported with 'mode=non-blocking'")


def _max_files(options: Mapping[str, str], max_size: int) -> int:
    text = options.get("max-file", "1")
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax') from error
    if number < 1:
        raise InvalidParameter("max-file cannot be less than 1")
    if number > 1 and max_size < 0:
        raise InvalidParameter("max-file must be set with max-size")
    return number
