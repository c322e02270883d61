"""Ranges for containers: filled around what is fixed, first fit, never twice."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.daemon.user_ranges import Range, fill
from sampan.daemon.userns_mode import Asked, parse
from sampan.daemon.users import Users, check, kept_user
from sampan.errors import InvalidParameter, System
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId
from sampan.spec.user_maps import Rows, UserMaps

POOL = [(1000, 100), (5000, 50)]


@pytest.mark.parametrize(
    ("size", "fixed", "taken", "rows"),
    [
        (10, (), [], ((0, 1000, 10),)),
        (10, (), [(1000, 10)], ((0, 1010, 10),)),
        (10, (), [(1005, 1)], ((0, 1006, 10),)),
        (5, (), [(1005, 1)], ((0, 1000, 5),)),
        (60, (), [(1050, 1)], None),
        (50, (), [(1040, 20)], ((0, 5000, 50),)),
        (10, ((3, 7, 1),), [], ((0, 1000, 3), (3, 7, 1), (4, 1003, 6))),
        (10, ((0, 7, 1),), [], ((0, 7, 1), (1, 1000, 9))),
        (10, ((50, 7, 1),), [], ((0, 1000, 10), (50, 7, 1))),
        (10, ((2, 1004, 1),), [], ((0, 1005, 2), (2, 1004, 1), (3, 1007, 7))),
        (2, ((0, 7, 2),), [], ((0, 7, 2),)),
    ],
)
def test_a_map_is_filled(size: int, fixed: Rows, taken: list[Range], rows: Rows | None) -> None:
    if rows is None:
        with pytest.raises(System, match="no 60 uids in a row are free"):
            fill(size, fixed, POOL, taken, "uid")
    else:
        assert fill(size, fixed, POOL, taken, "uid") == rows


@given(st.lists(st.integers(1, 40), max_size=12), st.randoms())
def test_no_id_of_the_host_is_given_twice(sizes: list[int], random: Random) -> None:
    """Whatever comes and goes: each of the host's ids is one container's, and one of the pool's."""
    held: list[Rows] = []
    for size in sizes:
        if held and random.random() < 0.3:
            held.pop(random.randrange(len(held)))
        taken = [(host, count) for rows in held for _, host, count in rows]
        try:
            held.append(fill(size, (), POOL, taken, "uid"))
        except System:
            continue
    given_out = [identity for rows in held for _, host, count in rows for identity in range(host, host + count)]
    assert len(given_out) == len(set(given_out))
    assert set(given_out) <= {*range(1000, 1100), *range(5000, 5050)}


def users(given_out: list[UserMaps], default: UserMaps | None = None) -> Users:
    return Users(default, lambda _kind: POOL, lambda: given_out, lambda name: given_out[int(name)])


def test_what_is_being_made_is_taken() -> None:
    book = users([])
    first = book.take(ContainerId("a"), parse("auto:size=10"), None)
    second = book.take(ContainerId("b"), parse("auto:size=10"), None)
    assert [maps.uids for maps in (first, second) if maps] == [((0, 1000, 10),), ((0, 1010, 10),)]
    book.settled(ContainerId("a"))
    third = book.take(ContainerId("c"), parse("auto:size=10"), None)
    assert third == first, "it was not made after all"


def test_modes_become_maps() -> None:
    remap = UserMaps(((0, 1000, 20),), ((0, 5000, 20),))
    book = users([remap], remap)
    name = ContainerId("a")
    assert book.take(name, Asked("host"), None) is None
    assert book.take(name, Asked("default"), None) is remap
    assert book.take(name, parse("container:0"), None) is remap
    assert book.take(name, parse("keep-id:size=10"), (7, 8)) == UserMaps(
        ((0, 1020, 7), (7, 7, 1), (8, 1027, 2)), ((0, 1000, 8), (8, 8, 1), (9, 1008, 1))
    )
    assert kept_user(parse("keep-id"), (7, 8)) == "7:8"
    assert kept_user(parse("keep-id:uid=1"), (7, 8)) == "1:8"
    assert kept_user(parse("auto"), (7, 8)) == ""


@pytest.mark.parametrize(("caller", "words"), [(None, "unix socket"), ((0, 0), "the caller is root")])
def test_keep_id_needs_somebody_to_keep(caller: tuple[int, int] | None, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        users([]).take(ContainerId("a"), parse("keep-id"), caller)


def test_what_goes_with_no_users_of_its_own() -> None:
    maps = UserMaps(((0, 1, 1),), ((0, 1, 1),))
    for host in (HostConfig(privileged=True), HostConfig(network_mode="host"), HostConfig(pid_mode="host")):
        check(host, None)
        with pytest.raises(InvalidParameter, match="user namespaces"):
            check(host, maps)
    check(HostConfig(ipc_mode="host", uts_mode="host"), maps)
