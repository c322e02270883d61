"""Legacy links on the real kernel: what a linked container finds, what its names are, and what restarts and removals change."""

import pytest

from tests.api.scenes import FOREVER, Box
from tests.daemons import Sampan, running_sampan
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "netns", "busybox", "docker-client")


def box(engine: Sampan, name: str, *links: str, **config: object) -> Box:
    return Box(engine, *FOREVER, name=name, host={"Links": list(links)}, **config)


def hosts(one: Box, word: str) -> list[list[str]]:
    """Lines of its hosts file that have `word`."""
    return [line.split() for line in one.run("cat", "/etc/hosts").splitlines() if word in line.split()]


def test_what_the_linked_find(engine: Sampan) -> None:
    exposed: dict[str, object] = {"2375/tcp": {}, "53/udp": {}}
    child = box(engine, "child", Hostname="childhost", Env=["A=1", "HOME=/x"], ExposedPorts=exposed).start()
    address = child.address()
    ran = engine.docker(
        "run", "-d", "--name", "parent", "--link", "child:al-ias", "-e", "MINE=2", "busybox", "sleep", "1000"
    )
    assert ran.code == 0, ran
    told = engine.docker("exec", "parent", "env").text.splitlines()
    assert f"AL_IAS_PORT=tcp://{address}:2375" in told
    assert f"AL_IAS_PORT_53_UDP_ADDR={address}" in told
    assert "AL_IAS_NAME=/parent/al-ias" in told
    assert "AL_IAS_ENV_A=1" in told
    assert not [one for one in told if one.startswith("AL_IAS_ENV_HOME")]
    assert told.index("AL_IAS_ENV_A=1") < told.index("MINE=2")
    running = engine.docker("exec", "parent", "sh", "-c", "tr '\\0' '\\n' < /proc/1/environ").text.splitlines()
    assert "AL_IAS_ENV_A=1" in running, "the program itself is told the same"
    lines = engine.docker("exec", "parent", "cat", "/etc/hosts").text.splitlines()
    assert f"{address}\tal-ias childhost child" in lines
    pinged = engine.docker("exec", "parent", "ping", "-c", "1", "-w", "20", "al-ias")
    assert pinged.code == 0, pinged
    inspected = engine.docker("inspect", "-f", "{{json .HostConfig.Links}} {{.Name}}", "parent")
    assert inspected.text == '["/child:/parent/al-ias"] /parent'
    assert engine.docker("inspect", "-f", "{{.Name}} {{json .HostConfig.Links}}", "parent/al-ias").text == "/child null"
    shown = engine.docker("ps", "--no-trunc", "--filter", "name=al-ias", "--format", "{{.Names}}").text
    assert shown == "child,parent/al-ias" or shown == "parent/al-ias,child"
    assert engine.docker("ps", "--filter", "name=al-ias", "--format", "{{.Names}}").text == "child"
    engine.docker("rm", "-f", "parent", "child")


def test_names_follow_a_rename(engine: Sampan) -> None:
    child, parent = box(engine, "before").start(), box(engine, "owner", "before:x").start()
    for old, new in (("before", "after"), ("owner", "holder")):
        assert engine.docker("rename", old, new).code == 0
    assert parent.inspect()["HostConfig"]["Links"] == ["/after:/holder/x"]
    assert engine.docker("inspect", "-f", "{{.Id}}", "holder/x").text == child.id
    for one in (parent, child):
        one.remove()


def test_a_restart_of_the_child_is_learnt(engine: Sampan) -> None:
    child = box(engine, "moves").start()
    parent = box(engine, "learns", "moves:it", "moves").start()
    old = child.address()
    parent.run("sh", "-c", "echo '9.9.9.9 own it' >> /etc/hosts")
    assert engine.docker("stop", "-t", "0", "moves").code == 0
    between = box(engine, "between").start()
    assert between.address() == old, "the address is free for others"
    child.start()
    assert child.address() != old
    assert [line[0] for line in hosts(parent, "it")] == [child.address(), "9.9.9.9"]
    assert [line[0] for line in hosts(parent, "moves")] == [child.address(), child.address()]
    for one in (parent, child, between):
        one.remove()


def test_no_start_with_a_child_that_does_not_run(engine: Sampan) -> None:
    child = box(engine, "still")
    parent = box(engine, "waits", "still:x")
    message = "Cannot link to a non running container: /still AS /waits/x"
    for _ in range(2):
        answer = engine.api("POST", f"/containers/{parent.id}/start")
        assert (answer.status, answer.json()) == (500, {"message": message})
        # The second time: with a child that is gone.
        child.remove()
    assert engine.docker("rm", "--link", "waits/x").text == "waits/x"
    assert parent.start().inspect()["HostConfig"]["Links"] is None
    parent.remove()


