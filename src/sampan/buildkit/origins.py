"""Where a context comes from: the client's words for it, read. Pure.

    local:NAME   docker-image://REF   oci-layout://STORE@DIGEST   input:KEY   http(s)://…   git addresses, with #REF:DIR or ?ref=…

An input is a graph that names a source and nothing else (`definitions`); any other is refused there.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from sampan.build.git_address import git_address
from sampan.build.operations import GitSource
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.spec.ids import Digest, parse_digest

UPLOADS = "buildkit-session"
"""The host in URLs of what the client uploads itself: its standard input."""
MADE = "sampan-build"
"""The scheme of what another build of the same client made."""
_WEB = ("http://", "https://")
_SHOWN = 200


class Local(msgspec.Struct, frozen=True):
    """A directory of the session."""

    directory: str


class Image(msgspec.Struct, frozen=True):
    """An image by its reference; `scratch` for nothing."""

    reference: str


class Git(msgspec.Struct, frozen=True):
    """A commit of a repository, and the address as it was given."""

    source: GitSource
    address: str


class Web(msgspec.Struct, frozen=True):
    """What is behind a URL; `file` is its name where it is wanted as a file."""

    url: str
    file: str = "context"
    checksum: str = ""


class Upload(msgspec.Struct, frozen=True):
    """What the client sends when it is asked for this path."""

    path: str


class Layout(msgspec.Struct, frozen=True):
    """An image in one of the client's stores."""

    store: str
    digest: Digest


class Made(msgspec.Struct, frozen=True):
    """The result of another build that the client leads, by the reference that it was given for it."""

    reference: str


Origin = Local | Image | Git | Web | Upload | Layout | Made


def main_origin(text: str) -> Origin:
    """What the attribute `context` names. Raises InvalidParameter, NotImplementedHere."""
    if text.startswith("github.com/"):
        repository, mark, rest = text.partition("#")
        text = f"https://{repository.removesuffix('.git')}.git{mark}{rest}"
    source = git_address(text)
    if source is not None:
        return Git(source, text)
    if not text.startswith(_WEB):
        raise InvalidParameter(f"invalid context {text[:_SHOWN]!r}: neither a git repository nor a URL")
    parts = urlsplit(text)
    return Upload(parts.path) if parts.hostname == UPLOADS else Web(text)


def named_origin(name: str, text: str, inputs: Mapping[str, Origin]) -> Origin:
    """What a named context is. Raises InvalidParameter, NotImplementedHere."""
    kind, colon, rest = text.partition(":")
    source = git_address(text)
    if source is not None:
        return Git(source, text)
    if text.startswith(_WEB):
        return Web(text)
    match kind if colon else "":
        case "local":
            return Local(rest)
        case "docker-image":
            return Image(rest.removeprefix("//"))
        case "oci-layout":
            return _layout(rest.removeprefix("//"))
        case "input":
            if rest not in inputs:
                raise InvalidParameter(f"invalid input {rest[:_SHOWN]} for {name[:_SHOWN]}")
            return inputs[rest]
        case _:
            raise InvalidParameter(f"unsupported context source {kind[:_SHOWN]} for {name[:_SHOWN]}")


def _layout(text: str) -> Layout:
    store, at, digest = text.partition("@")
    # A tag may stand between; the digest alone says what is meant.
    store = store.partition(":")[0]
    if not at or not store:
        raise InvalidParameter(f'oci-layout reference "{text[:_SHOWN]}" has no digest')
    return Layout(store, parse_digest(digest))


def source_origin(identifier: str, attributes: Mapping[str, str]) -> Origin:
    """What a source operation names. Raises InvalidParameter, NotImplementedHere for what is not known, by name."""
    kind = identifier.partition("://")[0]
    match kind:
        case "http" | "https":
            known = _known(identifier, attributes, "http.filename", "http.checksum")
            return Web(identifier, known.get("http.filename", "") or "context", known.get("http.checksum", ""))
        case "git":
            return _git(identifier, attributes)
        case "docker-image":
            _known(identifier, attributes, "image.resolvemode", "image.recordtype")
            return Image(identifier.removeprefix("docker-image://"))
        case "sampan-build":
            return Made(identifier.removeprefix(f"{MADE}://"))
        case _:
            raise NotImplementedHere(
                f"not implemented by Sampan yet: the source {identifier[:_SHOWN]!r} of a client's graph (LLB)"
            )


_GIT_SILENT = ("git.authheadersecret", "git.authtokensecret", "git.knownsshhosts", "git.mountsshsock", "git.mtime")
"""Secrets and agents are asked for by the names that are usual; times are the commit's in any case."""


def _git(identifier: str, attributes: Mapping[str, str]) -> Git:
    names = ("git.fullurl", "git.keepgitdir", "git.checksum", "git.skipsubmodules", *_GIT_SILENT)
    known = _known(identifier, attributes, *names)
    _, mark, fragment = identifier.partition("#")
    address = f"{known.get('git.fullurl') or identifier.partition('#')[0]}{mark}{fragment}"
    source = git_address(address)
    if source is None:
        # `git.fullurl` need not end in .git once it is a source of git.
        repository = address.partition("#")[0]
        if not repository.startswith(_WEB):
            raise InvalidParameter(f"invalid git source {address[:_SHOWN]!r}")
        source = git_address(f"{repository.rstrip('/')}.git{mark}{fragment}")
        if source is None:
            raise InvalidParameter(f"invalid git source {address[:_SHOWN]!r}")
        source = msgspec.structs.replace(source, repository=repository)
    source = msgspec.structs.replace(
        source,
        checksum=known.get("git.checksum", ""),
        keep_git_dir=known.get("git.keepgitdir") == "true",
        submodules=known.get("git.skipsubmodules") != "true",
    )
    return Git(source, address)


def _known(identifier: str, attributes: Mapping[str, str], *names: str) -> Mapping[str, str]:
    unknown = attributes.keys() - set(names)
    if unknown:
        raise NotImplementedHere(
            f"not implemented by Sampan yet: the attribute {min(unknown)[:_SHOWN]!r} of the source {identifier[:_SHOWN]!r}"
        )
    return attributes
