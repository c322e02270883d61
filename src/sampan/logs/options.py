"""A container's log driver and its options, judged in Docker's words. Pure.

Unlike Docker's, a log without options is bounded: a container that talks for months must not fill the disk.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sampan.errors import InvalidParameter
from sampan.logs.attributes import TEXT_OPTIONS, patterns
from sampan.logs.shipped_options import check_shipped

DEFAULT_BYTES = 100_000_000
"""all files of a log together, where neither max-size nor max-file is given"""
DEFAULT_FILES = 5
DEFAULT_BUFFER = 1_000_000
"""Docker's max-buffer-size"""

SHIPPED = ("fluentd", "gelf", "journald", "syslog")
"""drivers whose log is written here as `local` writes it, and sent on from there"""
DRIVERS = tuple(sorted(("json-file", "local", "none", *SHIPPED)))
"""every log driver there is"""

_BOUNDS = frozenset(("max-size", "max-file", "compress"))
_EVERYWHERE = frozenset(("mode", "max-buffer-size"))
_COPY = "cache-"
"""Docker's prefix for the bounds of the local copy of what is shipped."""
_COPY_OPTIONS = frozenset(_COPY + name for name in ("disabled", *_BOUNDS))
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`max_size` in bytes for each of `max_files` files; -1 is without bound.

    `compress` packs files that were renamed away; `buffer` is the bytes between program and log in non-blocking mode, -1 for
    none; `readable` is false where clients are not to read the log.
    """

    driver: str
    max_size: int = -1
    max_files: int = 1
    compress: bool = False
    buffer: int = -1
    readable: bool = True

    @property
    def writes(self) -> bool:
        """Whether anything is written at all."""
        return self.driver != "none"

    def path(self, directory: str, container: str) -> str:
        """Where the log of a container lies, below its directory: Docker's names. The name tells a reader the format."""
        if self.driver == "json-file":
            return f"{directory}/{container}-json.log"
        return (
            f"{directory}/local-logs/container.log" if self.driver == "local" else f"{directory}/container-cached.log"
        )


def is_shipped(driver: str) -> bool:
    """Whether what is written here is sent on: by a driver of ours, or by one that is a plugin."""
    return driver in SHIPPED or driver not in DRIVERS


def parse(driver: str, options: Mapping[str, str], *, plugin: bool = False) -> LogSettings:
    """The settings of a container. Raises InvalidParameter in Docker's wording. The tag is judged where the container is known.

    `plugin`: a driver that is none of ours is a plugin, which judges its options itself.
    """
    if driver == "none":
        return LogSettings(driver, readable=False)
    buffer = _buffer(options)
    if driver not in DRIVERS and not plugin:
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered")
    own = {name: value for name, value in options.items() if name not in _EVERYWHERE}
    patterns(options)
    if driver == "json-file":
        _check_known(own, _BOUNDS | TEXT_OPTIONS, f"unknown log opt '%s' for {driver} log driver")
        size, files = _bounds(options)
        return LogSettings(driver, size, files, _compress(options, size, files), buffer)
    if driver == "local":
        _check_known(own, _BOUNDS | TEXT_OPTIONS, f"unknown log opt '%s' for log driver {driver}")
        return LogSettings(driver, *_local_bounds(options), buffer)
    if driver in DRIVERS:
        check_shipped(driver, {name: value for name, value in own.items() if name not in _COPY_OPTIONS})
    copy = {name.removeprefix(_COPY): value for name, value in options.items() if name in _COPY_OPTIONS}
    hidden = copy.get("disabled", "") or "false"
    if hidden not in _TRUTHS:
        raise InvalidParameter(f"invalid value for option cache-disabled: {hidden}")
    return LogSettings(driver, *_local_bounds(copy), buffer, not _TRUTHS[hidden])


def _check_known(options: Mapping[str, str], known: frozenset[str], words: str) -> None:
    for name in options:
        if name not in known:
            raise InvalidParameter(words % name)


def _buffer(options: Mapping[str, str]) -> int:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options and mode != "non-blocking":
        raise InvalidParameter("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    if mode != "non-blocking":
        return -1
    if "max-buffer-size" not in options:
        return DEFAULT_BUFFER
    try:
        return _scaled(options["max-buffer-size"], 1024)
    except InvalidParameter as error:
        raise InvalidParameter(f"error parsing option max-buffer-size: {error}") from error


def _bounds(options: Mapping[str, str]) -> tuple[int, int]:
    """Docker's defaults where one of the two is given: one file, no bound. A max-file alone divides our own bound."""
    files = _number(options["max-file"]) if "max-file" in options else None
    if files is not None and files < 1:
        raise InvalidParameter("max-file cannot be less than 1")
    if "max-size" in options:
        return _size(options["max-size"]), files or 1
    files = files or DEFAULT_FILES
    return max(DEFAULT_BYTES // files, 1), files


def _local_bounds(options: Mapping[str, str]) -> tuple[int, int, bool]:
    """Size, files and compression of the driver local: always bounded, packed by default, as in Docker."""
    size, files = DEFAULT_BYTES // DEFAULT_FILES, DEFAULT_FILES
    if "max-size" in options:
        try:
            size = max(_scaled(options["max-size"], 1000), 1)
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid value for max-size: {options['max-size']}: {error}") from error
    if "max-file" in options:
        try:
            files = _number(options["max-file"])
        except InvalidParameter as error:
            raise InvalidParameter(f"invalid value for max-file: {options['max-file']}: {error}") from error
    if files < 0:
        raise InvalidParameter("max-file must not be negative")
    text = options.get("compress", "true")
    if text not in _TRUTHS:
        raise InvalidParameter(
            f'invalid boolean value for compress: strconv.ParseBool: parsing "{text}": invalid syntax'
        )
    if _TRUTHS[text] and files <= 1:
        raise InvalidParameter("compression cannot be enabled when max file count is 1")
    return size, max(files, 1), _TRUTHS[text]


def _size(text: str) -> int:
    """Bytes of json-file's max-size; -1, Docker's documented default, is without bound."""
    if text == "-1":
        return -1
    size = _scaled(text, 1000)
    if not 0 < size < 1 << 63:
        raise InvalidParameter("max-size must be a positive number")
    return size


def _scaled(text: str, base: int) -> int:
    """Bytes, units in powers of `base` (go-units' FromHumanSize has 1000, RAMInBytes 1024)."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(float(match[1]) * base ** _POWERS[match[2].lower()])


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise InvalidParameter(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _compress(options: Mapping[str, str], size: int, files: int) -> bool:
    text = options.get("compress", "false")
    if text not in _TRUTHS:
        raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    if _TRUTHS[text] and (files < 2 or size == -1):
        raise InvalidParameter("compress cannot be true when max-file is less than 2 or max-size is not set")
    return _TRUTHS[text]
