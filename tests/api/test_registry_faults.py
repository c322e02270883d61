"""Registries that refuse, break off, stand still or lie: what the client makes of it, in Docker's words."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sampan.errors import NotFound
from sampan.registry.faults import Refused, Unreachable, Untrustworthy
from sampan.registry.limits import RateLimit
from sampan.registry.protocol import Credentials
from sampan.registry.pushed import RemoteRepository
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Patience, Settings
from sampan.spec import oci_image as oci
from sampan.spec.ids import Digest
from tests.registries import Handler, Scripted, scripted_registry

HASTY = Patience(connect=2, idle=0.3, document=5, attempts=3, pause=0.01, longest_pause=0.5)
DATA = bytes(range(256)) * 400
DIGEST = Digest("sha256:" + hashlib.sha256(DATA).hexdigest())
BLOB = oci.Descriptor(digest=DIGEST, size=len(DATA))
DENIED = "pull access denied for {}/a, repository does not exist or may require 'docker login': "
BUSY = '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'


class Play:
    """A registry that answers /v2/ and leaves the rest to one function, with a client for it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, behave: Callable[[Handler], None]) -> tuple[Scripted, RemoteRepository]:
        def greet(request: Handler) -> None:
            if request.path == "/v2/":
                request.answer(200)
            else:
                behave(request)

        scripted = self._stack.enter_context(scripted_registry(greet))
        registries = RemoteRegistries(Settings(patience=HASTY))
        self._stack.callback(registries.close)
        return scripted, registries.pulling(scripted.address, "a", Credentials())


@pytest.fixture
def play() -> Iterator[Play]:
    with ExitStack() as stack:
        yield Play(stack)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "text"),
    [
        (401, "UNAUTHORIZED", "authentication required", Refused, "unauthorized: authentication required"),
        (403, "DENIED", "no", NotFound, DENIED + "denied: no"),
        (404, "MANIFEST_UNKNOWN", "gone", NotFound, "manifest for {}/a:v1 not found: manifest unknown: gone"),
        (404, "NAME_UNKNOWN", "", NotFound, "repository {}/a not found: name unknown: repository name not known to registry"),
        (404, "OF_ITS_OWN", "odd", Refused, "unknown: odd"),
        (500, "UNKNOWN", "", Refused, "received unexpected HTTP status: 500 Internal Server Error"),
    ],
)  # fmt: skip
def test_refusals(play: Play, status: int, code: str, message: str, kind: type[Exception], text: str) -> None:
    scripted, repository = play(lambda one: one.error(status, code, message))
    with pytest.raises(kind) as refused:
        repository.resolve("v1")
    assert str(refused.value) == text.format(scripted.address)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>tea</html>", "invalid character '<' looking for beginning of value: \"<html>tea</html>\""),
        (b"", 'unexpected end of JSON input: ""'),
        (b"{}", 'no error details found in HTTP response body: "{}"'),
    ],
)
def test_a_refusal_that_nobody_can_read(play: Play, body: bytes, said: str) -> None:
    _, repository = play(lambda one: one.answer(418, body))
    with pytest.raises(Refused) as refused:
        repository.resolve("v1")
    assert str(refused.value) == f"error parsing HTTP 418 response body: {said}"


def test_a_challenge_says_why(play: Play) -> None:
    """As Docker Hub has it: 401 with `insufficient_scope` for a repository that is private or not there."""

    def behave(request: Handler) -> None:
        if request.path.startswith("/token"):
            request.answer(200, b'{"token":"t"}')
            return
        realm = f'Bearer realm="http://{request.headers["Host"]}/token",error="insufficient_scope"'
        request.error(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=realm)

    scripted, repository = play(behave)
    with pytest.raises(NotFound) as refused:
        repository.resolve("v1")
    access = f"pull access denied for {scripted.address}/a, repository does not exist or may require 'docker login'"
    assert str(refused.value) == f"{access}: denied: requested access to the resource is denied"


