"""Runs the suites of an installed driver without pytest."""

import traceback
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from sampan.drivers.groups import GROUPS
from sampan.testing.authorization import AuthorizationDriverSuite
from sampan.testing.frontend import FrontEndSuite
from sampan.testing.ipam import IpamDriverSuite
from sampan.testing.log import LogDriverSuite
from sampan.testing.network import NetworkDriverSuite
from sampan.testing.snapshot import SnapshotDriverSuite
from sampan.testing.suite import Suite
from sampan.testing.volume import VolumeDriverSuite

SUITES: dict[str, type[Suite]] = {
    suite.kind: suite
    for suite in (
        VolumeDriverSuite,
        NetworkDriverSuite,
        IpamDriverSuite,
        LogDriverSuite,
        AuthorizationDriverSuite,
        SnapshotDriverSuite,
        FrontEndSuite,
    )
}
"""By what the plugin protocol calls the kind."""


def suites(name: str) -> list[type[Suite]]:
    """Those of an installed driver: one for each kind that its package declares. Empty where none does."""
    return [_of(kind, point) for group, kind in GROUPS.items() for point in entry_points(group=group, name=name)]


def run(suite: type[Suite]) -> Iterator[tuple[str, str]]:
    """Each test's name, and what was wrong, "" for nothing."""
    for name in sorted(name for name in dir(suite) if name.startswith("test_")):
        one = suite()
        one.setup_method()
        try:
            getattr(one, name)()
        except Exception:  # noqa: BLE001 - the driver's, the test's, or a refusal: each is what was wrong
            yield name, traceback.format_exc()
        else:
            yield name, ""
        finally:
            one.teardown_method()


def _of(kind: str, point: EntryPoint) -> type[Suite]:
    factory = point.load()

    def driver(_: Suite, home: Path) -> object:
        return factory(home)

    return type(f"Installed{kind}", (SUITES[kind],), {"driver": driver})
