"""Archives through the API and Docker's own command: progress, platforms, imports from an address, exports."""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.archives import busybox_rootfs
from tests.daemons import Sampan
from tests.oci_archives import OciArchive
from tests.requires import requires

pytestmark = requires("root", "overlay", "docker-client")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/root.tar":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(busybox_rootfs())))
        self.end_headers()
        self.wfile.write(busybox_rootfs())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()
    thread.join()
    made.server_close()


def lines(body: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in body.splitlines()]


def test_import_from_an_address(engine: Sampan, address: str) -> None:
    options = ("--platform", "linux/arm64", "-m", "from afar", "-c", 'CMD ["sh", "-c", "echo here"]')
    outcome = engine.docker("import", *options, f"{address}/root.tar", "afar:1")
    assert outcome.code == 0, outcome
    shown = engine.docker("image", "inspect", "-f", "{{.Architecture}} {{.Comment}} {{.Config.Cmd}}", "afar:1").text
    assert shown == "arm64 from afar [sh -c echo here]"
    answer = engine.api("POST", f"/v1.48/images/create?fromSrc={address}/root.tar&repo=afar&tag=2")
    steps = lines(answer.body)
    assert steps[0] == {"status": f"Downloading from {address}/root.tar"}
    assert {step["status"] for step in steps[1:-1]} <= {"Importing"}
    assert str(steps[-1]["status"]).startswith("sha256:")
    assert engine.docker("run", "--rm", "--network=none", "afar:2", "cat", "/etc/group").code == 0


def test_an_address_with_nothing_there(engine: Sampan, address: str) -> None:
    answer = engine.api("POST", f"/v1.48/images/create?fromSrc={address}/none&repo=none")
    assert answer.status == 404
    assert f"failed to GET {address}/none with status 404 Not Found" in str(answer.json())
    assert engine.api("POST", "/v1.48/images/create?fromSrc=file:///etc/passwd&repo=none").status == 400


def test_export_and_import_again(engine: Sampan) -> None:
    engine.load_busybox()
    name = engine.docker("create", "--network=none", "busybox", "true").text
    exported = engine.docker("export", name)
    assert engine.docker("import", "-", "flat:1", stdin=exported.out).code == 0
    again = engine.docker("create", "--network=none", "flat:1", "true").text
    first, second = (names(engine.docker("export", each).out) for each in (name, again))
    assert first == second


def names(archive: bytes) -> dict[str, tuple[object, ...]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            m.name: (m.type, m.mode, m.uid, m.gid, m.size, m.linkname)
            for m in tar
            if m.name not in ("dev", "proc", "sys")
        }


def test_platforms_of_save_and_load(engine: Sampan) -> None:
    archive = OciArchive()
    images = {name: archive.image([busybox_rootfs()], architecture=name) for name in ("amd64", "arm64")}
    archive.name(archive.index(list(images.values())), "docker.io/library/both:1")
    outcome = engine.docker("load", "--platform", "linux/arm64", stdin=archive.tar())
    assert outcome.text.endswith("Loaded image: both:1"), outcome
    assert engine.docker("image", "inspect", "-f", "{{.Architecture}}", "both:1").text == "arm64"
    refused = engine.docker("save", "--platform", "linux/amd64", "both:1")
    assert b"no suitable export target found for platform linux/amd64" in refused.err
    refused = engine.docker("load", "--platform", "linux/s390x", stdin=archive.tar())
    assert b"does not provide the specified platform (linux/s390x)" in refused.err
    saved = engine.sampan("save", "--platform", "linux/arm64", "both:1")
    assert saved.code == 0, saved
    with tarfile.open(fileobj=io.BytesIO(saved.out)) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        assert json.load(index)["manifests"][0]["digest"] == images["arm64"]["digest"]


def test_progress_of_a_load(engine: Sampan) -> None:
    archive = OciArchive()
    archive.name(archive.image([busybox_rootfs()], config={"Cmd": ["progress"]}), "docker.io/library/progress:1")
    told = lines(engine.api("POST", "/v1.48/images/load?quiet=0", archive.tar()).body)
    identity = hashlib.sha256(busybox_rootfs()).hexdigest()[:12]
    bars = [step for step in told if step.get("status") == "Loading layer"]
    # A layer that another test has brought needs no bar, as in Docker.
    assert all(step["id"] == identity for step in bars)
    assert [step for step in told if "stream" in step] == [{"stream": "Loaded image: progress:1\n"}]
    again = lines(engine.api("POST", "/v1.48/images/load?quiet=1", archive.tar()).body)
    assert again == [{"stream": "Loaded image: progress:1\n"}]
