"""Names in networks of one's own: who is found by what name, who asks whom outside, and what a hostile container can do."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sampan.kernel.caps import Cap
from sampan.network import dns
from tests import processes
from tests.api.scenes import kill
from tests.api.test_networks import SLEEP, address, inside, ok, run
from tests.daemons import Sampan
from tests.nameserver import addresses, ask, code, fails, query, read_stream, says, serving, silent, socket_in
from tests.requires import requires
from tests.waiting import eventually

pytestmark = requires("root", "overlay", "busybox", "docker-client:28", "veth", "bridge", "nftables")

FIRST, SECOND = "127.53.0.1", "127.53.0.2"


@pytest.fixture(autouse=True)
def _containers_and_networks_go(engine: Sampan) -> Iterator[None]:
    yield
    engine.remove_containers()
    ok(engine.docker("network", "prune", "-f"))


def pid(engine: Sampan, name: str) -> int:
    return int(ok(engine.docker("inspect", "-f", "{{.State.Pid}}", name)))


def found(engine: Sampan, name: str, wanted: str) -> list[str]:
    """The addresses that container `name` gets for `wanted`."""
    return addresses(ask(pid(engine, name), query(wanted)))


def resolvers(engine: Sampan) -> list[int]:
    """The sampan-net processes of this engine."""
    held = {one.pid for one in processes.holding_sockets_below(str(engine.directory))}
    return [one for one in held if processes.title(one) == "sampan-net"]


def test_names_of_all_kinds(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back", "--network-alias", "web", "--hostname", "Uno")
    run(engine, "two", "--network", "back", "--network-alias", "WEB", "--link", "one:db")
    first, second = address(engine, "one", "back"), address(engine, "two", "back")
    short = ok(engine.docker("ps", "-q", "-f", "name=one"))
    for name in ("one", "ONE", short, "uno", "one.back", "db"):
        assert found(engine, "two", name) == [first], name
    assert code(ask(pid(engine, "one"), query("db.invalid"))) != 0  # a link is its container's own
    answers = [found(engine, "one", "web") for _ in range(4)]
    assert {frozenset(answer) for answer in answers} == {frozenset((first, second))}
    assert {answer[0] for answer in answers} == {first, second}  # they take turns
    assert "one.back" in ok(inside(engine, "two", "nslookup", first))
    reverse = ".".join(reversed(first.split("."))) + ".in-addr.arpa"
    assert b"\3one\4back\0" in ask(pid(engine, "two"), query(reverse, dns.PTR))
    # There is no IPv6 address, and nobody outside is asked for one.
    nothing = ask(pid(engine, "two"), query("one", dns.AAAA))
    assert (code(nothing), nothing[6:8]) == (0, b"\0\0")
    ok(engine.docker("rename", "one", "uno-two"))
    assert found(engine, "two", "uno-two") == [first]
    # What has ended is called nothing.
    ok(engine.docker("rm", "-f", "two"))
    assert found(engine, "uno-two", "web") == [first]


def test_who_serves_can_do_little_else(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    (serving_one,) = resolvers(engine)
    status = dict(line.split(":\t") for line in Path(f"/proc/{serving_one}/status").read_text().splitlines())
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    only = f"{1 << Cap.SYS_ADMIN | 1 << Cap.SYS_PTRACE | 1 << Cap.NET_ADMIN:016x}"
    assert {status[f"Cap{kind}"] for kind in ("Eff", "Prm", "Bnd")} == {only}
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Amb")} == {"0" * 16}
    # A container that runs already is entered under the filter, too.
    run(engine, "late")
    ok(engine.docker("network", "connect", "back", "late"))
    assert found(engine, "late", "one") == [address(engine, "one", "back")]


def test_each_network_has_its_own(engine: Sampan) -> None:
    for name in ("red", "blue"):
        ok(engine.docker("network", "create", name))
        run(engine, f"in-{name}", "--network", name, "--network-alias", "same", "--dns", FIRST)
    with serving(FIRST, fails):
        assert code(ask(pid(engine, "in-red"), query("in-blue"))) == dns.SERVER_FAILURE
        assert found(engine, "in-red", "same") == [address(engine, "in-red", "red")]
        ok(engine.docker("network", "connect", "--alias", "guest", "blue", "in-red"))
        assert found(engine, "in-red", "in-blue") == [address(engine, "in-blue", "blue")]
        assert found(engine, "in-blue", "guest") == [address(engine, "in-red", "blue")]
        ok(engine.docker("network", "disconnect", "blue", "in-red"))
        assert code(ask(pid(engine, "in-blue"), query("guest"))) == dns.SERVER_FAILURE


def test_who_has_left_is_called_nothing_there(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    run(engine, "two")
    for _ in range(2):
        ok(engine.docker("network", "connect", "back", "two"))
        assert found(engine, "one", "two") == [address(engine, "two", "back")]
        # It stands in Docker's own network alone now, where nobody has a name.
        ok(engine.docker("network", "disconnect", "back", "two"))
        assert code(ask(pid(engine, "one"), query("two"))) != 0


def test_the_file(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(
        engine,
        "plain",
        "--network",
        "back",
        "--dns",
        "10.9.9.9",
        "--dns-search",
        "example.com",
        "--dns-option",
        "timeout:3",
    )
    text = ok(inside(engine, "plain", "cat", "/etc/resolv.conf")).splitlines()
    assert text[2:5] == ["nameserver 127.0.0.11", "search example.com", "options timeout:3 ndots:0"]
    assert "10.9.9.9" in text[-1]
    run(engine, "chosen", "--network", "back", "--dns-option", "ndots:2")
    assert "options ndots:2" in ok(inside(engine, "chosen", "cat", "/etc/resolv.conf")).splitlines()
    # From the default bridge into a network of one's own: the file changes, unless the container has changed it.
    for name in ("mover", "owner"):
        run(engine, name)
    before = ok(inside(engine, "mover", "cat", "/etc/resolv.conf"))
    ok(inside(engine, "owner", "sh", "-c", "echo '# mine' >> /etc/resolv.conf"))
    for name in ("mover", "owner"):
        ok(engine.docker("network", "connect", "back", name))
    assert "127.0.0.11" in ok(inside(engine, "mover", "cat", "/etc/resolv.conf"))
    assert "127.0.0.11" not in ok(inside(engine, "owner", "cat", "/etc/resolv.conf"))
    assert found(engine, "mover", "plain") == [address(engine, "plain", "back")]
    ok(engine.docker("network", "disconnect", "back", "mover"))
    assert ok(inside(engine, "mover", "cat", "/etc/resolv.conf")) == before


def test_an_image_may_have_port_53_to_itself(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    with socket_in(pid(engine, "one"), socket.SOCK_DGRAM) as own:
        own.bind(("0.0.0.0", 53))
        assert found(engine, "one", "one") == [address(engine, "one", "back")]


def test_the_first_question_is_not_too_early(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    for _ in range(3):
        assert "Name:\tone" in ok(engine.docker("run", "--rm", "--network", "back", "busybox", "nslookup", "one"))


def test_upstream(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back", "--dns", FIRST, "--dns", SECOND)
    inner = pid(engine, "one")
    with serving(FIRST, says("192.0.2.1")) as first, serving(SECOND, says("192.0.2.2")) as second:
        assert addresses(ask(inner, query("example.com"))) == ["192.0.2.1"]
        assert addresses(ask(inner, query("example.com", number=77))) == ["192.0.2.1"]
        assert first.asked == [b"example.com"]  # the second time from the cache
        assert second.asked == []
        # A server that fails, and one that says nothing, are passed over.
        first.behave = fails
        assert addresses(ask(inner, query("a.example.com"))) == ["192.0.2.2"]
        first.behave = silent
        assert addresses(ask(inner, query("b.example.com"))) == ["192.0.2.2"]
        second.behave = silent
        assert code(ask(inner, query("c.example.com"))) == dns.SERVER_FAILURE
        # What must not be kept is asked for again.
        first.behave = says("192.0.2.3", ttl=0)
        for _ in range(2):
            assert addresses(ask(inner, query("d.example.com"))) == ["192.0.2.3"]
        assert first.asked.count(b"d.example.com") == 2
        # A forged answer is none: another question, or another number.
        first.behave = lambda packet, question: b"\0\0" + says("192.0.2.66")(packet, question)[2:]
        second.behave = says("192.0.2.4")
        assert addresses(ask(inner, query("e.example.com"))) == ["192.0.2.4"]


def test_large_answers(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back", "--dns", FIRST)
    inner = pid(engine, "one")
    many = [f"198.51.100.{number}" for number in range(100)]
    with serving(FIRST, says(*many)):
        short = ask(inner, query("many.example.com"))
        assert dns.is_truncated(short)
        assert len(short) < 512
        assert addresses(ask(inner, query("many.example.com"), stream=True)) == many
        assert addresses(ask(inner, query("many.example.com", size=4096))) == many


def test_of_our_own_by_tcp(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    for number in range(3):
        run(engine, f"box{number}", "--network", "back", "--network-alias", "all")
    inner = pid(engine, "box0")
    with socket_in(inner, socket.SOCK_STREAM) as sock:
        sock.connect(("127.0.0.11", 53))
        packet = query("all")
        two = 2 * (len(packet).to_bytes(2, "big") + packet)
        sock.sendall(two[:9])  # in pieces, and the second before the first is answered
        time.sleep(0.05)
        sock.sendall(two[9:])
        assert len(addresses(read_stream(sock))) == 3


def test_internal_networks_ask_nobody(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "--internal", "vault"))
    ok(engine.docker("network", "create", "open"))
    run(engine, "shut", "--network", "vault", "--dns", FIRST)
    run(engine, "both", "--network", "vault", "--network", "open", "--dns", FIRST)
    with serving(FIRST, says("192.0.2.1")) as server:
        assert code(ask(pid(engine, "shut"), query("secret.example.com"))) == dns.SERVER_FAILURE
        assert code(ask(pid(engine, "shut"), query("secret.example.com"), stream=True)) == dns.SERVER_FAILURE
        assert server.asked == []
        assert found(engine, "shut", "both") == [address(engine, "both", "vault")]
        assert found(engine, "both", "example.com") == ["192.0.2.1"]


def test_it_outlives_the_daemon_and_is_made_again(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    run(engine, "two", "--network", "back")
    target, inner = address(engine, "one", "back"), pid(engine, "two")
    before = resolvers(engine)
    assert len(before) == 1
    engine.kill()
    assert addresses(ask(inner, query("one"))) == [target]
    engine.start()
    assert resolvers(engine) == before
    run(engine, "three", "--network", "back")
    assert found(engine, "two", "three") == [address(engine, "three", "back")]
    kill(before[0])
    eventually(lambda: resolvers(engine) not in ([], before), "no other sampan-net")
    eventually(lambda: answers_again(inner) == [target], "it does not answer")
    assert found(engine, "three", "two") == [address(engine, "two", "back")]
    # Killed while there is no daemon: the next one makes another.
    engine.kill()
    kill(resolvers(engine)[0])
    engine.start()
    eventually(lambda: answers_again(inner) == [target], "it does not answer")
    # Without containers it ends when the daemon does.
    engine.remove_containers()
    engine.stop()
    eventually(lambda: resolvers(engine) == [], "it stays")
    engine.start()


@contextmanager
def ancient(engine: Sampan) -> Iterator[threading.Thread]:
    """In sampan-net's place one that ends over the first message, as a release does that does not know it."""
    path = engine.exec_root / "net.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        path.unlink()
        listener.bind(str(path))
        listener.listen(4)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1 << 16)
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield thread


