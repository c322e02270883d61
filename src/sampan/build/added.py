"""What ADD's sources are: paths in the context, URLs, git repositories."""

import re
from collections.abc import Sequence

from sampan.build.operations import GitSource, UrlSource
from sampan.dockerfile.faults import DockerfileError, Range, quoted

_GIT = re.compile(
    r"(?:(?:git|ssh)://[^#]+|https?://[^#?]+\.git/?|[\w.\-]+@[\w.\-]+:[^#]+)(?:#(?P<fragment>.*))?", re.ASCII
)


def remote_source(path: str, checksum: str, keep_git_dir: bool, at: Range) -> UrlSource | GitSource | None:
    """The remote that a source of ADD is; None for a path in the context. Raises DockerfileError."""
    match = _GIT.fullmatch(path)
    if match is not None:
        repository = path.partition("#")[0]
        reference, _, directory = (match["fragment"] or "").partition(":")
        # git would read it as an option (CVE-2019-13139), or leave the checkout (CVE-2026-33748).
        if reference.startswith("-") or ".." in directory.split("/"):
            raise DockerfileError(f"invalid git reference {quoted(match['fragment'] or '')}", at)
        return GitSource(
            repository=repository,
            reference=reference,
            directory=directory,
            checksum=checksum,
            keep_git_dir=keep_git_dir,
        )
    if path.startswith(("http://", "https://")):
        return UrlSource(url=path, checksum=checksum)
    return None


def is_git(text: str) -> bool:
    """Whether a text is the address of a git repository."""
    return _GIT.fullmatch(text) is not None


def check_checksum(checksum: str, sources: int, remotes: Sequence[UrlSource | GitSource], at: Range) -> None:
    """A checksum says what one remote is. Raises DockerfileError."""
    if not checksum:
        return
    if sources != 1:
        raise DockerfileError("checksum can't be specified for multiple sources", at)
    if not remotes:
        raise DockerfileError("checksum can't be specified for local sources", at)
    if isinstance(remotes[0], UrlSource) and re.fullmatch(r"sha256:[0-9a-f]{64}", checksum) is None:
        raise DockerfileError(f"invalid checksum {quoted(checksum)}: must be sha256 and 64 hexadecimal digits", at)
