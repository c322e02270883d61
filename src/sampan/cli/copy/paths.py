"""What the two arguments of `cp` mean: docker's rules about names, slashes and links. Pure, but for the local links."""

from __future__ import annotations

import os
import stat

from sampan.cli.failures import Exit


class CopyInfo:
    """One end of a copy. `rebase` is the name that the source is to have instead of its own, "" for none."""

    __slots__ = ("exists", "is_directory", "path", "rebase")

    def __init__(self, path: str, exists: bool, is_directory: bool, rebase: str = "") -> None:
        self.path = path
        self.exists = exists
        self.is_directory = is_directory
        self.rebase = rebase


def split_argument(text: str) -> tuple[str, str]:
    """CONTAINER:PATH in its two parts; a local path has no container. `./a:b` and `/a:b` are local."""
    container, colon, path = text.partition(":")
    if text.startswith("/") or not colon or container.startswith("."):
        return "", text
    return container, path


def base(path: str) -> str:
    """The last component as Go's filepath.Base has it: "." for nothing, "/" for slashes alone."""
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def clean(path: str) -> str:
    """`path` without `.`, `..` and doubled slashes, lexically."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def names_directory(path: str) -> bool:
    """Whether the path ends in `/` or `/.`, and so insists on a directory."""
    return path.endswith("/") or base(path) == "."


def with_ending(cleaned: str, original: str) -> str:
    """`cleaned` with the `/` or `/.` that `original` ended in."""
    if base(cleaned) != "." and base(original) == ".":
        cleaned += "." if cleaned.endswith("/") else "/."
    if not cleaned.endswith("/") and original.endswith("/"):
        cleaned += "/"
    return cleaned


def split_entry(path: str) -> tuple[str, str]:
    """Directory and last component; `a/.` is the entry `.` of the directory `a`."""
    cleaned = clean(path)
    if base(path) == ".":
        cleaned = cleaned.rstrip("/") + "/."
    directory, _, name = cleaned.rpartition("/")
    return directory or ("/" if cleaned.startswith("/") else "."), name or "/"


def rebased(path: str, resolved: str) -> tuple[str, str]:
    """Where a followed link leads, with the ending of `path`; and the name that the copy keeps, "" where it is the same."""
    resolved = with_ending(resolved, path)
    return resolved, base(path) if base(path) != base(resolved) else ""


def link_beside(path: str, target: str) -> str:
    """What a link at `path` with this target means."""
    return target if target.startswith("/") else os.path.join(split_entry(path)[0], target)


def local_source(path: str, follow: bool) -> CopyInfo:
    """The local end that is read. Exit 1 where nothing is there."""
    given = with_ending(os.path.abspath(path), path)
    try:
        if follow:
            resolved, rebase = rebased(given, os.path.realpath(given, strict=True))
        else:
            directory, _, name = given.rpartition("/")
            resolved = os.path.realpath(directory or "/", strict=True).rstrip("/") + "/" + name
            rebase = base(given) if given.endswith("/") and base(given) != base(resolved) else ""
        status = os.lstat(resolved)
    except OSError as error:
        raise Exit(1, f"lstat {given}: {(error.strerror or '').lower()}") from error
    return CopyInfo(resolved, True, stat.S_ISDIR(status.st_mode), rebase)


def local_target(path: str) -> CopyInfo:
    """The local end that is written to, links followed. Exit 1 where its directory is missing."""
    given = with_ending(os.path.abspath(path), path)
    directory = os.path.dirname(clean(given))
    if not os.path.exists(directory):
        raise Exit(1, f'invalid output path: directory "{directory}" does not exist')
    resolved = with_ending(os.path.realpath(given), given)
    try:
        status = os.stat(resolved.rstrip("/") or "/")
    except FileNotFoundError:
        if not os.path.isdir(split_entry(resolved)[0]):
            raise Exit(1, "not a directory") from None
        return CopyInfo(resolved, False, False)
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise Exit(1, f'invalid output path: "{given}" must be a directory or a regular file')
    return CopyInfo(resolved, True, stat.S_ISDIR(status.st_mode))


def arrange(source: CopyInfo, target: CopyInfo) -> tuple[str, str]:
    """The directory to unpack into, and the name that the source gets there; "" where it keeps its own. Exit 1 where they clash."""
    if target.exists and target.is_directory:
        return target.path, source.rebase
    if target.exists and source.is_directory:
        raise Exit(1, "cannot copy directory")
    if not target.exists and not source.is_directory and names_directory(target.path):
        raise Exit(1, "no such directory")
    return split_entry(target.path)
