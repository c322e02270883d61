"""`GET /v1/search`: what is left of the registries' first API. Docker Hub has it, hardly anyone else.

Source: moby's registry/search.go, search_session.go, search_endpoint_v1.go.
"""

from dataclasses import replace
from urllib.parse import urlencode

import msgspec

from sampan.errors import InvalidParameter, System
from sampan.registry.conversation import Conversation
from sampan.registry.faults import Unreachable
from sampan.registry.means import Means
from sampan.registry.names import HUB, HUB_INDEX_NAME, HUB_NAMES
from sampan.registry.protocol import Credentials, Found
from sampan.registry.tokens import basic

_LIMIT = 4 << 20
_SCOPES = ("registry:catalog:search",)


class _Result(msgspec.Struct, frozen=True):
    name: str | None = None
    description: str | None = None
    is_official: bool | None = None
    star_count: int | None = None


class _Results(msgspec.Struct, frozen=True):
    results: list[_Result] | None = None


def search(means: Means, term: str, limit: int, credentials: Credentials) -> list[Found]:
    """At most `limit` (1 to 100) repositories that the registry finds for a term; `host/term` asks another than Docker Hub.

    Raises InvalidParameter, System. Whether a repository was built automatically is not believed: Docker does not either.
    """
    if "://" in term:
        raise InvalidParameter(f"invalid repository name: repository name ({term}) should not have a scheme")
    if not 1 <= limit <= 100:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, 100]")
    name, words = _split(term)
    hub = name in HUB_NAMES
    host = replace(means.hosts.registry(HUB_INDEX_NAME if hub else name), base="/v1")
    conversation = Conversation(means, host, credentials, greeting="" if hub else "/_ping")
    if hub:
        words = words.removeprefix("library/")
    try:
        conversation.connect()
    except Unreachable as error:
        raise error if hub else InvalidParameter(_hint(host.address, error)) from error
    headers = {"X-Docker-Token": "true", "Accept": "application/json"}
    if credentials.username and credentials.password and not credentials.identity_token:
        headers["Authorization"] = basic(credentials)
    query = urlencode({"q": words, "n": str(limit)})
    with conversation.ask("GET", f"/search?{query}", _SCOPES, headers) as answer:
        if answer.status != 200:
            raise System(f"unexpected status code {answer.status}")
        data = answer.read(_LIMIT)
    try:
        found = msgspec.json.decode(data, type=_Results)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise System(f"error decoding registry search results: {error}") from error
    return [
        Found(one.name or "", one.description or "", one.star_count or 0, bool(one.is_official))
        for one in (found.results or ())[:limit]
    ]


def _split(term: str) -> tuple[str, str]:
    first, slash, rest = term.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first.lower(), rest
    return HUB, term


def _hint(address: str, error: Unreachable) -> str:
    if error.by_tls:
        endpoint = f"http://{address}/v1/"
        return f'invalid registry endpoint "{endpoint}". HTTPS attempt: {error.by_tls}. HTTP attempt: {error}'
    return (
        f"invalid registry endpoint https://{address}/v1/: {error}. If this private registry supports only HTTP or HTTPS with "
        f"an unknown CA certificate, add `--insecure-registry {address}` to the daemon's arguments. In the case of HTTPS, if "
        "you have access to the registry's CA certificate, no need for the flag; place the CA certificate at "
        f"/etc/docker/certs.d/{address}/ca.crt"
    )
