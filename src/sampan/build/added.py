"""What ADD's sources are: paths in the context, URLs, git repositories."""

import re
from collections.abc import Sequence

import msgspec

from sampan.build.git_address import BadAddress, git_address
from sampan.build.operations import GitSource, UrlSource
from sampan.dockerfile.faults import DockerfileError, Range, quoted


def remote_source(path: str, checksum: str, keep_git_dir: bool, at: Range) -> UrlSource | GitSource | None:
    """The remote that a source of ADD is; None for a path in the context. Raises DockerfileError."""
    try:
        git = git_address(path)
    except BadAddress as error:
        raise DockerfileError(str(error), at) from error
    if git is not None:
        # What the instruction says itself goes before the address.
        return msgspec.structs.replace(
            git, checksum=checksum or git.checksum, keep_git_dir=keep_git_dir or git.keep_git_dir
        )
    if path.startswith(("http://", "https://")):
        return UrlSource(url=path, checksum=checksum)
    return None


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
