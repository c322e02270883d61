"""docker-py's own integration suite. What fails is listed with its cause in `dockerpy_failures.py`, and nothing else may."""

from pathlib import Path

import pytest

from tests.archives import PATH, Layer, busybox_rootfs, docker_archive
from tests.daemons import Sampan, running_sampan
from tests.long.dockerpy_failures import EXPECTED
from tests.long.suites import Expected, Suite, judge
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "busybox")

SUITE = Suite(
    "docker_py",
    "https://github.com/docker/docker-py.git",
    "7.1.0",
    ("docker[ssh,websockets]==7.1.0", "pytest==8.*", "pytest-timeout"),
)
MODULES = (
    *(
        "api_build",
        "api_client",
        "api_config",
        "api_container",
        "api_exec",
        "api_healthcheck",
        "api_image",
        "api_network",
    ),
    *("api_plugin", "api_secret", "api_service", "api_swarm", "api_volume", "client", "errors", "models_containers"),
    *("models_images", "models_networks", "models_nodes", "models_resources", "models_services", "models_swarm"),
    *("models_volumes", "regression"),
)
"""All but those that ask no daemon: contexts and credential stores."""


@pytest.fixture(scope="module")
def suite() -> Suite:
    SUITE.fetch()
    (SUITE.sources / "docker").rename(SUITE.sources / "not-docker") if (SUITE.sources / "docker").exists() else None
    return SUITE


def _alpine() -> bytes:
    """What the tests use of alpine that busybox lacks: a user and a directory."""
    layer = Layer()
    layer.directory("var/opt")
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\npostgres:x:70:\n")
    return layer.tar()


def _load(engine: Sampan) -> None:
    """The images that the suite would pull; each module may remove some."""
    config = {"Cmd": ["/bin/sh"], "Env": [PATH]}
    for tag in ("alpine:3.10", "alpine:latest", "busybox:latest"):
        loaded = engine.docker("load", stdin=docker_archive(tag, [busybox_rootfs(), _alpine()], config))
        assert loaded.code == 0, loaded


@pytest.mark.parametrize("module", MODULES)
def test_module(suite: Suite, module: str, tmp_path: Path) -> None:
    with running_sampan() as engine:
        _load(engine)
        failed = suite.run(f"tests/integration/{module}_test.py", tmp_path, engine.host, DOCKER_TEST_API_VERSION="1.45")
    expected = tuple(Expected(pattern, cause) for pattern, cause in EXPECTED if pattern.startswith(f"{module}_test::"))
    wrong = judge(failed, expected)
    assert wrong == [], "\n".join(wrong)
