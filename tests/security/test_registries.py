"""Registries that are after credentials, or after this machine's memory and time."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sampan.registry.faults import Refused, Unreachable, Untrustworthy
from sampan.registry.protocol import Credentials
from sampan.registry.registries import RemoteRegistries
from sampan.registry.settings import Patience, Proxies, Settings
from sampan.spec import oci_image as oci
from sampan.spec.ids import Digest
from tests.registries import Certificates, Handler, Scripted, make_certificates, scripted_registry
from tests.waiting import within

ME = Credentials("me", "secret")
HASTY = Patience(connect=2, idle=0.3, document=1, attempts=2, pause=0.01, longest_pause=0.05)
DATA = b'{"schemaVersion":2,"config":{"digest":"sha256:' + b"0" * 64 + b'"}}'
DIGEST = Digest("sha256:" + hashlib.sha256(DATA).hexdigest())
DESCRIPTOR = oci.Descriptor(oci.OCI_MANIFEST, DIGEST, len(DATA))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_things:
        yield open_things


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def client(stack: ExitStack, settings: Settings | None = None) -> RemoteRegistries:
    made = RemoteRegistries(settings or Settings(patience=HASTY))
    stack.callback(made.close)
    return made


def trusting(tmp_path: Path, certificates: Certificates, *registries: Scripted) -> Settings:
    """Settings under which the secure names of `registries` are proved by the tests' authority."""
    for registry in registries:
        place = tmp_path / registry.secure_address
        place.mkdir()
        (place / "ca.crt").write_bytes(certificates.ca.read_bytes())
    return Settings(patience=HASTY, certificates=(tmp_path,))


def basic(request: Handler, then: Callable[[Handler], None]) -> None:
    """Ask for a name and a password; with them do `then`."""
    if "Authorization" in request.headers:
        then(request)
    else:
        request.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="tests"')


def gives(request: Handler) -> None:
    request.answer(200, DATA, Content_Type=oci.OCI_MANIFEST, Docker_Content_Digest=DIGEST)


