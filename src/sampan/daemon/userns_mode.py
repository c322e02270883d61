"""`HostConfig.UsernsMode` as it is written: Docker's `host`, Podman's `auto`, `keep-id` and `nomap`, and explicit maps. Pure.

""                                 as the daemon's userns-remap says
host                               the host's users
auto                               a range of its own from the daemon's pool; size=N, uidmapping=C:H:N, gidmapping=C:H:N
keep-id                            the same, and in it the caller; uid=N, gid=N say as whom; size=N
nomap                              the same, without the caller; size=N
container:NAME                     those of another container, whose namespaces it may then share
private:uidmapping=C:H:N,…         these maps, Sampan's way to say --uidmap and --gidmap
"""

from dataclasses import dataclass
from typing import Literal

from sampan.errors import InvalidParameter
from sampan.spec.host_config import HostConfig
from sampan.spec.user_maps import Rows

_FULL = 65536
"""Users of a container unless its size is said: what images count on."""
_MOST_ROWS = 340
"""The kernel's, user_namespaces(7)."""
_IDS = 2**32 - 1
_DIGITS = 20
_OPTIONS = {
    "auto": ("size", "uidmapping", "gidmapping"),
    "keep-id": ("uid", "gid", "size"),
    "nomap": ("size",),
    "private": ("uidmapping", "gidmapping"),
}

ANNOTATION = "sampan.userns"
"""As `docker run --annotation sampan.userns=auto` sends it."""

Kind = Literal["default", "host", "auto", "keep-id", "nomap", "private", "container"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A mode. `uid` and `gid` are what the caller is to be called inside, None: what it is outside."""

    kind: Kind
    size: int = _FULL
    uid: int | None = None
    gid: int | None = None
    uids: Rows = ()
    gids: Rows = ()
    donor: str = ""


def asked(host: HostConfig) -> Asked:
    """The mode of a container. Docker's own command takes no other than `host`: an annotation says what it does not.

    Raises InvalidParameter.
    """
    return parse(host.userns_mode or (host.annotations or {}).get(ANNOTATION, ""))


def parse(text: str) -> Asked:
    """The mode that `text` means. Raises InvalidParameter."""
    if text in ("", "host"):
        return Asked("host" if text else "default")
    name, _, rest = text.partition(":")
    if name == "container" and rest:
        return Asked("container", donor=rest)
    known = _OPTIONS.get(name)
    if known is None:
        raise InvalidParameter(f"invalid userns mode: {text}")
    numbers: dict[str, int] = {}
    rows: dict[str, list[tuple[int, int, int]]] = {"uidmapping": [], "gidmapping": []}
    for option in rest.split(",") if rest else ():
        key, equals, value = option.partition("=")
        if key not in known or not equals:
            raise InvalidParameter(
                f"invalid userns mode: {text}: {name} has no option {option!r}, but {', '.join(known)}"
            )
        if key in rows:
            rows[key].append(_row(text, value))
        elif not _is_number(value) or not 0 < int(value) + (key != "size") <= _IDS:
            raise InvalidParameter(f"invalid userns mode: {text}: {key} is a number, not {value!r}")
        else:
            numbers[key] = int(value)
    uids, gids = tuple(rows["uidmapping"]), tuple(rows["gidmapping"])
    if name == "private":
        if not uids and not gids:
            raise InvalidParameter(f"invalid userns mode: {text}: private needs uidmapping=CONTAINER:HOST:SIZE")
        uids, gids = uids or gids, gids or uids
        check(uids, "uid")
        check(gids, "gid")
    kind: Kind = name  # type: ignore[assignment]  # one of the keys of _OPTIONS
    return Asked(kind, numbers.get("size", _FULL), numbers.get("uid"), numbers.get("gid"), uids, gids)


def _row(text: str, value: str) -> tuple[int, int, int]:
    parts = value.split(":")
    if len(parts) == 2:
        parts.append("1")
    if len(parts) != 3 or not all(map(_is_number, parts)) or max(map(int, parts)) > _IDS:
        raise InvalidParameter(f"invalid userns mode: {text}: a mapping is CONTAINER:HOST:SIZE, not {value!r}")
    first, host, count = map(int, parts)
    return first, host, count


def _is_number(text: str) -> bool:
    """Of so few digits that to read it costs nothing; Python refuses thousands with an error of its own."""
    return text.isdecimal() and len(text) <= _DIGITS


def check(rows: Rows, what: str) -> None:
    """Refuse a map that the kernel would not take, or without a root. Raises InvalidParameter."""
    if len(rows) > _MOST_ROWS:
        raise InvalidParameter(f"a map of {what}s has at most {_MOST_ROWS} lines, not {len(rows)}")
    for side, name in ((0, "in the container"), (1, "on the host")):
        end, last = 0, ""
        for row in sorted(rows, key=lambda row: row[side]):
            shown = f"{row[0]}:{row[1]}:{row[2]}"
            if row[2] < 1 or row[side] + row[2] > _IDS:
                raise InvalidParameter(f"the {what} mapping {shown} is out of range")
            if last and row[side] < end:
                raise InvalidParameter(f"the {what} mappings {last} and {shown} overlap {name}")
            end, last = row[side] + row[2], shown
    if not any(first == 0 for first, _, _ in rows):
        raise InvalidParameter(f"no {what} mapping has 0: a container needs a root")
