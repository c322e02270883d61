"""ADD of a git repository, and contexts from one: a commit is told, fetched shallowly, checked out, and its history forgotten.

    git_commit ──ls-remote──> the commit: what the key stands on       fetch_git ──fetch, checkout, submodules──> SourceTree

All times are the commit's, so that the same commit makes the same layer. As BuildKit's git source otherwise.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sampan.build.operations import GitSource
from sampan.build.tree.git_program import GitFailed, GitProgram, redacted
from sampan.build.tree.source import DirectoryTree, Origin
from sampan.errors import InvalidParameter
from sampan.files.remove import remove_tree
from sampan.files.walk import walk
from sampan.images.steps import Cancellation
from sampan.kernel.files import Resolve, openat2

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_CHECKSUM = re.compile(r"[0-9a-f]{7,64}")
_PLAIN = Resolve.BENEATH | Resolve.NO_SYMLINKS | Resolve.NO_XDEV
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_HERE = "refs/sampan/fetched"
_ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")


class BadGit(InvalidParameter):
    """The repository does not have what is asked of it, or is named in a way that git would take for something else."""


@dataclass(frozen=True, slots=True)
class Access:
    """How git is run for a build. `agent`: the socket of an ssh agent; `authorization`: HTTP's header, for the repository's server.

    Both are "" for none.
    """

    program: GitProgram
    agent: str = ""
    end: Cancellation | None = None
    authorization: str = ""

    def run(self, source: GitSource, arguments: Sequence[str], directory: int, what: str) -> bytes:
        """Run git; see `GitProgram.run`."""
        return self.program.run(arguments, directory, what, self.agent, self.end, self._header(source))

    def _header(self, source: GitSource) -> tuple[str, str] | None:
        """The server that gets the header, and the header: no other server does, wherever git is sent."""
        parts = urlsplit(source.repository)
        if not self.authorization or parts.scheme not in ("http", "https"):
            return None
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/", f"Authorization: {self.authorization}"


def git_commit(source: GitSource, access: Access, directory: int) -> str:
    """The id of the commit that the source means now: asked of the server, unless it is written out.

    `directory`: a descriptor of any directory, in which git is run. Raises BadGit, GitFailed, System, Cancelled.
    """
    _check_names(source)
    if _COMMIT.fullmatch(source.reference):
        return _checked(source, source.reference)
    reference = source.reference or "HEAD"
    what = f"failed to load cache key: repository {redacted(source.repository)}"
    told = access.run(source, ["ls-remote", "--", source.repository, reference, f"{reference}^{{}}"], directory, what)
    found = {}
    for line in told.decode("utf-8", "surrogateescape").splitlines():
        commit, _, name = line.partition("\t")
        if _COMMIT.fullmatch(commit):
            found[name] = commit
    for name in (reference, f"refs/heads/{reference}", f"refs/tags/{reference}", f"refs/{reference}"):
        if name in found:
            # An annotated tag is followed by what it is a tag of.
            return _checked(source, found.get(f"{name}^{{}}", found[name]))
    raise BadGit(f"repository does not contain ref {reference}, output: {told[:1000].decode('utf-8', 'replace')!r}")


def _check_names(source: GitSource) -> None:
    for text in (source.repository, source.reference):
        if text.startswith("-") or "\0" in text or "\n" in text:
            raise BadGit(f"invalid git reference {redacted(text)[:200]!r}")
    if source.checksum and _CHECKSUM.fullmatch(source.checksum) is None:
        raise BadGit(f"invalid checksum {source.checksum[:100]!r} for Git source, expected hex commit hash")


def _checked(source: GitSource, commit: str) -> str:
    if source.checksum and not commit.startswith(source.checksum):
        raise BadGit(f"expected checksum to match {source.checksum}, got {commit}")
    return commit


def fetch_git(source: GitSource, commit: str, access: Access, into: int) -> DirectoryTree:
    """The files of the commit (see `git_commit`), submodules among them, below the empty directory `into` (a descriptor).

    The tree's root is a descriptor of its own, to be closed by the caller. Raises BadGit, GitFailed, System, OSError, Cancelled.
    """
    _check_names(source)
    os.mkdir(b"tree", 0o755, dir_fd=into)
    place = "tree/.git" if source.keep_git_dir else "git"
    checkout = _Checkout(source, commit, access, into, place)
    checkout.fetch()
    checkout.check_out()
    moment = checkout.moment()
    if not source.keep_git_dir:
        remove_tree(into, b"git")
    root = _directory(into, b"tree")
    try:
        _clean(root, moment, source.keep_git_dir)
        if not source.directory.strip("/."):
            return DirectoryTree(root, redacted(source.repository), Origin.GIT)
        below = _subdirectory(root, source.directory)
    except BaseException:
        os.close(root)
        raise
    os.close(root)
    return DirectoryTree(below, redacted(source.repository), Origin.GIT)


class _Checkout:
    def __init__(self, source: GitSource, commit: str, access: Access, into: int, place: str) -> None:
        self._source = source
        self._commit = commit
        self._access = access
        self._into = into
        self._place = place

    def _git(self, *arguments: str, what: str = "", below: bytes = b"") -> bytes:
        directory = self._into if not below else _directory(self._into, below)
        up = "../" if below else ""
        try:
            return self._access.run(
                self._source,
                [f"--git-dir={up}{self._place}", f"--work-tree={up}tree", *arguments],
                directory,
                what or f"failed to fetch remote {redacted(self._source.repository)}",
            )
        finally:
            if below:
                os.close(directory)

    def fetch(self) -> None:
        """Bring the commit here, as little else as the server allows."""
        self._git("init", "--quiet", "--template=")
        self._git("remote", "add", "--", "origin", self._source.repository)
        reference = self._source.reference or "HEAD"
        wanted = [reference] if reference == self._commit else [reference, self._commit]
        failure: GitFailed | None = None
        for name in wanted:
            for depth in ("--depth=1",), ():
                failure = self._try_fetch(*depth, "--no-tags", "origin", "--", f"+{name}:{_HERE}") or failure
                if self._has_commit():
                    return
        # A server that gives no commit by its id (BuildKit's way, too): everything.
        failure = self._try_fetch("origin", "--", *_ALL) or failure
        if not self._has_commit():
            what = f"fetched ref {reference} does not match expected commit {self._commit}"
            raise failure or BadGit(f"{what} and commit can not be found in the repository")

    def _try_fetch(self, *arguments: str) -> GitFailed | None:
        try:
            self._git("fetch", "--quiet", "--no-recurse-submodules", *arguments)
        except GitFailed as error:
            return error
        return None

    def _has_commit(self) -> bool:
        try:
            self._git("cat-file", "-e", f"{self._commit}^{{commit}}")
        except GitFailed:
            return False
        return True

    def check_out(self) -> None:
        """The commit's files, and those of its submodules where they are wanted."""
        name = redacted(self._source.repository)
        self._git(
            "checkout", "--quiet", "--force", "--detach", self._commit, "--", what=f"failed to checkout remote {name}"
        )
        if not self._source.submodules:
            return
        try:
            modules = os.stat(b"tree/.gitmodules", dir_fd=self._into, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(modules.st_mode):
            return
        what = f"failed to update submodules for {name}"
        update = ("submodule", "--quiet", "update", "--init", "--recursive")
        try:
            self._git(*update, "--depth=1", what=what, below=b"tree")
        except GitFailed as error:
            if "shallow" not in error.said and "depth" not in error.said:
                raise
            self._git(*update, what=what, below=b"tree")

    def moment(self) -> int:
        """When the commit was made, in nanoseconds."""
        told = self._git("log", "-1", "--format=%ct", self._commit).decode("ascii", "replace").strip()
        return int(told) * 1_000_000_000 if told.isascii() and told.isdecimal() and len(told) < 11 else 0


def _directory(parent: int, path: bytes) -> int:
    return openat2(parent, path, _READABLE, _PLAIN)


def _subdirectory(root: int, path: str) -> int:
    try:
        return _directory(root, os.fsencode(path.strip("/")) or b".")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise BadGit(f"error setting git context, not a directory: {path}") from error
        raise


def _clean(root: int, moment: int, keep: bool) -> None:
    """Take out what only git needs, and give everything the commit's time."""
    places = [(path, name, status) for path, _, name, status in walk(root) if name == b".git" and not keep]
    for path, name, _ in places:
        parent = _directory(root, path.rpartition(b"/")[0] or b".")
        try:
            remove_tree(parent, name)
        finally:
            os.close(parent)
    directories = [b"."]
    for path, parent, name, status in walk(root):
        if stat.S_ISDIR(status.st_mode):
            directories.append(path)
        else:
            os.utime(name, ns=(moment, moment), dir_fd=parent, follow_symlinks=False)
    for path in reversed(directories):
        descriptor = _directory(root, path)
        try:
            os.utime(descriptor, ns=(moment, moment))
        finally:
            os.close(descriptor)
