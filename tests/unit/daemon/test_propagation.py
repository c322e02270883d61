from pathlib import Path

import pytest

from sampan.daemon import propagation
from sampan.errors import InvalidParameter, System

_TABLE = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda rw
30 21 0:1 / /srv rw shared:5 - tmpfs tmpfs rw
31 30 0:2 / /srv/with\\040blank rw master:5 propagate_from:2 - tmpfs tmpfs rw
32 30 0:3 / /srv/both rw shared:7 master:5 - tmpfs tmpfs rw
33 21 0:4 / /srvx rw - tmpfs tmpfs rw
34 21 0:5 / /srv rw shared:9 - tmpfs over rw
"""


@pytest.fixture(autouse=True)
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(_TABLE)
    monkeypatch.setattr(propagation, "_TABLE", str(tmp_path / "mountinfo"))


@pytest.mark.parametrize(
    ("path", "place", "peers"),
    [
        ("/", "/", set()),
        ("/nosuch/deep", "/", set()),
        ("/srvx/a", "/srvx", set()),
        ("/srv/with blank/x", "/srv/with blank", {"master", "propagate_from"}),
        ("/srv/both", "/srv/both", {"shared", "master"}),
        ("/srv", "/srv", {"shared"}),
    ],
)
def test_the_mount_that_a_path_lies_on(path: str, place: str, peers: set[str]) -> None:
    assert propagation.mount_of(path) == (place, peers)


@pytest.mark.parametrize(
    ("source", "mode", "text"),
    [
        ("/x", "rprivate", ""),
        ("/x", "rshared", "path /x is mounted on / but it is not a shared mount"),
        ("/x", "slave", "path /x is mounted on / but it is not a shared or slave mount"),
        ("/srv/with blank", "rslave", ""),
        (
            "/srv/with blank",
            "shared",
            "path /srv/with blank is mounted on /srv/with blank but it is not a shared mount",
        ),
        ("/srv/both/y", "rshared", ""),
        ("/data/in", "rslave", ""),
        ("/", "rslave", ""),
    ],
)
def test_promises_that_can_be_kept(source: str, mode: str, text: str) -> None:
    if not text:
        propagation.check(source, mode, "/data")
        return
    with pytest.raises(System) as caught:
        propagation.check(source, mode, "/data")
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("source", "asked", "mode"),
    [("/", "", "rslave"), ("/data", "", "rslave"), ("/data/in", "rshared", "rshared"), ("/dat", "private", "")],
)
def test_binds_of_the_data_root(source: str, asked: str, mode: str) -> None:
    assert propagation.of_data(source, asked, "/data") == mode


def test_modes_that_would_keep_what_the_engine_unmounts() -> None:
    with pytest.raises(
        InvalidParameter, match='daemon root: "/data", bind mount source: "/data/x", propagation: "rprivate"'
    ):
        propagation.of_data("/data/x", "rprivate", "/data")