def test_one_that_does_not_know_what_it_is_told_is_replaced(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    run(engine, "two", "--network", "back", "-p", "[::1]::80")
    target, inner = address(engine, "one", "back"), pid(engine, "two")
    engine.kill()
    kill(resolvers(engine)[0])
    with ancient(engine) as heard:
        engine.start()
        heard.join(30)
        assert not heard.is_alive(), "nobody told it anything"
        eventually(lambda: len(resolvers(engine)) == 1, "no other sampan-net")
        eventually(lambda: answers_again(inner) == [target], "it does not answer")
    run(engine, "three", "--network", "back")
    assert found(engine, "two", "three") == [address(engine, "three", "back")]


def answers_again(inner: int) -> list[str]:
    """What `one` is answered by a resolver that may not be there yet."""
    with socket_in(inner, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect(("127.0.0.11", 53))
        try:
            sock.send(query("one"))
            return addresses(sock.recv(4096))
        except OSError:
            return []


HOSTILE = (
    b"",
    b"\0",
    b"\0" * 11,
    b"\xff" * 12,
    b"\xff" * 2000,
    query("one")[:-1],
    query("one") + b"\0",
    query("one")[:12] + b"\xc0\x0c\0\1\0\1",  # a name that points to itself
    query("one")[:12] + b"\x3f" + b"a" * 62,
    query("one")[:4] + b"\xff\xff" + query("one")[6:],  # 65,535 questions
    query("one")[:2] + b"\x81\x80" + query("one")[4:],  # a response
    query("one")[:2] + b"\x28\0" + query("one")[4:],  # an update
    query("one")[:-1] + b"\3",  # another class
)


def test_hostile_packets(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    inner, target = pid(engine, "one"), address(engine, "one", "back")
    with socket_in(inner, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.11", 53))
        for packet in HOSTILE:
            sock.send(packet)
        for number in range(2000):
            sock.send(struct.pack(">H", number) + b"\1\0\0\1" + b"\x11" * (number % 500))
    for packet in (b"\0\0", b"\xff\xff" + b"\0" * 100, b"\0\x0c" + b"\xff" * 12, b"\0\x20abc"):
        with socket_in(inner, socket.SOCK_STREAM) as sock:
            sock.connect(("127.0.0.11", 53))
            sock.sendall(packet)
    idle = [socket_in(inner, socket.SOCK_STREAM) for _ in range(40)]
    try:
        for sock in idle:
            sock.connect(("127.0.0.11", 53))
        eventually(lambda: answers_again(inner) == [target], "it does not answer")
    finally:
        for sock in idle:
            sock.close()
    assert len(resolvers(engine)) == 1


def test_clients_by_tcp_leave_nothing(engine: Sampan) -> None:
    """Each that came and went costs sampan-net nothing: a container may come a million times."""
    ok(engine.docker("network", "create", "back"))
    run(engine, "one", "--network", "back")
    (net,), inner = resolvers(engine), pid(engine, "one")
    held = []
    for times in (300, 1500):
        for _ in range(times):
            ask(inner, query("one"), stream=True)
        with open(f"/proc/{net}/smaps_rollup") as file:
            held.append(next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:")))
    assert held[1] - held[0] < 300, held  # kB


def test_one_that_floods_does_not_silence_others(engine: Sampan) -> None:
    ok(engine.docker("network", "create", "back"))
    run(engine, "flood", "--network", "back", "--dns", FIRST)
    run(engine, "calm", "--network", "back", "--dns", SECOND)
    with serving(FIRST, silent), serving(SECOND, says("192.0.2.9")):
        with socket_in(pid(engine, "flood"), socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.11", 53))
            for number in range(3000):
                sock.send(query(f"n{number}.example.com", number=number))
            assert found(engine, "calm", "flood") == [address(engine, "flood", "back")]
            assert found(engine, "calm", "example.com") == ["192.0.2.9"]


def test_many_containers(engine: Sampan) -> None:
    """Names stay with whom they belong to while containers come and go."""
    ok(engine.docker("network", "create", "crowd"))
    names = [f"box{number}" for number in range(12)]
    for name in names:
        run(engine, name, "--network", "crowd", "--network-alias", "any")
    listed = json.loads(ok(engine.docker("network", "inspect", "crowd")))[0]["Containers"].values()
    where = {one["Name"]: one["IPv4Address"].partition("/")[0] for one in listed}
    assert sorted(where) == sorted(names)
    assert sorted(found(engine, "box0", "any")) == sorted(where.values())
    ok(engine.docker("rm", "-f", *names[1:7]))
    assert sorted(found(engine, "box0", "any")) == sorted(where[name] for name in (names[0], *names[7:]))
    for name in (names[0], names[11]):
        assert found(engine, "box8", name) == [where[name]]
    assert ok(engine.docker("run", "--rm", "--network", "crowd", *SLEEP[:1], "nslookup", "box9"))
