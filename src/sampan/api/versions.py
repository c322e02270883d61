"""API versions: what is spoken, how a path names one, and Docker's words for those outside."""

from sampan.errors import InvalidParameter

Version = tuple[int, ...]
"""`(1, 51)`: compares as versions do."""

MINIMUM: Version = (1, 24)
MAXIMUM: Version = (1, 51)

_KNOWN: dict[str, Version] = {f"1.{minor}": (1, minor) for minor in range(MINIMUM[1], MAXIMUM[1] + 1)}


class TooOld(InvalidParameter):
    """A client from before errors were JSON: it expects text, and prints JSON as it stands."""


def text(version: Version) -> str:
    """`1.51`."""
    return ".".join(map(str, version))


def split_version(path: str) -> tuple[str | None, str]:
    """`/v1.51/info` → `("1.51", "/info")`; `(None, path)` where the path names no version."""
    if not path.startswith("/v"):
        return None, path
    number, slash, rest = path[2:].partition("/")
    if not slash or not number or number.strip("0123456789."):
        return None, path
    return number, "/" + rest


def parse_version(number: str | None) -> Version:
    """The version to speak; the newest where the path names none. Raises InvalidParameter in Docker's words."""
    if number is None:
        return MAXIMUM
    known = _KNOWN.get(number)
    if known is not None:
        return known
    version = tuple(int(part) if part else 0 for part in number[:64].split("."))
    if version < MINIMUM:
        raise TooOld(
            f"client version {number} is too old. Minimum supported API version is {text(MINIMUM)}, "
            "please upgrade your client to a newer version"
        )
    if version > MAXIMUM:
        raise InvalidParameter(f"client version {number} is too new. Maximum supported API version is {text(MAXIMUM)}")
    return version
