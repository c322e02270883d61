"""How single settings are written: sizes, limits, pools and lists, on the command line as text and in daemon.json as JSON."""

import ipaddress

import msgspec

from sampan.errors import InvalidParameter

_SUFFIXES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


class Ulimit(msgspec.Struct, frozen=True):
    """A resource limit by its short name (`nofile`); -1 is unlimited."""

    name: str
    soft: int
    hard: int


def switch(values: dict[str, object], key: str, *, default: bool = False) -> bool:
    """A yes or no."""
    return bool(values.get(key, default))


def decimal(values: dict[str, object], key: str, default: int) -> int:
    """A whole number that is not negative."""
    value = values.get(key, default)
    try:
        number = int(str(value))
    except ValueError as error:
        raise InvalidParameter(
            f'invalid argument "{value}" for "--{key}" flag: strconv.ParseInt: parsing "{value}": invalid syntax'
        ) from error
    if number < 0:
        raise InvalidParameter(f"invalid {key}: {number}: it cannot be negative")
    return number


def size(values: dict[str, object], key: str, default: int) -> int:
    """Bytes: a number, or text with a unit (`64m`, `1GB`, `512 KiB`)."""
    value = values.get(key, default)
    if isinstance(value, int):
        return value
    return parse_size(str(value))


def parse_size(text: str) -> int:
    """`text` in bytes, units in powers of 1024, as Docker's command reads memory. Raises InvalidParameter."""
    lowered = text.strip().lower()
    digits = lowered.rstrip("bkmgtpi ")
    unit = lowered[len(digits) :].strip().removesuffix("b").removesuffix("i")
    try:
        number = float(digits)
        factor = _SUFFIXES[unit]
    except (ValueError, KeyError) as error:
        raise InvalidParameter(f"invalid size: '{text}'") from error
    if not 0 <= number < 1 << 63:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(number * factor)


def listing(values: dict[str, object], key: str) -> tuple[str, ...]:
    """A list of words."""
    value = values.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidParameter(f"invalid {key}: a list of strings is expected")
    return tuple(value)


def mapping(values: dict[str, object], key: str) -> dict[str, str]:
    """Words by name: `name=value` on the command line, an object of strings in the file."""
    value = values.get(key, {})
    if isinstance(value, list):
        return {name: setting for name, _, setting in (str(entry).partition("=") for entry in value)}
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise InvalidParameter(f"invalid {key}: an object of strings is expected")
    return {str(name): str(setting) for name, setting in value.items()}


def pools(values: dict[str, object], key: str) -> list[tuple[str, int]]:
    """Address pools as (CIDR, bits of each network)."""
    value = values.get(key, [])
    assert isinstance(value, list)
    return [_pool(entry) for entry in value]


def _pool(entry: object) -> tuple[str, int]:
    if isinstance(entry, str):
        fields = dict(part.split("=", 1) for part in entry.split(",") if "=" in part)
    elif isinstance(entry, dict):
        fields = {str(name): str(setting) for name, setting in entry.items()}
    else:
        fields = {}
    try:
        if set(fields) != {"base", "size"}:
            raise ValueError("base and size are needed")
        network = ipaddress.ip_network(fields["base"], strict=False)
        bits = int(fields["size"])
        if not network.prefixlen <= bits <= network.max_prefixlen:
            raise ValueError(f"the pool has {network.prefixlen} bits, its networks {bits}")
    except ValueError as error:
        raise InvalidParameter(f"invalid default address pool {entry}: {error}") from error
    return str(network), bits


def ulimits(values: dict[str, object], key: str) -> tuple[Ulimit, ...]:
    """Resource limits: `nofile=1024:2048`, or `{"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}}`."""
    value = values.get(key, [])
    if isinstance(value, list):
        return tuple(parse_ulimit(str(entry)) for entry in value)
    if not isinstance(value, dict):
        raise InvalidParameter(f"invalid {key}: an object is expected")
    found = []
    for name, limit in value.items():
        try:
            found.append(msgspec.convert({"name": name, **_lowered(limit)}, Ulimit))
        except msgspec.ValidationError as error:
            raise InvalidParameter(f"invalid {key}: {name}: {error}") from error
    return tuple(found)


def _lowered(limit: object) -> dict[str, object]:
    if not isinstance(limit, dict):
        raise InvalidParameter("invalid default-ulimits: an object of objects is expected")
    return {str(key).lower(): value for key, value in limit.items()}


def parse_ulimit(text: str) -> Ulimit:
    """One limit as the command line has it. Raises InvalidParameter in Docker's wording."""
    name, equals, bounds = text.partition("=")
    if not equals:
        raise InvalidParameter(f"invalid ulimit argument: {text}")
    soft, colon, hard = bounds.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError as error:
        raise InvalidParameter(f"invalid ulimit argument: {text}") from error
    if high >= 0 and (low < 0 or low > high):
        raise InvalidParameter(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    return Ulimit(name, low, high)


def address(text: str, key: str) -> str:
    """An IP address in its usual form."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError as error:
        raise InvalidParameter(f"{text} is not an ip address ({key})") from error


def user_pool(text: str) -> str:
    """`userns-pool`, as it is kept: a user's name, or FIRST:COUNT with both in range. Raises InvalidParameter."""
    first, colon, count = text.partition(":")
    if colon and not (
        first.isdecimal() and count.isdecimal() and int(first) > 0 and 0 < int(count) < 2**32 - int(first)
    ):
        raise InvalidParameter(
            f'invalid userns-pool: "{text}": it is a user of /etc/subuid and /etc/subgid, or FIRST:COUNT'
        )
    return text
