"""Real clients, unmodified: docker-py, and the machine's `docker` under a terminal."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.daemons import Sampan

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """docker-py lets go of a connection whose answer it did not read to its end: when that is collected is Python's affair."""
    forgotten = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent == HERE and "client" in item.fixturenames:
            item.add_marker(pytest.mark.filterwarnings(forgotten))


@pytest.fixture
def client(engine: Sampan) -> Iterator[docker.DockerClient]:
    """docker-py as `docker.from_env()` gives it, with DOCKER_HOST at the private engine; its containers go at the end."""
    made = docker.from_env(environment={"DOCKER_HOST": engine.host})
    yield made
    made.close()
    engine.remove_containers()
    # docker-py keeps the connection of an answer that was not read to its end (a build that failed) until it is collected.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
