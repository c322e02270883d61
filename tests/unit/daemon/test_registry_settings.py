"""What daemon.json may say of registries."""

import ipaddress
from pathlib import Path

import pytest

from sampan.daemon import registry_settings
from sampan.errors import InvalidParameter
from sampan.registry.settings import Proxies


def test_mirrors_once_and_with_a_slash() -> None:
    given = ("https://m.example", "https://m.example/", "http://n:5000/path")
    assert registry_settings.mirrors(given) == ("https://m.example/", "http://n:5000/path/")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("m:5000", "invalid mirror: no scheme specified for \"m:5000\": must use either 'https://' or 'http://'"),
        (
            "ftp://m",
            "invalid mirror: unsupported scheme \"ftp\" in \"ftp://m\": must use either 'https://' or 'http://'",
        ),
        ("https://m/?a", 'invalid mirror: query or fragment at end of the URI "https://m/?a"'),
        ("https://m/#a", 'invalid mirror: query or fragment at end of the URI "https://m/#a"'),
        (
            "https://me:secret@m/",
            'invalid mirror: username/password not allowed in URI "https://me:xxxxx@m/"',
        ),
    ],
)
def test_bad_mirrors(url: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        registry_settings.mirrors((url,))
    assert str(refused.value) == text


def test_insecure_names_and_networks() -> None:
    given = ("a.example:5000", "http://b.example", "10.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "[2001:db8::1]:5000")
    names, networks = registry_settings.insecure(given)
    assert names == {"a.example:5000", "b.example", "[2001:db8::1]:5000"}
    assert networks == (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("-a", "invalid index name (-a). Cannot begin or end with a hyphen"),
        ("ftp://a", "insecure registry ftp://a should not contain '://'"),
        ("a/b", 'insecure registry a/b is not valid: invalid host "a/b"'),
        ("a:99999", 'insecure registry a:99999 is not valid: invalid port "99999"'),
    ],
)
def test_bad_insecure_registries(entry: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        registry_settings.insecure((entry,))
    assert str(refused.value) == text


def test_proxies_of_the_configuration_come_first() -> None:
    environ = {"HTTP_PROXY": "http://e:1", "https_proxy": "http://e:2", "HTTPS_PROXY": "", "no_proxy": "x"}
    chosen = registry_settings.proxies(Proxies("http://c:1"), environ)
    assert chosen == Proxies("http://c:1", "http://e:2", "x")


def test_what_info_shows() -> None:
    known = registry_settings.settings(("https://m/",), ("a:1", "10.0.0.0/8"), Proxies(), Path("/etc/sampan"))
    assert known.certificates == (Path("/etc/sampan/certs.d"), Path("/etc/docker/certs.d"))
    found = registry_settings.shown(known)
    assert found.insecure_registry_cidrs == ("10.0.0.0/8", "::1/128", "127.0.0.0/8")
    assert found.mirrors == ("https://m/",)
    assert sorted(found.index_configs) == ["a:1", "docker.io"]
    assert (found.index_configs["docker.io"].secure, found.index_configs["a:1"].secure) == (True, False)
