import pytest

from sampan.build.cache.pruning import DAY, Budget, Rule
from sampan.build.cache.records import Kind
from sampan.daemon.config_builder import budget, granted
from sampan.errors import InvalidParameter

GIB = 1 << 30


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Budget()),
        ({}, Budget()),
        ({"gc": {"enabled": False}}, Budget(enabled=False)),
        ({"GC": {"defaultKeepStorage": "20GB"}}, Budget(reserved=20 * GIB)),
        (
            {"gc": {"defaultReservedSpace": "1GB", "defaultMaxUsedSpace": "2GB", "defaultMinFreeSpace": "3GB"}},
            Budget(reserved=GIB, most=2 * GIB, free=3 * GIB),
        ),
        (
            {
                "gc": {
                    "policy": [
                        {"keepStorage": "10GB", "filter": ["unused-for=48h"]},
                        {"maxUsedSpace": "50GB", "all": True, "filter": ["type=exec.cachemount"]},
                    ]
                }
            },
            Budget(
                rules=(
                    Rule(reserved=10 * GIB, unused=2 * DAY),
                    Rule(most=50 * GIB, every=True, fields={"type": Kind.MOUNT}),
                )
            ),
        ),
    ],
)
def test_what_docker_takes(value: object, expected: Budget) -> None:
    assert budget(value) == expected


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"gc": {"defaultKeepStorage": "much"}}, "defaultReservedSpace: invalid size: 'much'"),
        ({"gc": {"enabled": "perhaps"}}, "invalid builder: Expected `bool`"),
        ({"history": {}}, "invalid builder: Object contains unknown field `history`"),
        ({"entitlements": {"device": True}}, "invalid builder: Object contains unknown field `device`"),
        ({"gc": {"policy": [{"filter": ["colour=red"]}]}}, "invalid filter 'colour'"),
        ({"gc": {"policy": [{"filter": ["until=soon"]}]}}, "soon"),
    ],
)
def test_what_it_does_not(value: object, told: str) -> None:
    with pytest.raises(InvalidParameter, match=told):
        budget(value)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({}, {"network.host"}),
        ({"Entitlements": {"security-insecure": True}}, {"network.host", "security.insecure"}),
        ({"entitlements": {"network-host": False}}, set()),
    ],
)
def test_what_builds_may_be_allowed(value: object, names: set[str]) -> None:
    assert granted(value) == names
