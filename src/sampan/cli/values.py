"""How the text of an option becomes a value. Each converter raises ValueError in the words of Docker's own parser.

Kinds whose parsing takes more than a few lines live with what they describe and are loaded when such an option is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sampan.client.documents import Json

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


def truth(text: str) -> bool:
    """A bool as Go's strconv reads it."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _integer(text: str, low: int, high: int, function: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") and low < 0 else text
    base = 10
    if digits[:2].lower() in ("0x", "0o", "0b"):
        base = {"x": 16, "o": 8, "b": 2}[digits[1].lower()]
    try:
        if not digits.isascii() or not digits.isalnum():  # int() takes blanks and underscores
            raise ValueError
        number = int(digits, base)
    except ValueError:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax') from None
    if text.startswith("-"):
        number = -number
    if not low <= number <= high:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return number


def integer(text: str) -> int:
    """A signed 64-bit number; 0x, 0o and 0b prefixes count, as in Go."""
    return _integer(text, -(2**63), 2**63 - 1, "ParseInt")


def unsigned16(text: str) -> int:
    """0 to 65535."""
    return _integer(text, 0, 65535, "ParseUint")


def unsigned64(text: str) -> int:
    """0 to 2⁶⁴-1."""
    return _integer(text, 0, 2**64 - 1, "ParseUint")


def ram_bytes(text: str) -> int:
    """A size in bytes from "512m", "1.5GB", "10 KiB": powers of 1024, as go-units' RAMInBytes."""
    from sampan.spec import sizes

    return sizes.ram_bytes(text)


def swap_bytes(text: str) -> int:
    """A size, or -1 for no limit."""
    return -1 if text == "-1" else ram_bytes(text)


def nano_cpus(text: str) -> int:
    """A number of CPUs in 10⁻⁹ units, exact: more than nine decimals are refused."""
    whole, _, part = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    whole = whole.lstrip("+-")
    if not (whole + part).isdigit() or not (whole + part).isascii():
        raise ValueError(f"failed to parse {text} as a rational number")
    if len(part.rstrip("0")) > 9:
        raise ValueError("value is too precise")
    return sign * (int(whole or "0") * 10**9 + int((part + "0" * 9)[:9]))


_DURATION_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip


def duration(text: str) -> int:
    """Nanoseconds from Go's notation ("1m30s", "1.5h", "300ms")."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total = 0.0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        end = 0
        while end < len(rest) and rest[end] in ".0123456789":
            end += 1
        number, rest = rest[:end], rest[end:]
        end = 0
        while end < len(rest) and rest[end] not in ".0123456789":
            end += 1
        unit, rest = rest[:end], rest[end:]
        if not number or number.count(".") > 1 or number == ".":
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _DURATION_UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _DURATION_UNITS[unit]
    return int(-total if text.startswith("-") else total)


def _verbatim(text: str) -> str:
    return text


def attach_stream(text: str) -> str:
    """stdin, stdout or stderr, in any case of letters."""
    if text.lower() in ("stdin", "stdout", "stderr"):
        return text.lower()
    raise ValueError("valid streams are STDIN, STDOUT and STDERR")


def filter_pair(text: str) -> str:
    """KEY=VALUE; the key in lower case without blanks around it."""
    if not text:
        return text
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return f"{key.strip().lower()}={value.strip()}"


def assignment(text: str) -> str:
    """KEY=VALUE or KEY; the key not empty."""
    if text.startswith("=") or not text:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def network(text: str) -> Json:
    """One --network. A bare name is the common case, and the code for name=…,alias=… stays unloaded."""
    if "=" not in text:
        return {"Target": text}
    from sampan.cli.create.networking import attachment

    return attachment(text)


def comma_list(text: str) -> list[str]:
    """Values with commas between them (pflag's stringSlice)."""
    return text.split(",") if text else []


CONVERTERS: dict[str, Callable[[str], Json]] = {
    "assignment": assignment,
    "attach": attach_stream,
    "bool": truth,
    "bytes": ram_bytes,
    "decimal": nano_cpus,
    "duration": duration,
    "filter": filter_pair,
    "int": integer,
    "network": network,
    "swap": swap_bytes,
    "uint": unsigned64,
    "uint16": unsigned16,
}
_ELSEWHERE = {
    "add-host": ("sampan.cli.create.networking", "host_entry"),
    "context-endpoint": ("sampan.cli.contexts.endpoint", "settings"),
    "blkio-device": ("sampan.cli.create.limits", "weight_device"),
    "cgroup-conf": ("sampan.cli.create.limits", "cgroup_conf"),
    "device-bps": ("sampan.cli.create.limits", "throttle_bytes"),
    "device-iops": ("sampan.cli.create.limits", "throttle_operations"),
    "device-rule": ("sampan.cli.create.limits", "device_rule"),
    "dns": ("sampan.cli.create.networking", "name_server"),
    "dns-search": ("sampan.cli.create.networking", "search_domain"),
    "gpu-request": ("sampan.cli.create.devices", "gpu_request"),
    "ip": ("sampan.cli.create.networking", "any_address"),
    "label": ("sampan.cli.create.environment", "label"),
    "link": ("sampan.cli.create.networking", "link"),
    "mount": ("sampan.cli.create.mounts", "mount"),
    "sysctl": ("sampan.cli.create.limits", "sysctl"),
    "ulimit": ("sampan.cli.create.limits", "ulimit"),
}


def convert(kind: str, text: str) -> Json:
    """`text` as a value of `kind`; a kind without a converter stays text. ValueError says what is wrong with it."""
    function = CONVERTERS.get(kind)
    if function is None:
        if kind == "strings":
            return [*comma_list(text)]
        place = _ELSEWHERE.get(kind)
        if place is None:
            return _verbatim(text)
        function = getattr(__import__(place[0], fromlist=[place[1]]), place[1])
        assert callable(function)
    return function(text)
