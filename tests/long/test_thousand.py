"""A thousand containers at once on the default bridge (bench/fleet.py says what is done with them).

NUMBER sets how many (1000; a bridge has room for 1023). The figures are printed (-s).
"""

import os
from dataclasses import asdict

import pytest

from bench import fleet
from tests.daemons import Sampan
from tests.requires import requires

pytestmark = requires("root", "overlay", "netns", "veth", "bridge", "busybox")

NUMBER = int(os.environ.get("NUMBER", str(fleet.MOST)))


def test_a_thousand_containers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The daemon itself, and not one whose answers are written down.
    monkeypatch.setattr(Sampan, "answers", None)
    found = fleet.measured(NUMBER)
    for what, value in asdict(found).items():
        print(f"{what}: {value:.2f}")
    assert found.found < 30
