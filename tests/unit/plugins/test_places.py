import os
import socket
from pathlib import Path

import pytest

from sampan.plugins.faults import PluginFailed
from sampan.plugins.places import Address, Places, parse_address


def _socket(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("sockets", "etc", "lib"):
        (tmp_path / name).mkdir()
    return Places((tmp_path / "sockets",), (tmp_path / "etc", tmp_path / "lib"))


def test_a_socket_comes_before_files(places: Places, tmp_path: Path) -> None:
    (tmp_path / "etc" / "flocker.spec").write_text("unix:///other.sock")
    _socket(tmp_path / "sockets" / "flocker.sock")
    assert places.find("flocker") == Address(socket=str(tmp_path / "sockets" / "flocker.sock"))


def test_a_socket_may_lie_in_a_directory_of_its_own(places: Places, tmp_path: Path) -> None:
    _socket(tmp_path / "sockets" / "flocker" / "flocker.sock")
    assert places.find("flocker") == Address(socket=str(tmp_path / "sockets" / "flocker" / "flocker.sock"))
    assert places.names("VolumeDriver") == ("flocker",)


def test_etc_comes_before_lib_and_spec_before_json(places: Places, tmp_path: Path) -> None:
    (tmp_path / "lib" / "a.spec").write_text("tcp://lib:1")
    (tmp_path / "etc" / "a.json").write_text('{"Addr": "tcp://etc:2"}')
    assert places.find("a") == Address(host="etc", port=2)
    (tmp_path / "etc" / "a").mkdir()
    (tmp_path / "etc" / "a" / "a.spec").write_text(" unix:///run/a.sock\n")
    assert places.find("a") == Address(socket="/run/a.sock")
    assert places.names("VolumeDriver") == ("a",)


def test_json_tells_of_tls(places: Places, tmp_path: Path) -> None:
    document = '{"Name": "x", "Addr": "https://h:8080/base", "TLSConfig": {"CAFile": "/ca", "CertFile": "/c", "KeyFile": "/k"}}'
    (tmp_path / "lib" / "x.json").write_text(document)
    found = places.find("x")
    assert found is not None
    assert (found.host, found.port) == ("h", 8080)
    assert found.tls is not None
    assert (found.tls.ca_file, found.tls.cert_file, found.tls.key_file) == ("/ca", "/c", "/k")
    assert not found.tls.insecure_skip_verify


def test_without_an_authority_nothing_is_verified_as_in_docker(places: Places, tmp_path: Path) -> None:
    (tmp_path / "lib" / "x.json").write_text('{"Addr": "https://h:1", "TLSConfig": {}}')
    found = places.find("x")
    assert found is not None
    assert found.tls is not None
    assert found.tls.insecure_skip_verify


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "../etc", "a\0b", "-a", "a\n", "ä", "a" * 300, "vieux/sshfs:latest"]
)
def test_what_is_no_file_name_is_no_plugin(places: Places, tmp_path: Path, name: str) -> None:
    (tmp_path / "etc" / "b.spec").write_text("unix:///x")
    assert places.find(name) is None


@pytest.mark.parametrize(
    "text", ["", "plain", "ftp://h:1", "unix://relative", "unix://host/path", "tcp://", "tcp://h:99999", "tcp://[::1"]
)
def test_addresses_that_are_none(places: Places, tmp_path: Path, text: str) -> None:
    (tmp_path / "etc" / "a.spec").write_text(text)
    with pytest.raises(PluginFailed):
        places.find("a")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Addr": 5}', "[" * 5000, '{"Addr": "unix:///a"' + " " * 70000 + "}"])
def test_documents_that_are_none(places: Places, tmp_path: Path, text: str) -> None:
    (tmp_path / "etc" / "a.json").write_text(text)
    with pytest.raises(PluginFailed):
        places.find("a")


def test_a_fifo_in_place_of_a_file_is_not_waited_for(places: Places, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "etc" / "a.spec")
    with pytest.raises(PluginFailed, match="not a regular file"):
        places.find("a")


def test_a_plain_file_is_no_socket(places: Places, tmp_path: Path) -> None:
    (tmp_path / "sockets" / "a.sock").write_text("")
    assert places.find("a") is None
    assert places.names("VolumeDriver") == ()


def test_ipv6_and_default_ports() -> None:
    assert parse_address("tcp://[::1]:5") == Address(host="::1", port=5)
    assert parse_address("http://h").port == 80
