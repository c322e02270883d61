"""Two power cuts in every full check; `./check long power_loss` makes more of them."""

import pytest

from tests.daemons import Sampan
from tests.power_cuts import power_cuts
from tests.requires import requires

pytestmark = [requires("root", "overlay", "netns", "bridge", "busybox", "losetup"), pytest.mark.crash]


def test_two_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a daemon writes down as it is killed is no line.
    monkeypatch.setattr(Sampan, "answers", None)
    assert power_cuts(2, seed=20261126).total() > 0