class TestCredentials:
    def test_a_redirect_to_another_host_gets_none(self, stack: ExitStack) -> None:
        thief = stack.enter_context(scripted_registry(gives))
        target = f"http://{thief.address}/elsewhere"
        registry = stack.enter_context(
            scripted_registry(lambda one: basic(one, lambda asked: asked.answer(307, Location=target)))
        )
        repository = client(stack).pulling(registry.address, "a", ME)
        assert repository.manifest(DESCRIPTOR) == DATA
        assert len(registry.sent("Authorization")) >= 1
        assert [one.path for one in thief.received] == ["/elsewhere"]
        assert thief.sent("Authorization") == []
        assert thief.sent("Cookie") == []

    def test_what_the_other_host_asks_for_is_not_given(self, stack: ExitStack) -> None:
        """Its 401 does not count: credentials are the first host's."""
        thief = stack.enter_context(scripted_registry(lambda one: basic(one, gives)))
        target = f"http://{thief.address}/elsewhere"
        registry = stack.enter_context(
            scripted_registry(lambda one: basic(one, lambda asked: asked.answer(302, Location=target)))
        )
        with pytest.raises(Refused):
            client(stack).pulling(registry.address, "a", ME).manifest(DESCRIPTOR)
        assert thief.sent("Authorization") == []

    def test_a_mirror_gets_none_and_no_token_bought_with_them(self, stack: ExitStack, tmp_path: Path) -> None:
        def asks_for_a_token(request: Handler) -> None:
            if request.path.startswith("/token"):
                request.answer(200, b'{"token":"anonymous"}')
            elif request.headers.get("Authorization") == "Bearer anonymous":
                gives(request)
            else:
                realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="s"'
                request.error(401, "UNAUTHORIZED", WWW_Authenticate=realm)

        mirror = stack.enter_context(scripted_registry(asks_for_a_token))
        place = tmp_path / "registry.example"
        place.mkdir()
        (place / "hosts.toml").write_text(f'[host."http://{mirror.address}"]\n')
        settings = Settings(patience=HASTY, certificates=(tmp_path,))
        repository = client(stack, settings).pulling("registry.example", "a", replace(ME, identity_token="id"))
        assert repository.manifest(DESCRIPTOR) == DATA
        assert set(mirror.sent("Authorization")) == {"Bearer anonymous"}
        assert all("account" not in one.path and not one.body for one in mirror.received)

    def test_a_mirror_that_wants_a_password_is_passed_over(self, stack: ExitStack, tmp_path: Path) -> None:
        mirror = stack.enter_context(scripted_registry(lambda one: basic(one, gives)))
        registry = stack.enter_context(scripted_registry(lambda one: basic(one, gives)))
        place = tmp_path / registry.address
        place.mkdir()
        (place / "hosts.toml").write_text(f'[host."http://{mirror.address}"]\n')
        settings = Settings(patience=HASTY, certificates=(tmp_path,))
        assert client(stack, settings).pulling(registry.address, "a", ME).manifest(DESCRIPTOR) == DATA
        assert mirror.sent("Authorization") == []
        assert registry.sent("Authorization") != []

    def test_a_realm_in_clear_text_gets_none(
        self, stack: ExitStack, tmp_path: Path, certificates: Certificates
    ) -> None:
        thief = stack.enter_context(scripted_registry(lambda one: one.answer(200, b'{"token":"t"}')))
        challenge = f'Bearer realm="http://{thief.address}/token",service="s"'
        registry = stack.enter_context(
            scripted_registry(lambda one: one.error(401, "UNAUTHORIZED", WWW_Authenticate=challenge), certificates)
        )
        settings = trusting(tmp_path, certificates, registry)
        with pytest.raises(Untrustworthy, match="in clear text: refused"):
            client(stack, settings).pulling(registry.secure_address, "a", ME).manifest(DESCRIPTOR)
        assert thief.received == []

    def test_a_redirect_from_tls_to_clear_text_is_refused(
        self, stack: ExitStack, tmp_path: Path, certificates: Certificates
    ) -> None:
        thief = stack.enter_context(scripted_registry(gives))
        target = f"http://{thief.address}/x"
        registry = stack.enter_context(
            scripted_registry(
                lambda one: one.answer(200) if one.path == "/v2/" else one.answer(307, Location=target), certificates
            )
        )
        settings = trusting(tmp_path, certificates, registry)
        with pytest.raises(Untrustworthy, match="refused, for it is in clear text"):
            client(stack, settings).pulling(registry.secure_address, "a", ME).manifest(DESCRIPTOR)
        assert thief.received == []

    def test_no_fall_back_from_tls_to_clear_text(self, stack: ExitStack) -> None:
        """The secure name of a registry that speaks clear text only."""
        registry = stack.enter_context(scripted_registry(gives))
        with pytest.raises(Unreachable) as failed:
            client(stack).pulling(registry.secure_address, "a", ME).manifest(DESCRIPTOR)
        url = f"https://{registry.secure_address}/v2/"
        assert str(failed.value) == f'Get "{url}": http: server gave HTTP response to HTTPS client'
        assert registry.received == []

    def test_an_unknown_authority_is_not_trusted(self, stack: ExitStack, certificates: Certificates) -> None:
        registry = stack.enter_context(scripted_registry(gives, certificates))
        with pytest.raises(Unreachable, match="x509: certificate signed by unknown authority"):
            client(stack).pulling(registry.secure_address, "a", ME).manifest(DESCRIPTOR)
        assert registry.received == []

    def test_an_upload_s_location_on_another_host_gets_none(self, stack: ExitStack) -> None:
        def takes(request: Handler) -> None:
            status = {"PATCH": 202, "PUT": 201}.get(request.command, 404)
            request.answer(status, Location=f"http://{request.headers['Host']}/session", Range="0-2")

        thief = stack.enter_context(scripted_registry(takes))
        target = f"http://{thief.address}/session"
        registry = stack.enter_context(
            scripted_registry(lambda one: basic(one, lambda asked: asked.answer(202, Location=target)))
        )
        repository = client(stack).pushing(registry.address, "a", ME)
        repository.upload(DIGEST, 3, lambda at: io.BytesIO(b"abc"[at:]), lambda sent: None)
        assert [one.method for one in thief.received] == ["PATCH", "PUT"]
        assert thief.sent("Authorization") == []

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "http://me:pw@127.0.0.1/", "ftp://x/", "http://[::1", "//"]
    )
    def test_locations_that_lead_nowhere(self, stack: ExitStack, location: str) -> None:
        registry = stack.enter_context(
            scripted_registry(lambda one: one.answer(200 if one.path == "/v2/" else 302, Location=location))
        )
        with pytest.raises((Untrustworthy, Unreachable)):
            client(stack).pulling(registry.address, "a", ME).manifest(DESCRIPTOR)

    def test_a_proxy_s_password_stays_between_us_and_the_proxy(self, stack: ExitStack) -> None:
        proxy = stack.enter_context(scripted_registry(gives))
        proxies = Proxies(http=f"http://name:word@{proxy.address}")
        settings = Settings(patience=HASTY, proxies=proxies, mirrors=("http://mirror.example",))
        assert client(stack, settings).pulling("docker.io", "library/a", ME).manifest(DESCRIPTOR) == DATA
        assert proxy.received[-1].path.startswith("http://mirror.example/v2/library/a/")
        assert set(proxy.sent("Proxy-Authorization")) == {"Basic bmFtZTp3b3Jk"}
        assert proxy.sent("Authorization") == []


