"""Each flag of this machine's docker has a verdict in docs/docker-compatibility.md."""

import re

import pytest

from tests.api.compatibility import DOCUMENT, FLAGS_OF
from tests.compat.test_cli_flags import docker_flags
from tests.requires import requires

pytestmark = requires("docker-client:28")


def verdicts(command: str) -> dict[str, str]:
    section = DOCUMENT.read_text().partition(f"\n## docker {command}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `--([a-z0-9-]+)` \| (\w+) \|", section, re.MULTILINE))


@pytest.mark.parametrize("command", FLAGS_OF)
def test_every_flag_has_a_verdict(command: str) -> None:
    given = verdicts(command)
    assert set(given) == set(docker_flags(command)) - {"help"}
    assert set(given.values()) <= {"full", "partial", "not"}
