"""Two hundred containers on one network: they come while they run, resolve each other, and leave; nothing of them stays."""

import json
import subprocess
import time

from tests.daemons import Sampan, running_sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "busybox", "docker-client", "veth", "bridge", "nftables", "ip")

NUMBER = 200
NAMES = [f"c{number}" for number in range(NUMBER)]
LOOK_UP = 'for name in "$@"; do nslookup -type=a $name 127.0.0.11 2>/dev/null | grep "^Address: "; done'


def test_two_hundred_containers_come_and_go() -> None:
    with running_sampan() as engine:
        engine.load_busybox()
        made = engine.docker("network", "create", "--subnet", "10.92.0.0/24", "many")
        assert made.code == 0, made
        for name in NAMES:
            start(engine, name)
        began = time.monotonic()
        for name in NAMES:
            answer = engine.api("POST", "/networks/many/connect", {"Container": name})
            assert answer.status == 200, answer
        print(f"{NUMBER} connects: {time.monotonic() - began:.1f} s")
        assert ports(made.text) == NUMBER
        addresses = members(engine)
        assert len(set(addresses.values())) == NUMBER
        for number, name in enumerate(NAMES):
            # Each asks for its neighbours, and one in twenty for everybody.
            wanted = NAMES if number % 20 == 0 else [NAMES[number - 1], NAMES[(number + 1) % NUMBER]]
            assert looked_up(engine, name, wanted) == [addresses[one] for one in wanted], name
        # Over the daemon's death everybody keeps everything.
        engine.kill()
        engine.start()
        assert members(engine) == addresses
        assert looked_up(engine, NAMES[7], NAMES) == [addresses[one] for one in NAMES]
        for name in NAMES[::2]:
            answer = engine.api("POST", "/networks/many/disconnect", {"Container": name})
            assert answer.status == 200, answer
        assert set(members(engine)) == set(NAMES[1::2])
        assert ports(made.text) == NUMBER // 2
        assert looked_up(engine, NAMES[1], [NAMES[2], NAMES[3]]) == [addresses[NAMES[3]]]
        engine.remove_containers()
        assert (members(engine), ports(made.text)) == ({}, 0)
        gone = engine.docker("network", "rm", "many")
        assert gone.code == 0, gone


def start(engine: Sampan, name: str) -> None:
    body = {"Image": "busybox", "Cmd": ["sleep", "100000"], "HostConfig": {"Init": False}}
    assert engine.api("POST", f"/containers/create?name={name}", body).status == 201
    assert engine.api("POST", f"/containers/{name}/start").status == 204


def members(engine: Sampan) -> dict[str, str]:
    """Addresses by name."""
    shown = json.loads(engine.api("GET", "/networks/many").body)
    return {one["Name"]: one["IPv4Address"].partition("/")[0] for one in shown["Containers"].values()}


def looked_up(engine: Sampan, name: str, wanted: list[str]) -> list[str]:
    done = engine.docker("exec", name, "sh", "-c", LOOK_UP, "sh", *wanted, timeout=300)
    return [line.split()[1] for line in done.out.decode().splitlines()]


def ports(network: str) -> int:
    """How many pairs end in the network's bridge."""
    shown = subprocess.run(
        ["ip", "-j", "link", "show", "master", f"sp-{network[:12]}"], capture_output=True, check=True
    )
    return sum(bool(one) for one in json.loads(shown.stdout))
