"""Real clients, unmodified: docker-py, and the machine's `docker` under a terminal."""

import gc
import warnings
from collections.abc import Iterator

import docker
import pytest

from tests.daemons import Sampan


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
