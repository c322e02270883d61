"""Plugins that speak TLS, found by .json and .spec: whom the daemon believes, and as whom it comes. Certificates are made here."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Places
from sampan.plugins.plugins import Plugins
from tests.plugin_servers import ServedPlugin, served_by_tls

CONFIGURATION = """
[ca]
default_ca = here
[here]
database = {0}/index
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test's own."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.pem"

    def issue(self, name: str, names: str, since: str = "20200101000000Z", until: str = "20990101000000Z") -> Path:
        """A certificate beside its key (`key`), for these alternative names."""
        here = self.directory
        key, request, certificate = (here / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
        openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)),
            *("-out", str(request), "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"),
        )
        openssl(
            *("ca", "-batch", "-notext", "-config", str(here / "conf"), "-cert", str(self.certificate)),
            *("-keyfile", str(here / "ca.key"), "-in", str(request), "-out", str(certificate)),
            *("-startdate", since, "-enddate", until),
        )
        return certificate


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def authority(directory: Path) -> Authority:
    directory.mkdir()
    (directory / "conf").write_text(CONFIGURATION.format(directory))
    (directory / "index").touch()
    (directory / "serial").write_text("1000\n")
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-keyout", str(directory / "ca.key"), "-out", str(directory / "ca.pem"), "-subj", f"/CN={directory.name}"),
    )
    return Authority(directory)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls") / "theirs")


@contextmanager
def speaking(certificate: Path, clients: Authority | None = None) -> Iterator[tuple[ServedPlugin, int]]:
    """A plugin with that certificate; with `clients` it wants one of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    if clients is not None:
        context.load_verify_locations(clients.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    with served_by_tls(context, "VolumeDriver", {}) as served:
        yield served


def found(directory: Path, port: int, host: str = "localhost", **tls: Any) -> tuple[str, ...]:
    """What the plugin implements that a .json file there tells of. Raises PluginFailed."""
    directory.joinpath("p.json").write_text(
        json.dumps({"Name": "p", "Addr": f"https://{host}:{port}", "TLSConfig": tls})
    )
    return asked(directory)


def asked(directory: Path) -> tuple[str, ...]:
    async def work() -> tuple[str, ...]:
        return (await Plugins([Places.only((directory,))]).get("p", "VolumeDriver", patience=0)).implements

    return asyncio.run(asyncio.wait_for(work(), 30))


def test_one_whose_authority_is_known(tmp_path: Path, ours: Authority) -> None:
    with speaking(ours.issue("known", "DNS:localhost,IP:127.0.0.1")) as (plugin, port):
        for host in ("localhost", "127.0.0.1"):
            assert found(tmp_path, port, host, CAFile=str(ours.certificate)) == ("VolumeDriver",)
    assert plugin.headers[0]["Host"] == "localhost"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("another authority", "unable to get local issuer certificate"),
        ("another name", "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("expired", "certificate has expired"),
        ("not yet", "certificate is not yet valid"),
    ],
)
def test_one_that_is_not_believed(tmp_path: Path, ours: Authority, theirs: Authority, case: str, words: str) -> None:
    issued = {
        "another authority": lambda: theirs.issue("other", "DNS:localhost"),
        "another name": lambda: ours.issue("elsewhere", "DNS:plugin.example"),
        "expired": lambda: ours.issue("old", "DNS:localhost", until="20210101000000Z"),
        "not yet": lambda: ours.issue("new", "DNS:localhost", since="20980101000000Z"),
    }[case]()
    with speaking(issued) as (plugin, port):
        with pytest.raises(PluginFailed, match=f"dial https://localhost:{port}: .*{words}"):
            found(tmp_path, port, CAFile=str(ours.certificate))
        assert plugin.calls == []
        # Docker's word for it: whoever it is, he is asked.
        assert found(tmp_path, port, CAFile=str(ours.certificate), InsecureSkipVerify=True) == ("VolumeDriver",)
        assert found(tmp_path, port) == ("VolumeDriver",)  # without CAFile nobody is verified


def test_one_that_wants_to_know_who_asks(tmp_path: Path, ours: Authority, theirs: Authority) -> None:
    server, client = ours.issue("server", "DNS:localhost"), theirs.issue("client", "DNS:engine")
    stranger = ours.issue("stranger", "DNS:engine")
    ca = {"CAFile": str(ours.certificate)}

    def as_(certificate: Path) -> dict[str, str]:
        return {**ca, "CertFile": str(certificate), "KeyFile": str(certificate.with_suffix(".key"))}

    with speaking(server, clients=theirs) as (plugin, port):
        assert found(tmp_path, port, **as_(client)) == ("VolumeDriver",)
        asked_before = len(plugin.calls)
        for more in (ca, as_(stranger)):
            with pytest.raises(PluginFailed, match=r"plugin p: Plugin.Activate: .*(?i:certificate|unknown ca|reset)"):
                found(tmp_path, port, **more)
        assert len(plugin.calls) == asked_before


@pytest.mark.parametrize(
    "files", [{"CAFile": "missing"}, {"CertFile": "missing", "KeyFile": "missing"}, {"CAFile": "p.json"}]
)
def test_files_that_are_none(tmp_path: Path, ours: Authority, files: dict[str, str]) -> None:
    with speaking(ours.issue("files", "DNS:localhost")) as (plugin, port):
        with pytest.raises(PluginFailed, match=f"plugin p: Plugin.Activate: dial https://localhost:{port}: "):
            found(tmp_path, port, **{name: str(tmp_path / file) for name, file in files.items()})
        assert plugin.calls == []


def test_a_spec_verifies_nobody_and_only_https_is_tls(tmp_path: Path, theirs: Authority) -> None:
    with speaking(theirs.issue("spec", "DNS:elsewhere")) as (plugin, port):
        (tmp_path / "p.spec").write_text(f"https://localhost:{port}\n")
        assert asked(tmp_path) == ("VolumeDriver",)
        (tmp_path / "p.spec").write_text(f"tcp://localhost:{port}\n")
        with pytest.raises(PluginFailed):
            asked(tmp_path)
    assert len(plugin.calls) == 1