def test_a_link_is_removed(engine: Sampan) -> None:
    child = box(engine, "kept").start()
    parent = box(engine, "loses", "kept:one", "kept:two").start()
    assert engine.docker("rm", "--link", "loses/one").code == 0
    assert hosts(parent, "one") == []
    assert [line[0] for line in hosts(parent, "two")] == [child.address()]
    assert parent.inspect()["HostConfig"]["Links"] == ["/kept:/loses/two"]
    engine.kill()
    engine.start()
    assert parent.inspect()["HostConfig"]["Links"] == ["/kept:/loses/two"]
    for words, message in (
        ("loses", "Conflict, cannot remove the default link name of the container"),
        ("loses/one", "No such container: loses/one"),
        ("nosuch/x", "No such container: nosuch/x"),
    ):
        refused = engine.docker("rm", "--link", words)
        assert (refused.code, message in refused.err.decode()) == (1, True), refused
    for one in (parent, child):
        one.remove()


def test_after_the_daemon_the_child_comes_first(engine: Sampan) -> None:
    policy = {"RestartPolicy": {"Name": "always"}}
    child = Box(engine, *FOREVER, name="first", host=policy).start()
    parent = Box(engine, *FOREVER, name="second", host={**policy, "Links": ["first:x"]}).start()
    for one in (parent, child):
        assert engine.api("POST", f"/containers/{one.id}/stop?t=0").status == 204
    engine.stop()
    engine.start()
    eventually(lambda: parent.state()["Status"] == "running", "not started")
    assert [line[0] for line in hosts(parent, "x")] == [child.address()]
    for one in (parent, child):
        one.remove()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"Links": ["nosuch:x"]}, "could not get container for nosuch: No such container: nosuch"),
        ({"Links": ["a:b:c"]}, "bad format for links: a:b:c"),
        ({"Links": [""]}, "empty string specified for links"),
        (
            {"Links": ["x"], "NetworkMode": "host"},
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        ),
        (
            {"Links": ["x"], "NetworkMode": "container:x"},
            "conflicting options: container type network can't be used with links. This would result in undefined behavior",
        ),
    ],
)
def test_links_that_are_refused(engine: Sampan, host: object, message: str) -> None:
    answer = engine.api("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    assert (answer.status, answer.json()) == (400, {"message": message})


def test_a_child_off_the_bridge_is_refused_at_the_start(engine: Sampan) -> None:
    child = Box(engine, *FOREVER, name="apart", host={"NetworkMode": "none"}).start()
    parent = box(engine, "asks", "apart:x")
    answer = engine.api("POST", f"/containers/{parent.id}/start")
    assert answer.json() == {"message": "Cannot link to /apart, as it does not belong to the default network"}
    for one in (parent, child):
        one.remove()


def fetches(one: Box, name: str) -> bool:
    """Whether it gets a page from there."""
    asked = f"printf 'GET /page HTTP/1.0\\r\\n\\r\\n' | nc -w 1 {name} 8000"
    return one.engine.docker("exec", one.id, "sh", "-c", asked).out.endswith(b"served\n")


def test_where_containers_do_not_reach_each_other_the_linked_do() -> None:
    with running_sampan("--icc=false") as own:
        own.load_busybox()
        command = ("sh", "-c", "mkdir /www; echo served > /www/page; exec httpd -f -p 8000 -h /www")
        child = Box(own, *command, name="server", ExposedPorts={"8000/tcp": {}}).start()
        parent, other = box(own, "client", "server:it").start(), box(own, "stranger").start()
        eventually(lambda: fetches(parent, "it"), "the parent does not reach its child")
        assert not fetches(other, child.address())
        own.kill()
        own.start("--icc=false")
        eventually(lambda: fetches(parent, "it"), "the next daemon has forgotten the link")
        old = child.address()
        assert own.api("POST", f"/containers/{child.id}/stop?t=0").status == 204
        taker = box(own, "taker").start()
        assert taker.address() == old
        child.start()
        eventually(lambda: fetches(parent, "it"), "the child's next run is not reached")
        assert not fetches(other, child.address())
        assert own.docker("rm", "--link", "client/it").code == 0
        assert not fetches(parent, child.address())
