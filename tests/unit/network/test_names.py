"""The book of names: what each container finds."""

import socket

import pytest

from sampan.network.names import Book


def place(
    addresses: str, *names: str, internal: bool = False, links: tuple[tuple[str, str], ...] = ()
) -> dict[str, object]:
    return {"name": "Back", "addresses": addresses.split(), "names": names, "internal": internal, "links": links}


def facts(servers: tuple[str, ...] = (), **networks: dict[str, object]) -> dict[str, object]:
    return {"networks": networks, "servers": servers}


def shown(found: list[bytes]) -> list[str]:
    return [socket.inet_ntop(socket.AF_INET if len(one) == 4 else socket.AF_INET6, one) for one in found]


@pytest.fixture
def book() -> Book:
    made = Book()
    made.know("one", facts(back=place("10.9.0.2", "one", "Web", "abc")))
    made.know("two", facts(("10.1.1.1",), back=place("10.9.0.3", "two", "web", links=(("one", "db"),))))
    made.know("far", facts(other=place("10.8.0.2", "far", internal=True)))
    return made


def test_who_is_found(book: Book) -> None:
    assert shown(book.find("two", b"one")) == ["10.9.0.2"]
    assert shown(book.find("two", b"one.back")) == ["10.9.0.2"]
    assert shown(book.find("two", b"db")) == ["10.9.0.2"]
    assert book.find("one", b"db") == []
    assert book.find("two", b"far") == []
    assert book.find("nobody", b"one") == []
    turns = [shown(book.find("two", b"web")) for _ in range(2)]
    assert sorted(turns) == [["10.9.0.2", "10.9.0.3"], ["10.9.0.3", "10.9.0.2"]]


def test_both_families(book: Book) -> None:
    book.know("six", facts(back=place("10.9.0.6 fd09::6", "six", "web")))
    book.know("only", facts(back=place("fd09::7", "only", "web")))
    assert shown(book.find("two", b"six")) == ["10.9.0.6", "fd09::6"]
    assert book.called("two", socket.inet_pton(socket.AF_INET6, "fd09::6")) == b"six.back"
    turns = [shown(book.find("two", b"web")) for _ in range(6)]
    assert {tuple(turn[:3]) for turn in turns} == {
        ("10.9.0.2", "10.9.0.3", "10.9.0.6"),
        ("10.9.0.3", "10.9.0.6", "10.9.0.2"),
        ("10.9.0.6", "10.9.0.2", "10.9.0.3"),
    }
    assert {tuple(turn[3:]) for turn in turns} == {("fd09::6", "fd09::7"), ("fd09::7", "fd09::6")}
    book.forget("six")
    assert book.find("two", b"six") == []
    assert shown(book.find("two", b"only")) == ["fd09::7"]


def test_what_an_address_is_called(book: Book) -> None:
    assert book.called("two", socket.inet_aton("10.9.0.2")) == b"one.back"
    assert book.called("two", socket.inet_aton("10.8.0.2")) == b""


def test_who_goes_out(book: Book) -> None:
    assert book.goes_out("one")
    assert not book.goes_out("far")
    assert not book.goes_out("nobody")
    assert (book.servers("one"), book.servers("two"), book.servers("nobody")) == ([], ["10.1.1.1"], [])


def test_what_is_forgotten_and_said_again(book: Book) -> None:
    book.know("one", facts(back=place("10.9.0.9", "eins")))
    assert shown(book.find("two", b"eins")) == ["10.9.0.9"]
    assert book.find("two", b"one") == []
    assert shown(book.find("two", b"web")) == ["10.9.0.3"]
    book.forget("two")
    book.forget("two")
    assert book.find("one", b"web") == []
    assert book.find("two", b"eins") == []


def test_networks_without_names(book: Book) -> None:
    for name in ("a", "b"):
        book.know(name, facts(bridge={**place("172.17.0.2"), "name": "bridge"}))
    book.forget("a")
    assert book.find("b", b"one") == []
    assert book.goes_out("b")


def test_it_is_bounded() -> None:
    book = Book()
    for number in range(8192):
        book.know(str(number), facts())
    with pytest.raises(ValueError, match="too many"):
        book.know("one more", facts())


@pytest.mark.parametrize(
    "wrong",
    [
        {"links": [["x"]]},
        {"links": [[1, 2]]},
        {"addresses": ["10.9.9.9", "none"]},
        {"addresses": [None]},
        {"names": [None]},
        {"name": 1},
    ],
)
def test_what_is_malformed_changes_nothing(book: Book, wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, OSError, LookupError, TypeError, AttributeError)):
        book.know("one", facts(back={**place("10.9.0.9", "eins"), **wrong}))
    assert shown(book.find("two", b"one")) != []
    assert book.find("two", b"eins") == []
    book.know("one", facts(back=place("10.9.0.9", "eins")))
    assert shown(book.find("two", b"eins")) == ["10.9.0.9"]
