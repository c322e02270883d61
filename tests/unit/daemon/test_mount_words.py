"""What `-v`, `--volumes-from` and `--tmpfs` say."""

import pytest

from sampan.daemon.mount_words import MountPoint, is_mode, parse_bind, parse_volumes_from, tmpfs_words
from sampan.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "point"),
    [
        (
            "/a//b/../c:/d/",
            MountPoint(type="bind", source="/a/c", destination="/d", propagation="rprivate", make_source=True),
        ),
        (
            "/a:/b:ro,rslave",
            MountPoint(
                type="bind",
                source="/a",
                destination="/b",
                mode="ro,rslave",
                rw=False,
                propagation="rslave",
                make_source=True,
            ),
        ),
        ("data:/b", MountPoint(type="volume", name="data", destination="/b")),
        ("data:/b:nocopy,z", MountPoint(type="volume", name="data", destination="/b", mode="nocopy,z", nocopy=True)),
        ("/b", MountPoint(type="volume", destination="/b", anonymous=True)),
    ],
)
def test_binds(text: str, point: MountPoint) -> None:
    assert parse_bind(text, "") == point


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid volume specification: ''"),
        (":/b", "invalid volume specification: ':/b'"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        ("/foo:rw", "invalid volume specification: '/foo:rw'"),
        ("/a:/b:rw,ro", "invalid mode: rw,ro"),
        ("/a:/b:nope", "invalid mode: nope"),
        ("/a:b", "invalid mount path: 'b' mount path must be absolute"),
        ("/a:/", "invalid specification: destination can't be '/'"),
        ("/a:/./", "destination can't be '/'"),
        ("x:/b:rshared", "field BindOptions must not be specified"),
        ("/a:/b:nocopy", "field VolumeOptions must not be specified"),
    ],
)
def test_binds_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_bind(text, "")
    assert message in str(caught.value)


def test_modes() -> None:
    assert [is_mode(text) for text in ("", "ro", "rw,Z,rshared", "ro,ro", "z,Z", "ro,", "cached")] == [
        True,
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_volumes_from() -> None:
    assert parse_volumes_from("web") == ("web", True)
    assert parse_volumes_from("web:ro,z") == ("web", False)
    for wrong in ("", "web:nocopy", "web:rslave", "web:what"):
        with pytest.raises(InvalidParameter):
            parse_volumes_from(wrong)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("noexec", "nosuid", "nodev")),
        ("exec", ("nosuid", "nodev", "exec")),
        ("size=1m,mode=700,size=2m", ("noexec", "nosuid", "nodev", "mode=700", "size=2m")),
        ("rw,ro,dev", ("noexec", "nosuid", "ro", "dev")),
    ],
)
def test_tmpfs(text: str, words: tuple[str, ...]) -> None:
    assert tmpfs_words(text) == words


def test_tmpfs_knows_its_words() -> None:
    with pytest.raises(InvalidParameter, match=r'Invalid tmpfs option \["lowerdir=/"\]'):
        tmpfs_words("lowerdir=/")
