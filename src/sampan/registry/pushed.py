"""Writing to one repository: blobs first, taken over from a neighbour where it has them; then the manifest that names them."""

import logging
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import quote

from sampan.errors import Forbidden, InvalidParameter, SampanError
from sampan.registry.conversation import Conversation, told_by
from sampan.registry.faults import Untrustworthy
from sampan.registry.host import Capability
from sampan.registry.repository import Reading
from sampan.registry.uploads import Upload
from sampan.spec.ids import Digest, digest_of

_log = logging.getLogger("sampan.registry")


class RemoteRepository(Reading):
    """Implements `protocol.Repository`. What is written goes to the registry itself, never to a mirror."""

    @property
    def _registry(self) -> Conversation:
        registry = self._conversations[-1]
        if Capability.PUSH not in registry.host.capabilities:
            raise Forbidden(f"{registry.host.origin} takes no pushes: its hosts.toml does not have the capability")
        return registry

    def mount(self, digest: Digest, source: str) -> bool:
        """See `protocol.Repository`."""
        url = f"/{self.path}/blobs/uploads/?mount={quote(digest, safe='')}&from={quote(source, safe='')}"
        scopes = (*self._scopes, f"repository:{source}:pull")
        answer = self._registry.ask("POST", url, scopes, {"Content-Length": "0"}, b"")
        if answer.status == 201:
            answer.discard()
            return True
        if answer.status != 202:
            raise told_by(answer)
        session = Upload(self._registry, self._scopes, self._patience)
        with answer:
            session.take(answer)
        try:
            session.cancel()
        except SampanError as error:
            _log.info("an upload stays open at the registry: %s", error)
        return False

    def upload(
        self, digest: Digest, size: int, reader: Callable[[int], BinaryIO], progress: Callable[[int], None]
    ) -> None:
        """See `protocol.Repository`."""
        session = Upload(self._registry, self._scopes, self._patience)
        session.begin(self.path)
        session.send(size, reader, progress)
        session.finish(digest)

    def put_manifest(self, reference: str, media_type: str, data: bytes) -> Digest:
        """See `protocol.Repository`."""
        digest = digest_of(data)
        if ":" in reference and reference != digest:
            raise InvalidParameter(f"the manifest's digest is {digest}, not {reference}")
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
        url = f"/{self.path}/manifests/{reference}"
        with self._registry.demand("PUT", url, self._scopes, headers, data, (201, 202)) as answer:
            said = answer.headers.get("Docker-Content-Digest", digest)
        if said != digest:
            raise Untrustworthy(f"{answer.request}: the registry stored {said[:100]!r} and not {digest}")
        return digest
