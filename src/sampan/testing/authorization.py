"""The suite of authorization drivers."""

from base64 import b64encode
from typing import Any, ClassVar

from sampan.drivers.authorization import KIND, Request
from sampan.testing.suite import Refusal, Suite


class AuthorizationDriverSuite(Suite):
    """What Sampan relies on in an authorization driver. `allowed` and `denied` are requests that it is to judge so."""

    kind: ClassVar[str] = KIND
    allowed: ClassVar[tuple[Request, ...]] = ()
    denied: ClassVar[tuple[Request, ...]] = ()

    def judged(self, request: Request, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a JSON document
        """The verdict on a request, or with `more` on its answer."""
        method = "AuthZPlugin.AuthZRes" if more else "AuthZPlugin.AuthZReq"
        members = {
            "User": request.user,
            "RequestMethod": request.method,
            "RequestUri": request.uri,
            "RequestHeaders": request.headers,
            "RequestBody": b64encode(request.body).decode(),
        }
        return self.ask(method, **members, **more)

    def test_requests_are_judged(self) -> None:
        """Each is let through or not, as the driver's author says, and who is not is told why."""
        assert self.allowed or self.denied or self.address, "the suite has no requests: allowed = (…), denied = (…)"
        for request in self.allowed:
            assert self.judged(request)["Allow"] is True, request
        for request in self.denied:
            try:
                verdict = self.judged(request)
            except Refusal:
                continue
            assert verdict["Allow"] is False, request
            assert verdict.get("Msg"), f"nobody is told why {request.method} {request.uri} was refused"

    def test_the_same_is_judged_the_same(self) -> None:
        """A verdict does not hang on how often it was asked for."""
        for request in self.allowed:
            assert [self.judged(request)["Allow"] for _ in range(3)] == [True] * 3

    def test_answers_are_judged(self) -> None:
        """The second phase: what was let in may come out."""
        for request in self.allowed:
            body = b64encode(b'{"Id": "1"}').decode()
            said = self.judged(request, ResponseStatusCode=200, ResponseHeaders={}, ResponseBody=body)
            assert isinstance(said["Allow"], bool)

    def test_what_cannot_be_read_is_not_let_through(self) -> None:
        """A driver that fails has allowed nothing."""
        try:
            verdict = self.ask("AuthZPlugin.AuthZReq", RequestMethod="GET", RequestUri="/", RequestBody="?no base64?")
        except Refusal:
            return
        assert verdict["Allow"] is False

    def test_a_large_body_is_judged(self) -> None:
        """The daemon shows bodies of a megabyte."""
        request = Request(method="POST", uri="/v1.51/containers/create", body=b" " * (1 << 20))
        try:
            assert isinstance(self.judged(request)["Allow"], bool)
        except Refusal:
            pass
