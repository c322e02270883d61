import pytest

from sampan.build.cache.pruning import DAY, Budget, Disk, Item, Rule, chosen, parse_fields
from sampan.build.cache.records import Kind
from sampan.errors import InvalidParameter

NOW = 100 * DAY
DISK = Disk(total=1000 * 10**9, free=500 * 10**9)


def item(name: str, days: int = 1, size: int = 100, **members: object) -> Item:
    """One that was last used so many days ago."""
    used = NOW - days * DAY
    given = {"kind": Kind.REGULAR, "description": name, "uses": 0, **members}
    return Item(id=name, size=size, created=used, used=used, **given)  # type: ignore[arg-type]


def names(rule: Rule, *items: Item, disk: Disk = DISK) -> str:
    return "".join(one.id for one in chosen(items, rule, disk, NOW))


def test_without_limits_everything_that_may_goes() -> None:
    assert names(Rule(), item("a", 1), item("b", 2), item("c", in_use=True), item("d", shared=True)) == "ba"
    assert names(Rule(), item("e", kind=Kind.INTERNAL)) == ""
    assert (
        names(Rule(every=True), item("d", shared=True), item("e", kind=Kind.INTERNAL), item("c", in_use=True)) == "de"
    )


def test_only_what_was_not_used_for_so_long() -> None:
    assert names(Rule(unused=2 * DAY), item("a", 1), item("b", 3)) == "b"


@pytest.mark.parametrize(
    ("rule", "going"),
    [
        (Rule(most=400), ""),
        (Rule(most=250), "dc"),
        (Rule(reserved=150), "dcb"),
        (Rule(most=100, reserved=250), "dc"),
        (Rule(free=DISK.free + 150), "dc"),
        (Rule(free=DISK.free - 1), ""),
        (Rule(free=DISK.free + 1000, reserved=300), "d"),
        (Rule(most=100, unused=3 * DAY + 1), "d"),
        (Rule(free=DISK.free + 1000), "dcba"),
    ],
)
def test_a_budget_takes_the_least_recently_used_until_it_fits(rule: Rule, going: str) -> None:
    assert names(rule, *(item(name, day) for day, name in enumerate("abcd", 1))) == going


def test_what_images_share_counts_nothing() -> None:
    assert names(Rule(most=100), item("a", 1), item("b", 5, shared=True)) == ""
    assert names(Rule(every=True, most=50), item("a", 1), item("b", 5, shared=True)) == "ba"


@pytest.mark.parametrize(
    ("field", "value", "going"),
    [
        ("id", "^a", "a"),
        ("id", "b", "b"),
        ("type", "exec.cachemount", "b"),
        ("description", "a", "a"),
        ("shared", "true", "c"),
        ("shared", "false", "ab"),
        ("private", "", "ab"),
        ("inuse", "", ""),
        ("parent", "p", "b"),
        ("label", "x=y", ""),
        ("label!", "x=y", "abc"),
    ],
)
def test_filters(field: str, value: str, going: str) -> None:
    rule = Rule(every=True, fields=parse_fields({field: [value]}))
    items = (item("a"), item("b", kind=Kind.MOUNT, parents=("p",)), item("c", shared=True), item("d", in_use=True))
    assert names(rule, *items) == going


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({"colour": ["red"]}, "invalid filter 'colour'"),
        ({"mutable": [""]}, "invalid filter 'mutable'"),
        ({"id": ["a", "b"]}, "filters expect only one value"),
        ({"id": ["("]}, "invalid filter 'id=\\('"),
        ({"id": ["a" * 300]}, "too long"),
        ({"shared": ["perhaps"]}, "invalid filter 'shared=perhaps'"),
    ],
)
def test_wrong_filters(filters: dict[str, list[str]], told: str) -> None:
    with pytest.raises(InvalidParameter, match=told):
        parse_fields(filters)


def test_docker_28s_policy() -> None:
    easily, old, usual, last = Budget().policy(DISK)
    assert (easily.types, easily.unused, easily.most) == (
        (Kind.LOCAL, Kind.MOUNT, Kind.GIT),
        2 * DAY,
        512 * 10**6,
    )
    assert (old.unused, old.reserved, old.most, old.free) == (60 * DAY, 2 * 10**9, 800 * 10**9, 200 * 10**9)
    assert (usual.unused, usual.every, last.every) == (0, False, True)
    given = Budget(reserved=10**10, most=3, free=4).policy(DISK)
    assert (given[0].most, given[1].reserved, given[1].most, given[1].free) == (1_380_000_000, 10**10, 3, 4)
    assert Budget(enabled=False).policy(DISK) == ()
    assert Budget(rules=(Rule(most=1),)).policy(DISK) == (Rule(most=1),)
