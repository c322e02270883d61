"""Reading from one repository: the hosts that it can be had from are tried in their order, mirrors first.

resolve ──▶ HEAD manifests/tag        manifest ──▶ GET manifests/digest        blob ──▶ GET blobs/digest
"""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from sampan.errors import InvalidParameter, NotFound, SampanError
from sampan.registry import limits
from sampan.registry.blobs import BlobStream
from sampan.registry.conversation import Conversation, resolved, told_by
from sampan.registry.faults import Refused, Unreachable, Untrustworthy, of_pull
from sampan.registry.host import Capability
from sampan.registry.settings import Patience
from sampan.registry.transport import Answer
from sampan.spec import oci_image as oci
from sampan.spec.ids import Digest, digest_of, parse_digest

_log = logging.getLogger("sampan.registry")
ACCEPT = f"{oci.OCI_INDEX}, {oci.DOCKER_INDEX}, {oci.OCI_MANIFEST}, {oci.DOCKER_MANIFEST}, */*;q=0.1"
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256:[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_PAGES = 1000

Got = TypeVar("Got")


class _Tags(msgspec.Struct, frozen=True):
    tags: list[str] | None = None


class Reading:
    """The half of `protocol.Repository` that reads; `pushed.RemoteRepository` adds writing."""

    def __init__(
        self,
        domain: str,
        path: str,
        conversations: tuple[Conversation, ...],
        actions: str,
        patience: Patience,
        resource: str = "repository",
    ) -> None:
        self.domain = domain
        self.path = path
        self.rate_limit = limits.UNKNOWN
        """What the registry last said of its limits."""
        self._scopes: tuple[str, ...] = (f"{resource}:{path}:{actions}",)
        self._patience = patience
        self._conversations = list(conversations)
        """mirrors first, the registry itself last"""

    # ---- which host

    def _first(self, what: Capability, ask: Callable[[Conversation], Got], suffix: str = "") -> Got:
        """The answer of the first host that has one. A mirror that fails is passed over, one that is not there for good."""
        last: SampanError = NotFound(f"no endpoints found for {self.domain}/{self.path}{suffix}")
        for conversation in tuple(self._conversations):
            if not what & conversation.host.capabilities:
                continue
            try:
                return ask(conversation)
            except (Refused, Unreachable, Untrustworthy) as error:
                last = of_pull(error, self.domain, self.path, suffix)
                if not conversation.host.mirror:
                    raise last from error
                _log.info("attempting next endpoint for pull after error: %s", error)
                if isinstance(error, Unreachable):
                    # A new list: other threads may be on their way through the old one.
                    self._conversations = [one for one in self._conversations if one is not conversation]
        raise last

    # ---- what is read

    def resolve(self, reference: str) -> oci.Descriptor:
        """See `protocol.Repository`."""
        if not _REFERENCE.fullmatch(reference):
            raise InvalidParameter("invalid reference format")
        suffix = f"@{reference}" if ":" in reference else f":{reference}"
        return self._first(Capability.RESOLVE, lambda one: self._resolve(one, reference), suffix)

    def _resolve(self, conversation: Conversation, reference: str) -> oci.Descriptor:
        url = f"/{self.path}/manifests/{reference}"
        with conversation.ask("HEAD", url, self._scopes, {"Accept": ACCEPT}) as answer:
            self._note(answer)
            if answer.status == 200 and (found := _described(answer)) is not None:
                return found
        # A registry that does not say it in a head, or refuses: the body says more.
        data, media_type = self._manifest(conversation, reference)
        return oci.Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))

    def manifest(self, descriptor: oci.Descriptor) -> bytes:
        """See `protocol.Repository`."""
        digest = parse_digest(descriptor.digest)

        def ask(conversation: Conversation) -> bytes:
            data, _ = self._manifest(conversation, digest)
            if digest_of(data) != digest or descriptor.size not in (0, len(data)):
                raise Untrustworthy(f"manifest verification failed for digest {digest}")
            return data

        return self._first(Capability.PULL, ask, f"@{digest}")

    def _manifest(self, conversation: Conversation, reference: str) -> tuple[bytes, str]:
        answer = conversation.demand("GET", f"/{self.path}/manifests/{reference}", self._scopes, {"Accept": ACCEPT})
        with answer:
            self._note(answer)
            data = answer.read(oci.MANIFEST_LIMIT)
        return data, _media_type(answer) or _own_type(data)

    @contextmanager
    def blob(self, descriptor: oci.Descriptor, offset: int = 0) -> Iterator[io.BufferedIOBase]:
        """See `protocol.Repository`."""
        digest = parse_digest(descriptor.digest)
        if not 0 <= offset <= descriptor.size:
            raise InvalidParameter(f"a blob of {descriptor.size} bytes cannot be read from byte {offset}")
        if offset == descriptor.size:
            yield io.BytesIO()
            return

        def opened(at: int) -> Answer:
            return self._first(Capability.PULL, lambda one: self._blob(one, digest, at))

        stream = BlobStream(opened, descriptor.size, offset, self._patience)
        with io.BufferedReader(stream, 256 * 1024) as buffered:
            yield buffered

    def _blob(self, conversation: Conversation, digest: Digest, at: int) -> Answer:
        headers = {"Range": f"bytes={at}-"} if at else {}
        url = f"/{self.path}/blobs/{digest}"
        answer = conversation.demand("GET", url, self._scopes, headers, expected=(200, 206) if at else (200,))
        self._note(answer)
        return answer

    def tags(self) -> Iterator[str]:
        """See `protocol.Repository`."""
        url = f"/{self.path}/tags/list"
        for _ in range(_PAGES):
            names, url = self._first(Capability.RESOLVE, lambda one, at=url: self._tags(one, at))  # type: ignore[misc] # mypy cannot infer a lambda with a default
            yield from names
            if not url:
                return

    def _tags(self, conversation: Conversation, url: str) -> tuple[list[str], str]:
        with conversation.demand("GET", url, self._scopes, {"Accept": "application/json"}) as answer:
            data = answer.read(oci.MANIFEST_LIMIT)
            following = re.match(r"\s*<([^>]{1,2000})>\s*;[^,]*\brel=\"?next\"?", answer.headers.get("Link", ""))
        names = oci.decode(data, _Tags, "the list of tags").tags or []
        return names, resolved(answer.url, following[1]) if following is not None else ""

    def has_blob(self, digest: Digest) -> bool:
        """See `protocol.Repository`."""

        def ask(conversation: Conversation) -> bool:
            answer = conversation.ask("HEAD", f"/{self.path}/blobs/{digest}", self._scopes)
            if answer.status in (200, 404):
                answer.discard()
                return answer.status == 200
            raise told_by(answer)

        return self._first(Capability.PULL, ask)

    def referrers(self, digest: Digest, artifact_type: str = "") -> Iterator[oci.Descriptor]:
        """See `protocol.Repository`."""
        index = self._first(Capability.PULL, lambda one: self._referrers(one, digest))
        for descriptor in index.manifests or ():
            if not artifact_type or descriptor.artifact_type == artifact_type:
                yield descriptor

    def _referrers(self, conversation: Conversation, digest: Digest) -> oci.Index:
        """The list by the API of 1.1; where the registry has none, the one kept under a tag made of the digest."""
        headers = {"Accept": oci.OCI_INDEX}
        answer = conversation.ask("GET", f"/{self.path}/referrers/{digest}", self._scopes, headers)
        if answer.status == 404:
            answer.discard()
            tag = digest.replace(":", "-")
            answer = conversation.ask("GET", f"/{self.path}/manifests/{tag}", self._scopes, headers)
            if answer.status == 404:
                answer.discard()
                return oci.Index()
        if answer.status != 200:
            raise told_by(answer)
        with answer:
            return oci.decode_index(answer.read(oci.MANIFEST_LIMIT))

    def _note(self, answer: Answer) -> None:
        found = limits.told(answer.headers)
        if found is not None and found != self.rate_limit:
            self.rate_limit = found
            _log.log(logging.WARNING if found.is_low else logging.INFO, "%s/%s: %s", self.domain, self.path, found)


def _described(answer: Answer) -> oci.Descriptor | None:
    digest = answer.headers.get("Docker-Content-Digest", "")
    size = answer.headers.get("Content-Length", "")
    media_type = _media_type(answer)
    if not digest or not size.isdecimal() or not size.isascii() or len(size) > 10 or not media_type:
        return None
    try:
        return oci.Descriptor(media_type=media_type, digest=parse_digest(digest), size=int(size))
    except InvalidParameter as error:
        raise Untrustworthy(f"{answer.request}: {error}") from error


def _media_type(answer: Answer) -> str:
    given = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    return given if _MEDIA_TYPE.fullmatch(given) else ""


def _own_type(data: bytes) -> str:
    try:
        found = json.loads(data).get("mediaType", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return found if isinstance(found, str) and _MEDIA_TYPE.fullmatch(found) else ""
