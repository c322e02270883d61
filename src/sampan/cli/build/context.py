"""What a build is made from: the word of the command line and `--file` become a Dockerfile's place and a body to send.

PATH            the directory, packed; the Dockerfile in it, or from elsewhere (-f) put beside it under a name of its own
-               standard input: a tar as it comes, or the text of a Dockerfile
URL, git        the daemon's to fetch: nothing is sent
"""

from __future__ import annotations

import os
import stat
import sys

from sampan.cli.build.packing import Directory, Document
from sampan.cli.failures import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sampan.cli.build.stamp import Described
    from sampan.dockerfile.ignore import Ignore

SIZE_LIMIT = 4 * 1024 * 1024
"""Of a Dockerfile and of an ignore file, as the daemon has it."""
_DEFAULT = "Dockerfile"
_REMOTE = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")
_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_BLOCK = 512


class Context:
    """What is built. Exactly one of `remote`, `archive` and `parts` says where the files are.

    `file` is the Dockerfile's path in the context, `shown` what messages call it, `text` its text, where this side knows it.
    """

    def __init__(
        self,
        file: str,
        shown: str = _DEFAULT,
        text: str = "",
        remote: str = "",
        archive: Iterator[bytes] | None = None,
        parts: Sequence[Described] = (),
    ) -> None:
        self.file = file
        self.shown = shown
        self.text = text
        self.remote = remote
        self.archive = archive
        self.parts = parts


def open_context(word: str, file: str, prefix: str = "") -> Context:
    """The context that the command names. `prefix` goes before the names of all members. Exit 1 for what cannot be read."""
    if word == "-":
        if file == "-":
            raise Exit(1, "invalid argument: can't use stdin for both build context and dockerfile")
        return _from_stdin(file, prefix)
    if word.startswith(_REMOTE):
        if file == "-":
            raise Exit(1, "invalid argument: a Dockerfile from standard input needs a directory as its context")
        if prefix:
            raise Exit(1, "invalid argument: a remote context goes with no local --build-context or large secret")
        return Context(file, shown=file or _DEFAULT, remote=word)
    return _from_directory(word, file, prefix)


def _from_stdin(file: str, prefix: str) -> Context:
    head = _read_some(_BLOCK)
    if not head:
        raise Exit(1, "ERROR: no build context on standard input")
    if not _is_archive(head):
        text = head + _read_some(SIZE_LIMIT + 1 - len(head))
        _check_size(len(text), "the Dockerfile on standard input")
        return Context(_DEFAULT, text=str(text, "utf-8", "replace"), parts=[Document(prefix + _DEFAULT, text)])
    if prefix:
        raise Exit(
            1, "invalid argument: a context from standard input goes with no local --build-context or large secret"
        )
    return Context(file or _DEFAULT, shown=file or _DEFAULT, archive=_rest(head))


def _is_archive(head: bytes) -> bool:
    return head.startswith(_ARCHIVES) or head[257:262] == b"ustar"


def _read_some(size: int) -> bytes:
    """`size` bytes of standard input, fewer only at its end."""
    return sys.stdin.buffer.read(size)


def _rest(head: bytes) -> Iterator[bytes]:
    yield head
    while data := sys.stdin.buffer.read(256 * 1024):
        yield data


def _from_directory(word: str, file: str, prefix: str) -> Context:
    root = os.path.realpath(word)
    if not os.path.isdir(root):
        raise Exit(1, f"ERROR: unable to prepare context: path {_quoted(word)} {_why_no_directory(root)}")
    path = file or default_file(word)
    text = sys.stdin.buffer.read(SIZE_LIMIT + 1) if path == "-" else read_limited(path, "the Dockerfile")
    _check_size(len(text), "the Dockerfile")
    shown = _DEFAULT if path == "-" else os.path.basename(path)
    known = str(text, "utf-8", "replace")
    found = find_ignore(word, path)
    rules = read_limited(found, found) if found else b""
    ignore = compiled(found, rules)
    inside = "" if path == "-" else _inside(root, path)
    if inside:
        kept = [inside, *([own] if (own := _inside(root, found)) else [])]
        return Context(inside, shown, known, parts=[Directory(root, ignore, kept, prefix)])
    name = f".dockerfile.{_digest(text)}"
    hidden = rules + f"\n/{name}\n/{name}.dockerignore\n".encode()
    beside = [Document(prefix + name, text), Document(f"{prefix}{name}.dockerignore", hidden)]
    return Context(name, shown, known, parts=[*beside, Directory(root, ignore, (), prefix)])


def default_file(context: str) -> str:
    """PATH/Dockerfile, or PATH/dockerfile where only that is there."""
    path = os.path.join(context, _DEFAULT)
    lower = os.path.join(context, _DEFAULT.lower())
    return lower if not os.path.lexists(path) and os.path.lexists(lower) else path


def find_ignore(context: str, file: str) -> str:
    """The ignore file that counts: the Dockerfile's own beside it, else the context's; "" for none."""
    paths = ([] if file == "-" else [f"{file}.dockerignore"]) + [os.path.join(context, ".dockerignore")]
    return next((path for path in paths if os.path.isfile(path)), "")


def compiled(path: str, rules: bytes) -> Ignore | None:
    """The patterns of an ignore file. Exit 1 for a malformed one."""
    if not rules.strip():
        return None
    from sampan.dockerfile.ignore import BadIgnore, Ignore, read_patterns

    try:
        return Ignore(read_patterns(str(rules, "utf-8", "replace")))
    except BadIgnore as error:
        raise Exit(1, f"ERROR: {path}: {error}") from error


def ignore_of(directory: str) -> Ignore | None:
    """The patterns of a named context. Exit 1 where they cannot be read."""
    path = os.path.join(directory, ".dockerignore")
    return compiled(path, read_limited(path, path)) if os.path.isfile(path) else None


def _inside(root: str, path: str) -> str:
    """The path of a regular file in the directory `root`, "" for one that is not in it, be it by a link."""
    real = os.path.realpath(path)
    if not path or os.path.commonpath((root, real)) != root or not stat.S_ISREG(os.stat(real).st_mode):
        return ""
    return os.path.relpath(real, root)


def read_limited(path: str, what: str) -> bytes:
    """The bytes of a small file. Exit 1 where it cannot be read, or is not small."""
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Exit(1, f"ERROR: failed to read dockerfile: open {path}: {(error.strerror or '').lower()}") from error
    _check_size(len(data), what)
    return data


def _check_size(size: int, what: str) -> None:
    if size > SIZE_LIMIT:
        raise Exit(1, f"ERROR: {what} is larger than {SIZE_LIMIT} bytes")


def _digest(text: bytes) -> str:
    from hashlib import sha256

    return sha256(text).hexdigest()[:20]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _why_no_directory(path: str) -> str:
    return "is not a directory" if os.path.lexists(path) else "not found"
