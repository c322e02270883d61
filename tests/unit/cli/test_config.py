"""Which daemon: -H, --context, the environment, config.json; and files as the docker command writes them."""

import hashlib
import json
from pathlib import Path

import pytest

from sampan.cli.config import Globals, context_directory, context_name, find_address, read_config
from sampan.cli.failures import Exit
from sampan.client.address import DEFAULT_SOCKET


def given(tmp_path: Path, environ: dict[str, str] | None = None, host: str = "", context: str = "") -> Globals:
    found = Globals({"HOME": str(tmp_path), **(environ or {})})
    found.host, found.context = host, context
    return found


def write_context(config_dir: Path, name: str, host: str, tls: bool = False) -> None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = config_dir / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if tls:
        material = config_dir / "contexts" / "tls" / digest / "docker"
        material.mkdir(parents=True)
        for part in ("ca.pem", "cert.pem", "key.pem"):
            (material / part).write_text("")


@pytest.mark.parametrize(
    ("environ", "host", "context", "config", "name"),
    [
        ({}, "", "", {}, "default"),
        ({}, "", "", {"currentContext": "c"}, "c"),
        ({"DOCKER_CONTEXT": "e"}, "", "", {"currentContext": "c"}, "e"),
        ({"DOCKER_CONTEXT": "e", "DOCKER_HOST": "unix:///x"}, "", "", {"currentContext": "c"}, "default"),
        ({"DOCKER_HOST": "unix:///x"}, "", "o", {}, "o"),
        ({"DOCKER_CONTEXT": "e"}, "unix:///x", "", {"currentContext": "c"}, "default"),
    ],
)
def test_order_of_precedence(
    environ: dict[str, str], host: str, context: str, config: dict[str, str], name: str, tmp_path: Path
) -> None:
    assert context_name(given(tmp_path, environ, host, context), {**config}) == name


def test_host_and_context_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(Exit, match="cannot specify both --host and --context"):
        context_name(given(tmp_path, host="unix:///x", context="c"), {})


def test_addresses_of_each_source(tmp_path: Path) -> None:
    write_context(tmp_path / ".docker", "mine", "unix:///mine.sock")
    assert find_address(given(tmp_path), {}).path == DEFAULT_SOCKET
    assert find_address(given(tmp_path, {"DOCKER_HOST": "unix:///e"}), {}).path == "/e"
    assert find_address(given(tmp_path, {"DOCKER_HOST": "unix:///e"}, host="unix:///h"), {}).path == "/h"
    assert find_address(given(tmp_path, context="mine"), {}).path == "/mine.sock"
    assert find_address(given(tmp_path), {"currentContext": "mine"}).path == "/mine.sock"


def test_unknown_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exit, match='context "nope": context not found'):
        find_address(given(tmp_path, context="nope"), {})


def test_tls_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "cert.pem").write_text("")
    environ = {"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    address = find_address(given(tmp_path, environ), {})
    assert (address.host, address.port) == ("h", 2376)
    assert address.tls is not None
    assert (address.tls.ca, address.tls.cert, address.tls.key, address.tls.verify) == (
        str(tmp_path / "ca.pem"), str(tmp_path / "cert.pem"), "", True,
    )  # fmt: skip


def test_tls_of_a_context(tmp_path: Path) -> None:
    write_context(tmp_path / ".docker", "far", "tcp://far:2376", tls=True)
    address = find_address(given(tmp_path, context="far"), {})
    assert address.tls is not None
    assert address.tls.verify
    assert address.tls.ca.startswith(context_directory(str(tmp_path / ".docker"), "tls", "far"))


def test_without_tls_none_is_spoken(tmp_path: Path) -> None:
    assert find_address(given(tmp_path, {"DOCKER_HOST": "tcp://h"}), {}).tls is None


def test_a_broken_configuration_is_said_and_not_fatal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{broken")
    assert read_config(str(tmp_path)) == {}
    assert "WARNING: Error loading config file" in capfd.readouterr().err
    assert read_config(str(tmp_path / "missing")) == {}
