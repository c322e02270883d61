"""The command over TCP with TLS: certificates by DOCKER_CERT_PATH, checked on both sides; streams and exit codes through it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.certificates import make_certificate
from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "docker-client", "busybox")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sampan, dict[str, str]]]:
    directory = tmp_path_factory.mktemp("certificates")
    make_certificate(directory)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--host", f"tcp://127.0.0.1:{port}", "--tlsverify"]
    for name, file in (("tlscacert", "ca.pem"), ("tlscert", "cert.pem"), ("tlskey", "key.pem")):
        flags += [f"--{name}", str(directory / file)]
    with running_sampan(*flags) as sampan:
        sampan.load_busybox()
        address = {
            "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(directory),
        }
        yield sampan, address


def test_streams_and_exit_code(secured: tuple[Sampan, dict[str, str]]) -> None:
    sampan, address = secured
    program = "cat; echo err >&2; exit 6"
    data = bytes(range(256)) * 4000
    outcome = sampan.sampan(
        "run", "--rm", "-i", "--net", "none", "busybox", "sh", "-c", program, stdin=data, env=address
    )
    assert (outcome.code, outcome.err) == (6, b"err\n")
    assert outcome.out == data


def test_listing_and_archives(secured: tuple[Sampan, dict[str, str]]) -> None:
    sampan, address = secured
    assert set(sampan.sampan("images", "--format", "{{.Repository}}", env=address).text.split()) == {"busybox", "host"}
    saved = sampan.sampan("save", "busybox", env=address)
    assert sampan.sampan("load", stdin=saved.out, env=address).text == "Loaded image: busybox:latest"


def test_without_a_certificate_nobody_gets_in(secured: tuple[Sampan, dict[str, str]], tmp_path: Path) -> None:
    sampan, address = secured
    (tmp_path / "ca.pem").write_bytes((Path(address["DOCKER_CERT_PATH"]) / "ca.pem").read_bytes())
    outcome = sampan.sampan("ps", env={**address, "DOCKER_CERT_PATH": str(tmp_path)})
    assert (outcome.code, outcome.out) == (1, b"")


def test_an_unknown_authority_is_refused(secured: tuple[Sampan, dict[str, str]], tmp_path: Path) -> None:
    sampan, address = secured
    make_certificate(tmp_path)
    outcome = sampan.sampan("ps", env={**address, "DOCKER_CERT_PATH": str(tmp_path)})
    assert outcome.code == 1
    assert b"CERTIFICATE_VERIFY_FAILED" in outcome.err


def test_without_tls_nothing_is_said(secured: tuple[Sampan, dict[str, str]]) -> None:
    sampan, address = secured
    outcome = sampan.sampan("ps", env={"DOCKER_HOST": address["DOCKER_HOST"]})
    assert (outcome.code, outcome.out) == (1, b"")