class TestPatience:
    def test_what_fails_for_a_while_is_asked_again(self, play: Play) -> None:
        answers = iter([503, 429, 200])

        def behave(request: Handler) -> None:
            status = next(answers)
            request.answer(status, b"", Docker_Content_Digest=DIGEST, Content_Type=oci.OCI_MANIFEST)

        scripted, repository = play(behave)
        assert repository.resolve("v1").digest == DIGEST
        assert [one.method for one in scripted.received] == ["GET", "HEAD", "HEAD", "HEAD"]

    def test_a_retry_after_that_is_too_long_ends_it(self, play: Play) -> None:
        scripted, repository = play(lambda one: one.answer(429, BUSY.encode(), Retry_After="3600"))
        with pytest.raises(Refused) as refused:
            repository.resolve("v1")
        said = "toomanyrequests: You have reached your pull rate limit. (ask again in 1 hour)"
        assert str(refused.value) == said
        assert len([one for one in scripted.received if one.path != "/v2/"]) == 2  # HEAD, and GET for the words

    def test_limits_are_kept(self, play: Play) -> None:
        def behave(request: Handler) -> None:
            request.answer(
                200,
                Docker_Content_Digest=DIGEST,
                Content_Type=oci.OCI_MANIFEST,
                Docker_RateLimit_Source="192.0.2.1",
                RateLimit_Limit="100;w=21600",
                RateLimit_Remaining="76;w=21600",
            )

        _, repository = play(behave)
        repository.resolve("v1")
        assert repository.rate_limit == RateLimit(100, 76, 21600, "192.0.2.1")

    def test_silence(self, play: Play) -> None:
        scripted, repository = play(lambda one: one.stall())
        with pytest.raises(Unreachable) as silent:
            repository.resolve("v1")
        url = f"http://{scripted.address}/v2/a/manifests/v1"
        why = "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
        assert str(silent.value) == f'Head "{url}": {why}'


