"""What userns modes mean, and which maps the kernel would not take."""

import pytest

from sampan.daemon import rootless
from sampan.daemon.userns_mode import ANNOTATION, Asked, asked, check, parse
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.spec.host_config import HostConfig
from sampan.spec.user_maps import Rows, UserMaps, on_host


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", Asked("default")),
        ("host", Asked("host")),
        ("auto", Asked("auto")),
        ("auto:", Asked("auto")),
        ("auto:size=1000", Asked("auto", 1000)),
        ("auto:uidmapping=5:500:2,gidmapping=6:600", Asked("auto", uids=((5, 500, 2),), gids=((6, 600, 1),))),
        ("keep-id", Asked("keep-id")),
        ("keep-id:uid=0,gid=7,size=9", Asked("keep-id", 9, uid=0, gid=7)),
        ("nomap", Asked("nomap")),
        ("container:web", Asked("container", donor="web")),
        ("private:uidmapping=0:1:2", Asked("private", uids=((0, 1, 2),), gids=((0, 1, 2),))),
        (
            "private:uidmapping=0:1:2,uidmapping=2:9:1,gidmapping=0:5:1",
            Asked("private", uids=((0, 1, 2), (2, 9, 1)), gids=((0, 5, 1),)),
        ),
    ],
)
def test_what_a_mode_means(text: str, meaning: Asked) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "x", "hostile", "auto:size", "auto:size=", "auto:size=0", "auto:size=-1", "auto:size=99999999999", "auto:uid=1",
        "keep-id:uidmapping=0:0:1", "keep-id:uid=x", "nomap:uid=1", "container:", "private", "private:", "private:size=1",
        "auto:uidmapping=1", "auto:uidmapping=a:b:c", "auto:uidmapping=1:2:3:4", "auto:uidmapping=1:99999999999:1",
        "auto:size=1,,size=2", "private:uidmapping=1:1:1", "private:uidmapping=0:0:0", "private:uidmapping=0:4294967295:1",
        f"auto:size={'9' * 5000}", f"auto:uidmapping=0:{'9' * 5000}:1",
    ],
)  # fmt: skip
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse(text)


def test_an_annotation_speaks_where_the_mode_does_not() -> None:
    annotations = {ANNOTATION: "auto:size=5"}
    assert asked(HostConfig(annotations=annotations)) == Asked("auto", 5)
    assert asked(HostConfig(annotations=annotations, userns_mode="host")) == Asked("host")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (((0, 1, 5), (4, 100, 1)), "overlap in the container"),
        (((0, 1, 5), (5, 5, 1)), "overlap on the host"),
        (((1, 1, 1),), "has 0"),
        (tuple((number, number * 2, 1) for number in range(341)), "at most 340"),
    ],
)
def test_maps_that_the_kernel_refuses(rows: Rows, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        check(rows, "uid")


def test_the_host_s_id_of_one_inside() -> None:
    maps = UserMaps(((0, 100, 5), (5, 9000, 1)), ((0, 200, 1),))
    assert maps.root == (100, 200)
    assert [on_host(maps.uids, inside) for inside in (0, 4, 5)] == [100, 104, 9000]
    with pytest.raises(ValueError, match="6 is not mapped"):
        on_host(maps.uids, 6)


@pytest.mark.parametrize("mode", ["auto", "keep-id", "nomap", "private:uidmapping=0:1:2", "container:web"])
def test_an_ordinary_user_s_daemon_has_no_users_to_give(mode: str) -> None:
    with pytest.raises(NotImplementedHere, match="rootless mode"):
        rootless.refuse(HostConfig(userns_mode=mode), without_groups=False)
    rootless.refuse(HostConfig(userns_mode="host"), without_groups=False)
