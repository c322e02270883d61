"""The program's environment: what the image says, what the request says, what every container gets. Pure."""

from collections.abc import Iterable, Sequence

from sampan.errors import InvalidParameter

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check(entries: Iterable[str]) -> None:
    """Refuse an entry without a name. Raises InvalidParameter in Docker's wording."""
    for entry in entries:
        if not entry.partition("=")[0]:
            raise InvalidParameter(f"invalid environment variable: {entry}")
        if "\0" in entry:
            raise InvalidParameter(f"invalid environment variable: {entry.partition('=')[0]}: contains a NUL")


def merged_with_image(requested: Sequence[str], image: Sequence[str]) -> tuple[str, ...]:
    """At create: the request's entries, then the image's whose names the request does not have."""
    if not requested:
        return tuple(image)
    names = {entry.partition("=")[0] for entry in requested}
    return (*requested, *(entry for entry in image if entry.partition("=")[0] not in names))


def replaced(base: Sequence[str], overrides: Iterable[str]) -> tuple[str, ...]:
    """`base` with `overrides` put in the place of entries of the same name, or at the end. A bare name unsets."""
    result: list[str | None] = list(base)
    places = {entry.partition("=")[0]: index for index, entry in enumerate(base)}
    for entry in overrides:
        name, equals, _ = entry.partition("=")
        place = places.get(name)
        if not equals:
            if place is not None:
                result[place] = None
        elif place is not None:
            result[place] = entry
        else:
            places[name] = len(result)
            result.append(entry)
    return tuple(entry for entry in result if entry is not None)


def of_program(configured: Sequence[str], hostname: str, *, tty: bool, linked: Sequence[str] = ()) -> tuple[str, ...]:
    """At start: PATH and HOSTNAME, TERM on a terminal, what links tell, then everything that was configured."""
    base = [DEFAULT_PATH, f"HOSTNAME={hostname}"]
    if tty:
        base.append("TERM=xterm")
    return replaced([*base, *linked], configured)
