"""Parsers of images, of registries' answers and of what a build reads."""

import contextlib
import io
from typing import Any, cast

import urllib3

from sampan.build.cache.configs import read, read_inline
from sampan.build.tree.git_program import redacted
from sampan.build.tree.remote import file_name
from sampan.build.tree.remote_context import git_source
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.checks import Circumstances, check
from sampan.dockerfile.globs import Glob
from sampan.dockerfile.ignore import Ignore, read_patterns
from sampan.dockerfile.mounts import mount_origin, parse_mount
from sampan.dockerfile.parse import decode, parse
from sampan.dockerfile.words import Quotes, Rules, expand
from sampan.errors import SampanError
from sampan.images.manifests import follow
from sampan.images.platforms import normalised, parse_platform
from sampan.images.references import check_new, matches, parse_any, parse_reference
from sampan.registry import limits
from sampan.registry.challenges import parse_challenges
from sampan.registry.faults import refusal
from sampan.registry.host import Host
from sampan.registry.hosts import Hosts
from sampan.registry.protocol import Credentials
from sampan.registry.settings import Settings
from sampan.registry.tokens import Authorizer
from sampan.registry.transport import Answer
from sampan.spec.ids import digest_of
from sampan.spec.oci_image import ArchivedImage, Descriptor, Platform, decode_image, decode_index, decode_manifest
from sampan.spec.oci_image import decode as decode_document

_AMD64 = Platform("amd64", "linux")
_BUSYBOX = parse_reference("busybox")
_VARIABLES = {"A": "a b", "EMPTY": "", "PATH": "/bin:/usr/bin"}
_HOSTS = Hosts(Settings())
_REALM = 'Bearer realm="https://a.test/token",service="a"'


def _text(case: bytes) -> str:
    return case.decode("utf-8", "surrogateescape")


def reference(case: bytes) -> None:
    """An image's name, and as a pattern."""
    text = _text(case)
    with contextlib.suppress(SampanError):
        matches(text, _BUSYBOX)
    parse_any(text)
    found = check_new(parse_reference(text))
    assert parse_reference(str(found.stored())) == found.stored()


def platform(case: bytes) -> None:
    """`os/architecture/variant`."""
    normalised(parse_platform(_text(case)))


def config(case: bytes) -> None:
    """An image's configuration."""
    decode_image(case)


class _Nothing:
    """A repository that has an index without entries under every digest."""

    def manifest(self, descriptor: Descriptor) -> bytes:
        return b'{"schemaVersion":2,"manifests":[]}'


def manifest(case: bytes) -> None:
    """A manifest, an index, an archive's list; and the way from a tag to an image."""
    for read_one in (decode_manifest, decode_index, lambda data: decode_document(data, list[ArchivedImage], "x")):
        with contextlib.suppress(SampanError):
            read_one(case)
    first = Descriptor(media_type="", digest=digest_of(case), size=len(case))
    follow(cast("Any", _Nothing()), first, case, _BUSYBOX, _AMD64, "linux/amd64")


def challenges(case: bytes) -> None:
    """`WWW-Authenticate`, and where it leads with credentials."""
    found = parse_challenges([case.decode("latin-1")])
    refusal(401, found, b"")
    Authorizer(cast("Any", _Registry(b'{"token":"t"}')), _HOSTS).header(
        Host("https", "registry.test"), found, ("repository:a:pull",), Credentials("user", "password")
    )


class _Registry:
    """Answers everything with one body."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self._body, self._status = body, status

    def send(self, host: Host, method: str, url: str, headers: object, body: object = None) -> Answer:
        assert url.lower().startswith(("http://", "https://")), url
        assert "\r" not in url, url
        assert "\n" not in url, url
        response = urllib3.HTTPResponse(io.BytesIO(self._body), status=self._status, preload_content=False)
        return Answer(response, method, url, float("inf"))


def token(case: bytes) -> None:
    """What an authorization server says."""
    asked = Authorizer(cast("Any", _Registry(case)), _HOSTS)
    header = asked.header(Host("https", "a.test"), parse_challenges([_REALM]), (), Credentials())
    assert header.isascii()
    assert header.isprintable()


def registry_errors(case: bytes) -> None:
    """The body of a refusal."""
    for status in (400, 401, 429):
        text = str(refusal(status, (), case))
        assert "\x1b" not in text


def heads(case: bytes) -> None:
    """Headers that are read for more than framing: names of downloads, limits of rates."""
    text = case.decode("latin-1")
    name = file_name("https://a.test/b", {"content-disposition": text, "Content-Disposition": text})
    assert name not in ("", ".", ".."), name
    assert "/" not in name, name
    assert "\0" not in name, name
    limits.about_refusal({"RateLimit-Limit": text, "RateLimit-Remaining": text, "Docker-RateLimit-Source": text}, 5.5)


def cache(case: bytes) -> None:
    """The configuration of a build cache that came from a registry."""
    layers = [Descriptor(media_type="x", digest=digest_of(b"a"), size=1)]
    with contextlib.suppress(SampanError):
        read_inline(_text(case), layers, [digest_of(b"b")])
    read(case, {layers[0].digest: layers[0]})


def dockerfile(case: bytes) -> None:
    """A Dockerfile, read and checked."""
    check(parse(decode(case)), Circumstances(Machines(_AMD64, _AMD64), bool, lambda text: None))


def words(case: bytes) -> None:
    """Quotes, escapes and variables."""
    text = case.decode("utf-8", "replace")
    for rules in (Rules(), Rules("`", Quotes.KEPT, keep_unset=True), Rules(quotes=Quotes.PLAIN, keep_escapes=True)):
        with contextlib.suppress(SampanError):
            expand(text, _VARIABLES, rules)


def ignore(case: bytes) -> None:
    """An ignore file and globs, against paths that make bad patterns slow."""
    text = case.decode("utf-8", "replace")
    found = Ignore(read_patterns(text))
    for path in ("a/b/c", "aaaaaaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaaaaaaaab", "x" * 200):
        assert found.ignores(path) in (True, False)
        found.may_keep_below(path)
    Glob(text.partition("\n")[0]).matches("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")


def run_mount(case: bytes) -> None:
    """The words of `RUN --mount=`."""
    text = case.decode("utf-8", "replace")
    with contextlib.suppress(SampanError):
        mount_origin(text)
    parse_mount(text, lambda given: expand(given, _VARIABLES).text)


def git_url(case: bytes) -> None:
    """A context's URL."""
    text = _text(case)
    redacted(text)
    found = git_source(text)
    assert ".." not in found.directory.split("/")
