"""testcontainers-python's core suite, with its reaper; what fails is listed with its cause."""

from pathlib import Path

import pytest

from tests.daemons import running_sampan
from tests.long import images
from tests.long.suites import Expected, Suite, judge
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "bridge", "busybox")

SUITE = Suite(
    "testcontainers",
    "https://github.com/testcontainers/testcontainers-python.git",
    "testcontainers-v4.15.0",
    (
        "testcontainers==4.15.0",
        "pytest==8.*",
        "pytest-timeout",
        "pytest-mock",
        "requests",
        "pytest-asyncio",
        "paramiko",
    ),
)
MODULES = (
    *(
        "auth",
        "config",
        "container",
        "core",
        "core_ports",
        "docker_client",
        "docker_in_docker",
        "exec",
        "inspect",
        "labels",
    ),
    *("network", "new_docker_api", "ryuk", "transferable", "utils", "wait_strategies", "wait_strategies_integration"),
    "waiting_utils",
)
"""All but compose, images built, registries, and what asks no daemon."""

REGISTRY = "an image of Docker Hub that has no stand-in here"
NETWORKS = "what networks of one's own lack yet"
BUILD = "building images: issue 6"
HERE = "the suite expects Docker's own socket, and no container around the machine"
RACE = "reads the log as soon as the container has started: a race of its own, which a slow start wins"

SHARED = "asks nothing of the engine; looks through /tmp, where the folders of whatever else runs come and go"

EXPECTED = (
    Expected("test_core::test_garbage_collection_is_defensive", REGISTRY),
    Expected("test_core::test_get_logs", RACE, always=False),
    Expected("test_waiting_utils::test_wait_container_is_ready_decorator_with_container", RACE, always=False),
    Expected("test_wait_strategies_integration::TestRealDockerIntegration::*", RACE, always=False),
    Expected("test_docker_client::test_run_uses_found_network", HERE, always=False),
    Expected("test_utils::test_inside_container", HERE, always=False),
    Expected("test_docker_in_docker::test_wait_for_logs_docker_in_docker", REGISTRY),
    Expected("test_docker_in_docker::test_dind_inherits_network", REGISTRY),
    Expected("test_docker_in_docker::test_dood", BUILD),
    Expected("test_docker_in_docker::test_dind", BUILD),
    Expected("test_wait_strategies::TestFileExistsWaitStrategy::*file_not_exists_timeout*", SHARED, always=False),
    Expected("test_network::*", NETWORKS, always=False),
    Expected("test_wait_strategies_integration::TestDockerComposeIntegration::*", "needs docker compose", always=False),
)


@pytest.fixture(scope="module")
def suite() -> Suite:
    SUITE.fetch()
    return SUITE


@pytest.mark.parametrize("module", MODULES)
def test_module(suite: Suite, module: str, tmp_path: Path) -> None:
    with running_sampan() as engine:
        for tag in ("alpine:latest", "busybox:latest", "bash:latest", "ubuntu:latest"):
            images.load(engine, tag, ["/bin/sh"], images.alpine())
        for tag in ("nginx:latest", "nginx:alpine", "nginx:alpine-slim", "nginx:1.25.4-alpine-slim"):
            images.load(engine, tag, ["httpd", "-f", "-p", "80", "-h", "/www"], images.nginx())
        images.load(engine, "hello-world:latest", ["echo", images.HELLO])
        images.load(engine, "testcontainers/ryuk:0.8.1", ["/usr/bin/python3", "-I", "-S", "/ryuk.py"], images.ryuk())
        ran = suite.run(f"tests/core/test_{module}.py", tmp_path, engine.host)
    expected = tuple(one for one in EXPECTED if one.pattern.startswith(f"test_{module}::"))
    wrong = judge(ran.failed, expected)
    assert wrong == [], "\n".join(wrong)
