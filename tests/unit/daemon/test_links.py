"""Legacy links: how they are written, what they are called, what a container is told. No kernel, no files."""

import pytest

from sampan.daemon.container import Container
from sampan.daemon.definition import Definition, Link
from sampan.daemon.link_environment import variables
from sampan.daemon.links import Links, parse
from sampan.daemon.names import Registry
from sampan.daemon.states import State
from sampan.errors import InvalidParameter, NotFound
from sampan.network.hosts import moved, without
from sampan.spec.containers import ContainerConfig
from sampan.spec.host_config import HostConfig
from sampan.spec.ids import ContainerId


@pytest.mark.parametrize(
    ("text", "name", "alias"),
    [("db", "db", "db"), ("db:alias", "db", "alias"), ("/db:/web/alias", "db", "alias"), ("db:a/b", "db", "a/b")],
)
def test_how_links_are_written(text: str, name: str, alias: str) -> None:
    assert parse(text) == (name, alias)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty string specified for links"),
        ("a:b:c", "bad format for links: a:b:c"),
        ("a:b c", "bad format for links"),
        ("a:b\n1.2.3.4\tc", "bad format for links"),
        ("a:", "bad format for links"),
    ],
)
def test_what_is_no_link(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse(text)


def there(registry: Registry[Container], name: str, *links: Link, mode: str = "bridge") -> Container:
    container_id = ContainerId(name[0] * 64)
    definition = Definition(
        id=container_id,
        name=registry.take_name(name, container_id),
        created_ns=0,
        image="",
        image_id=None,
        config=ContainerConfig(),
        host=HostConfig(network_mode=mode),
        path="x",
        links=links,
    )
    container = Container(definition, State())
    registry.add(container)
    return container


def test_names_of_links() -> None:
    registry: Registry[Container] = Registry()
    links = Links(registry)
    child = there(registry, "db")
    (made,) = links.resolve(HostConfig(links=("db:store", "db:store")))
    parent = there(registry, "web", made)
    links.add(parent.definition)
    assert links.names(child) == ("/db", "/web/store")
    assert links.names(parent) == ("/web",)
    assert links.shown(parent) == ("/db:/web/store",)
    assert links.shown(child) is None
    assert links.find("/web/store") == (parent, made)
    assert [alias for alias, _ in links.parents(child)] == ["store"]
    for missing in ("web/other", "nosuch/store"):
        with pytest.raises(NotFound, match=f"No such container: {missing}"):
            links.find(missing)
    links.discard(parent.definition)
    assert links.names(child) == ("/db",)


def test_what_a_link_can_be_made_to() -> None:
    registry: Registry[Container] = Registry()
    links = Links(registry)
    database = there(registry, "db")
    there(registry, "sidecar", mode=f"container:{database.id}")
    there(registry, "open", mode="host")
    there(registry, "loop", mode="container:loop")
    assert links.resolve(HostConfig(links=("sidecar:x",))) == (Link(database.id, "db", "x"),)
    for name, message in (
        ("open", "host type networking can't be used with links"),
        ("nosuch", "could not get container for nosuch: No such container: nosuch"),
        ("loop", "could not get container for"),
    ):
        with pytest.raises(InvalidParameter, match=message):
            links.resolve(HostConfig(links=(name,)))


def test_what_a_container_is_told() -> None:
    ports = ("2376/tcp", "80/udp", "2375/tcp", "90", "2377/udp")
    told = list(variables("/web/my-db", "10.0.0.2", ("A=1", "B=x=y", "PATH=/bin", "HOME=/", "bare"), ports))
    assert told[0] == "MY_DB_PORT=tcp://10.0.0.2:90"
    assert told[1:5] == [
        "MY_DB_PORT_90_TCP=tcp://10.0.0.2:90",
        "MY_DB_PORT_90_TCP_ADDR=10.0.0.2",
        "MY_DB_PORT_90_TCP_PORT=90",
        "MY_DB_PORT_90_TCP_PROTO=tcp",
    ]
    assert "MY_DB_PORT_80_UDP=udp://10.0.0.2:80" in told
    assert told[-3:] == ["MY_DB_NAME=/web/my-db", "MY_DB_ENV_A=1", "MY_DB_ENV_B=x=y"]
    assert [one for one in told if "START" in one or "_END" in one] == [
        "MY_DB_PORT_2375_TCP_START=tcp://10.0.0.2:2375",
        "MY_DB_PORT_2375_TCP_PORT_START=2375",
        "MY_DB_PORT_2375_TCP_END=tcp://10.0.0.2:2376",
        "MY_DB_PORT_2375_TCP_PORT_END=2376",
    ]


def test_without_ports_only_name_and_environment_are_told() -> None:
    assert list(variables("/web/db", "10.0.0.2", ("A=1",), ())) == ["DB_NAME=/web/db", "DB_ENV_A=1"]


HOSTS = b"127.0.0.1\tlocalhost\n10.0.0.2\tdb host-of-db\n10.0.0.22\tdbs db\n# 10.0.0.2 db\n10.0.0.3\tme\nno newline"


def test_a_hosts_file_learns_a_new_address() -> None:
    assert moved(HOSTS, b"db", b"10.0.0.9") == HOSTS.replace(b"10.0.0.2\tdb", b"10.0.0.9\tdb")
    assert moved(HOSTS, b"other", b"10.0.0.9") == HOSTS
    assert without(HOSTS, b"db") == HOSTS.replace(b"10.0.0.2\tdb host-of-db\n", b"")
