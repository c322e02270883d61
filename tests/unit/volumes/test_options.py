import pytest

from sampan.errors import InvalidParameter
from sampan.kernel.mount import MS
from sampan.volumes.options import check, is_mounted, size_of, wish


def resolve(name: str) -> str:
    return {"server": "192.0.2.7", "server.example": "2001:db8::1", "2001:db8::9": "2001:db8::9"}[name]


@pytest.mark.parametrize(
    ("options", "device", "flags", "data"),
    [
        ({"type": "tmpfs", "device": "tmpfs"}, "tmpfs", MS(0), ""),
        ({"type": "tmpfs", "device": "x", "o": "size=1m,nosuid,ro,rw"}, "x", MS.NOSUID, "size=1m"),
        ({"type": "none", "device": "/a", "o": "rbind,rslave,defaults"}, "/a", MS.BIND | MS.REC | MS.SLAVE, ""),
        ({"type": "nfs", "device": ":/x", "o": "addr=server,rw,nolock"}, ":/x", MS(0), "addr=192.0.2.7,nolock"),
        ({"type": "nfs", "device": ":/x", "o": "addr=192.0.2.1"}, ":/x", MS(0), "addr=192.0.2.1"),
        ({"type": "nfs4", "device": ":/x", "o": "addr=server"}, ":/x", MS(0), "addr=server"),
        ({"type": "cifs", "device": "//server/share"}, "//192.0.2.7/share", MS(0), ""),
        ({"type": "cifs", "device": "//192.0.2.9/a b"}, "//192.0.2.9/a b", MS(0), ""),
        ({"type": "cifs", "device": "//me@server/a%20b"}, "//me@192.0.2.7/a b", MS(0), ""),
        ({"type": "cifs", "device": "//server.example/s", "o": "ro"}, "//2001:db8::1/s", MS.RDONLY, ""),
        (
            {"type": "nfs", "device": "x:/y", "o": "soft,addr=server,addr=server"},
            "x:/y",
            MS(0),
            "soft,addr=192.0.2.7,addr=server",
        ),
        ({"type": "nfs", "device": ":/x", "o": "addr=2001:db8::9"}, ":/x", MS(0), "addr=2001:db8::9"),
        ({"type": "nfs", "device": "server:/x", "o": "vers=4"}, "server:/x", MS(0), "vers=4"),
        ({"type": "cifs", "device": "//x/y", "o": "addr=server"}, "//x/y", MS(0), "addr=192.0.2.7"),
    ],
)
def test_the_mount_that_is_meant(options: dict[str, str], device: str, flags: MS, data: str) -> None:
    check(options, quotas=False)
    found = wish(options, resolve)
    assert (found.device, found.kind, found.flags, found.data) == (device, options["type"], flags, data)
    assert is_mounted(options)


def test_a_password_is_not_shown() -> None:
    found = wish({"type": "cifs", "device": "//192.0.2.9/x", "o": "username=u,password=secret,vers=3"}, resolve)
    assert found.data == "username=u,password=secret,vers=3"
    assert found.shown == "username=u,password=********,vers=3"


def test_a_bound_needs_quotas() -> None:
    with pytest.raises(InvalidParameter, match="quota size requested but no quota support"):
        check({"size": "10m"}, quotas=False)
    check({"size": "10m"}, quotas=True)
    check({"size": "0"}, quotas=False)
    assert size_of({"size": "10m"}) == 10 << 20
    assert size_of({}) == 0
    assert not is_mounted({"size": "10m"})


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="NUL"):
        check({"type": "none", "device": "/a\0b"}, quotas=False)


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("//host:445/x", "port not allowed in CIFS device URL, include 'port' in 'o='"),
        ("//host:bad/x", 'error parsing mount device url: parse "//host:bad/x": invalid port ":bad" after host'),
        ("//host/%zz", 'error parsing mount device url: parse "//host/%zz": invalid URL escape "%zz"'),
        ("//host/a%2", 'error parsing mount device url: parse "//host/a%2": invalid URL escape "%2"'),
        ("//host:/x", ""),
        ("//[2001:db8::1]/x", ""),
        ("//[2001:db8::1]:445/x", "port not allowed in CIFS device URL, include 'port' in 'o='"),
    ],
)
def test_ports_of_cifs(device: str, text: str) -> None:
    options = {"type": "cifs", "device": device}
    if not text:
        check(options, quotas=False)
        return
    with pytest.raises(InvalidParameter) as caught:
        check(options, quotas=False)
    assert str(caught.value) == text
