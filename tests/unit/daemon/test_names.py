"""Names and prefixes: unique, resolved, and refused in Docker's words."""

import re
from dataclasses import dataclass

import pytest

from sampan.daemon.names import Registry, random_names
from sampan.errors import Conflict, InvalidParameter, NotFound
from sampan.spec.ids import ContainerId, is_container_name


@dataclass
class Thing:
    id: ContainerId
    name: str


A = ContainerId("aa11" + "0" * 60)
B = ContainerId("aa22" + "0" * 60)
C = ContainerId("bb" + "0" * 62)


@pytest.fixture
def registry() -> Registry[Thing]:
    made: Registry[Thing] = Registry()
    for id_, name in ((C, "web"), (A, "db"), (B, "bb")):
        made.add(Thing(id_, made.take_name(name, id_)))
    return made


@pytest.mark.parametrize(
    ("reference", "found"),
    [(A, A), ("aa1", A), ("db", A), ("/db", A), ("web", C), ("bb", B), ("bb0", C), ("aa22", B)],
)
def test_found_by_id_then_name_then_prefix(registry: Registry[Thing], reference: str, found: ContainerId) -> None:
    assert registry.find(reference).id == found


def test_what_is_not_found(registry: Registry[Thing]) -> None:
    with pytest.raises(NotFound, match=r"^No such container: cc$"):
        registry.find("cc")
    with pytest.raises(InvalidParameter, match=r"^multiple IDs found with provided prefix: aa$"):
        registry.find("aa")
    with pytest.raises(InvalidParameter, match="invalid name or ID supplied"):
        registry.find("")


def test_a_name_in_use(registry: Registry[Thing]) -> None:
    with pytest.raises(Conflict) as caught:
        registry.take_name("web", A)
    assert str(caught.value) == (
        f'Conflict. The container name "/web" is already in use by container "{C}".'
        " You have to remove (or rename) that container to be able to reuse that name."
    )
    registry.remove(registry.find("web"))
    assert registry.take_name("/web", A) == "web"
    assert len(registry) == 2


@pytest.mark.parametrize("name", ["-a", "a", "a b", "ä1", "a/b", "//ab"])
def test_names_that_are_none(registry: Registry[Thing], name: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(f"Invalid container name ({name}), only")):
        registry.take_name(name, A)


def test_freeing_another_ones_name_does_nothing(registry: Registry[Thing]) -> None:
    registry.free_name("web", A)
    assert registry.find("web").id == C


def test_random_names_are_names(registry: Registry[Thing]) -> None:
    drawn = list(random_names(200))
    assert all(is_container_name(name) and name.islower() for name in drawn)
    assert len(set(drawn)) > 150
    assert "_" in registry.take_name("", ContainerId("cc" + "0" * 62))