class TestBlobs:
    @pytest.mark.parametrize("knows_ranges", [True, False])
    def test_a_cut_blob_goes_on_where_it_broke(self, play: Play, knows_ranges: bool) -> None:
        def behave(request: Handler) -> None:
            asked = request.headers.get("Range", "bytes=0-")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if knows_ranges else 0
            part = DATA[start:]
            headers = {"Content_Length": str(len(part))}
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
            request.head(206 if start else 200, **headers)
            request.wfile.write(part[: 40_000 * len(request.scripted.received)])
            request.cut()

        scripted, repository = play(behave)
        with repository.blob(BLOB) as stream:
            assert stream.read() == DATA
        ranges = scripted.sent("Range")
        assert ranges[0].startswith("bytes=")
        assert ranges == sorted(ranges, key=lambda text: int(text[6:-1]))

    def test_another_part_than_asked_for(self, play: Play) -> None:
        def behave(request: Handler) -> None:
            request.answer(206, DATA[5:], Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}")

        _, repository = play(behave)
        with pytest.raises(Untrustworthy, match="asked for bytes from 1000 on, got Content-Range 'bytes 5-"):
            with repository.blob(BLOB, 1000):
                pass

    @pytest.mark.parametrize("end", ["cut", "stall"])
    def test_a_blob_that_never_comes_whole(self, play: Play, end: str) -> None:
        def behave(request: Handler) -> None:
            start = int(request.headers.get("Range", "bytes=0-")[6:-1])
            headers = {"Content_Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
            request.head(206 if start else 200, Content_Length=str(len(DATA) - start), **headers)
            request.wfile.write(DATA[start:1000])
            request.wfile.flush()
            getattr(request, end)()

        scripted, repository = play(behave)
        with pytest.raises(Unreachable), repository.blob(BLOB) as stream:
            stream.read()
        assert len(scripted.sent("Range")) == HASTY.attempts - 1

    def test_a_blob_that_ends_early(self, play: Play) -> None:
        """The registry says that all of it has come."""
        _, repository = play(lambda one: one.answer(200, DATA[:1000]))
        with pytest.raises(Unreachable, match="unexpected EOF"), repository.blob(BLOB) as stream:
            stream.read()

    def test_a_manifest_with_another_digest(self, play: Play) -> None:
        _, repository = play(lambda one: one.answer(200, b'{"schemaVersion":2}', Content_Type=oci.OCI_MANIFEST))
        with pytest.raises(Untrustworthy, match=f"manifest verification failed for digest {DIGEST}"):
            repository.manifest(BLOB)


class TestUploads:
    def test_a_cut_upload_goes_on_where_it_broke(self, play: Play) -> None:
        arrived = bytearray()

        def behave(request: Handler) -> None:
            here = f"http://{request.headers['Host']}/session"
            if request.command == "POST":
                request.answer(202, Location=here)
            elif request.command == "GET":
                request.answer(204, Location=here, Range=f"0-{len(arrived) - 1}")
            elif request.command == "PUT":
                request.answer(201)
            elif not arrived:
                arrived.extend(request.request_body[:30_000])
                request.cut()
            else:
                assert request.headers["Content-Range"] == f"{len(arrived)}-{len(DATA) - 1}"
                arrived.extend(request.request_body)
                request.answer(202, Location=here)

        _, repository = play(behave)
        told: list[int] = []
        repository.upload(DIGEST, len(DATA), lambda at: io.BytesIO(DATA[at:]), told.append)
        assert bytes(arrived) == DATA
        assert told[-1] == len(DATA)

    def test_a_registry_that_claims_too_much(self, play: Play) -> None:
        def behave(request: Handler) -> None:
            if request.command == "PATCH":
                request.cut()
            else:
                request.answer({"POST": 202, "GET": 204}[request.command], Location="/session", Range="0-999999999")

        _, repository = play(behave)
        with pytest.raises(Untrustworthy, match="claims 1000000000 bytes"):
            repository.upload(DIGEST, len(DATA), lambda at: io.BytesIO(DATA[at:]), lambda sent: None)

    def test_a_manifest_that_is_stored_as_another(self, play: Play) -> None:
        _, repository = play(lambda one: one.answer(201, Docker_Content_Digest="sha256:" + "0" * 64))
        with pytest.raises(Untrustworthy, match="the registry stored"):
            repository.put_manifest("v1", oci.OCI_MANIFEST, DATA)


class TestTokens:
    def test_one_token_serves_until_it_is_turned_away(self, play: Play) -> None:
        given: list[str] = []

        def behave(request: Handler) -> None:
            if request.path.startswith("/token"):
                given.append(f"t{len(given)}")
                request.answer(200, f'{{"access_token":"{given[-1]}","expires_in":300}}'.encode())
            elif request.headers.get("Authorization") == f"Bearer {given[-1] if given else ''}" and given[-1] != "t0":
                request.answer(200, DATA, Docker_Content_Digest=DIGEST, Content_Type=oci.OCI_MANIFEST)
            else:
                realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="s s"'
                request.error(401, "UNAUTHORIZED", WWW_Authenticate=realm)

        scripted, repository = play(behave)
        for _ in range(3):
            assert repository.resolve("v1").digest == DIGEST
        asked = [one.path for one in scripted.received if one.path.startswith("/token")]
        assert asked == ["/token?scope=repository%3Aa%3Apull&service=s+s"] * len(asked)
        assert len(asked) == len(given) == 2

    def test_an_identity_token_buys_one(self) -> None:
        def behave(request: Handler) -> None:
            if request.path.startswith("/token"):
                request.answer(200, b'{"access_token":"bought"}')
            elif request.headers.get("Authorization") == "Bearer bought":
                request.answer(200, Docker_Content_Digest=DIGEST, Content_Type=oci.OCI_MANIFEST)
            else:
                realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="s"'
                request.error(401, "UNAUTHORIZED", WWW_Authenticate=realm)

        with scripted_registry(behave) as scripted:
            registries = RemoteRegistries(Settings(patience=HASTY))
            registries.pulling(scripted.address, "a", Credentials(identity_token="id")).resolve("v1")
            registries.pulling(scripted.address, "a", Credentials(registry_token="bought")).resolve("v1")
            registries.close()
        bodies = [one.body for one in scripted.received if one.method == "POST"]
        form = b"grant_type=refresh_token&refresh_token=id&service=s&client_id=docker&scope=repository%3Aa%3Apull"
        assert bodies == [form]
