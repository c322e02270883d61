import pytest

from sampan.build.entitlements import Entitlement, check, entitlements
from sampan.build.operations import Graph
from sampan.build.planning import Wish, plan
from sampan.dockerfile.parse import parse
from sampan.errors import Forbidden, InvalidParameter, NotImplementedHere
from tests.golden.rendering import MACHINES

USUAL = frozenset({"network.host"})
EVERY = frozenset(Entitlement)


def graph(line: str) -> Graph:
    return plan(parse(f"FROM scratch\n{line}\n"), Wish(MACHINES), {})


def test_what_the_daemon_grants_and_the_client_allows() -> None:
    assert entitlements([], USUAL) == frozenset()
    assert entitlements(["network.host"], USUAL) == {Entitlement.NETWORK_HOST}
    with pytest.raises(
        Forbidden, match=r"granting entitlement security.insecure is not allowed by build daemon config"
    ):
        entitlements(["network.host", "security.insecure"], USUAL)
    with pytest.raises(InvalidParameter, match="unknown entitlement sound"):
        entitlements(["sound"], EVERY)
    with pytest.raises(NotImplementedHere, match="entitlement device"):
        entitlements(["device=vendor.com/class"], EVERY)


@pytest.mark.parametrize(
    ("line", "network", "missing"),
    [
        ("RUN true", "default", ""),
        ("RUN --network=host true", "default", "network.host"),
        ("RUN true", "host", "network.host"),
        ("RUN --network=none true", "host", ""),
        ("RUN --security=insecure true", "default", "security.insecure"),
        ("RUN --security=sandbox true", "default", ""),
    ],
)
def test_what_a_step_asks_for_is_known_before_anything_runs(line: str, network: str, missing: str) -> None:
    check(graph(line), EVERY, network)
    if missing:
        with pytest.raises(Forbidden, match=f"^{missing} is not allowed$"):
            check(graph(line), EVERY - {Entitlement(missing)}, network)
    else:
        check(graph(line), frozenset(), network)
