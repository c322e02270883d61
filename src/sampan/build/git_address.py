"""Addresses of git repositories as BuildKit reads them: `URL#REFERENCE:DIRECTORY`, and `URL?ref=…&subdir=…`. Pure."""

import re
from urllib.parse import parse_qsl

from sampan.build.operations import GitSource
from sampan.errors import InvalidParameter, NotImplementedHere

_GIT = re.compile(
    r"(?P<repository>(?:git|ssh)://[^#?]+|https?://[^#?]+\.git/?|[\w.\-]+@[\w.\-]+:[^#?]+)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.ASCII,
)
_YES, _NO = ("1", "t", "T", "true", "True", "TRUE", ""), ("0", "f", "F", "false", "False", "FALSE")
_KNOWN = ("ref", "tag", "branch", "subdir", "checksum", "commit", "keep-git-dir", "submodules", "mtime")
_MAY_BE_EMPTY = ("keep-git-dir", "submodules")


class BadAddress(InvalidParameter):
    """It is the address of a repository, but says nonsense of it."""


def git_address(text: str) -> GitSource | None:
    """What the address asks for; None for a text that is the address of no repository. Raises BadAddress, NotImplementedHere."""
    match = _GIT.fullmatch(text)
    if match is None:
        return None
    reference, _, directory = (match["fragment"] or "").partition(":")
    query = _query(match["query"] or "")
    reference = _one("ref", reference, query.get("ref", ""))
    tag, branch = query.get("tag", ""), query.get("branch", "")
    if tag and branch:
        raise BadAddress("branch conflicts with tag")
    if tag:
        reference = _one("ref", reference, f"refs/tags/{tag.removeprefix('refs/tags/')}")
    if branch:
        reference = _one("ref", reference, f"refs/heads/{branch.removeprefix('refs/heads/')}")
    directory = _one("subdir", directory, query.get("subdir", ""))
    # git would read it as an option (CVE-2019-13139), or leave the checkout (CVE-2026-33748).
    if reference.startswith("-") or ".." in directory.split("/"):
        raise BadAddress(f"invalid git reference {(match['fragment'] or match['query'] or '')[:200]!r}")
    if query.get("mtime", "commit") != "commit":
        raise NotImplementedHere(
            "not implemented by Sampan yet: git sources with mtime=checkout: all times are the commit's"
        )
    return GitSource(
        repository=match["repository"],
        reference=reference,
        directory=directory,
        checksum=_one("checksum", query.get("checksum", ""), query.get("commit", "")),
        keep_git_dir=_truth("keep-git-dir", query["keep-git-dir"]) if "keep-git-dir" in query else False,
        submodules=_truth("submodules", query["submodules"]) if "submodules" in query else True,
    )


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in _KNOWN:
            raise BadAddress(f"unexpected query {name[:100]!r}")
        if name in found:
            raise BadAddress(f"query {name!r} has multiple values")
        if not value and name not in _MAY_BE_EMPTY:
            raise BadAddress(f"query {name!r} has no value")
        found[name] = value
    return found


def _one(name: str, first: str, second: str) -> str:
    if first and second and first != second:
        raise BadAddress(f"{name} conflicts: {first[:200]!r} vs {second[:200]!r}")
    return first or second


def _truth(name: str, value: str) -> bool:
    if value not in (*_YES, *_NO):
        raise BadAddress(f"invalid {name} value: {value[:100]!r}")
    return value in _YES