class TestBounds:
    def serve(self, stack: ExitStack, behave: Callable[[Handler], None]) -> str:
        def greet(request: Handler) -> None:
            if request.path == "/v2/":
                request.answer(200)
            else:
                behave(request)

        return stack.enter_context(scripted_registry(greet)).address

    def test_a_manifest_that_does_not_end(self, stack: ExitStack) -> None:
        def endless(request: Handler) -> None:
            request.head(200, Content_Type=oci.OCI_MANIFEST, Connection="close")
            while True:
                request.wfile.write(b"x" * 65536)

        with pytest.raises(Untrustworthy, match="larger than 4194304 bytes"):
            client(stack).pulling(self.serve(stack, endless), "a", ME).manifest(DESCRIPTOR)

    def test_an_error_that_does_not_end(self, stack: ExitStack) -> None:
        def endless(request: Handler) -> None:
            request.head(404, Connection="close")
            while True:
                request.wfile.write(b"x" * 65536)

        with pytest.raises(Untrustworthy, match="larger than"):
            client(stack).pulling(self.serve(stack, endless), "a", ME).manifest(DESCRIPTOR)

    def test_a_manifest_that_trickles(self, stack: ExitStack) -> None:
        def trickle(request: Handler) -> None:
            request.head(200, Content_Length=str(len(DATA)))
            while not request.scripted.released.wait(0.05):
                request.wfile.write(b"x")
                request.wfile.flush()

        with within(10), pytest.raises(Unreachable, match="context deadline exceeded"):
            client(stack).pulling(self.serve(stack, trickle), "a", ME).manifest(DESCRIPTOR)

    def test_a_head_that_does_not_end(self, stack: ExitStack) -> None:
        def endless(request: Handler) -> None:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(100_000):
                request.wfile.write(b"X-%d: y\r\n" % number)

        with pytest.raises(Unreachable):
            client(stack).pulling(self.serve(stack, endless), "a", ME).manifest(DESCRIPTOR)

    def test_a_head_that_trickles(self, stack: ExitStack) -> None:
        def trickle(request: Handler) -> None:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not request.scripted.released.wait(0.05):
                request.wfile.write(b"x")
                request.wfile.flush()

        with within(10), pytest.raises(Unreachable):
            client(stack).pulling(self.serve(stack, trickle), "a", ME).manifest(DESCRIPTOR)

    def test_a_ring_of_redirects(self, stack: ExitStack) -> None:
        address = self.serve(stack, lambda one: one.answer(307, Location=one.path))
        with pytest.raises(Untrustworthy, match="stopped after 10 redirects"):
            client(stack).pulling(address, "a", ME).manifest(DESCRIPTOR)

    def test_a_blob_that_is_longer_than_it_may_be(self, stack: ExitStack) -> None:
        def long(request: Handler) -> None:
            request.head(200, Connection="close")
            while True:
                request.wfile.write(b"x" * 65536)

        repository = client(stack).pulling(self.serve(stack, long), "a", ME)
        with repository.blob(oci.Descriptor(digest=DIGEST, size=100_000)) as stream:
            assert len(stream.read()) == 100_000

    def test_a_token_that_would_be_two_headers(self, stack: ExitStack) -> None:
        def behave(request: Handler) -> None:
            if request.path.startswith("/token"):
                request.answer(200, json.dumps({"token": "x\r\nX-Evil: yes"}).encode())
            else:
                realm = f'Bearer realm="http://{request.headers["Host"]}/token"'
                request.error(401, "UNAUTHORIZED", WWW_Authenticate=realm)

        address = stack.enter_context(scripted_registry(behave)).address
        with pytest.raises(Untrustworthy, match="no header's value"):
            client(stack).pulling(address, "a", ME).manifest(DESCRIPTOR)

    def test_words_that_would_move_a_cursor(self, stack: ExitStack) -> None:
        address = self.serve(stack, lambda one: one.error(400, "NAME_INVALID", "\\u001b[2Jgone"))
        with pytest.raises(Refused) as refused:
            client(stack).pulling(address, "a", ME).manifest(DESCRIPTOR)
        assert str(refused.value) == "name invalid: �[2Jgone"
