"""The example packages pass the suites that their kind of driver must pass. The network driver's is among the kernel's tests."""

from pathlib import Path
from typing import ClassVar

import pytest
from sampan_example_authorization import ReadOnly
from sampan_example_frontend import Recipe
from sampan_example_ipam import Ledger
from sampan_example_log import Journal
from sampan_example_snapshot import Reflinks
from sampan_example_volume import Shelf

from sampan.drivers.authorization import Request
from sampan.testing.authorization import AuthorizationDriverSuite
from sampan.testing.frontend import FrontEndSuite
from sampan.testing.ipam import IpamDriverSuite
from sampan.testing.log import LogDriverSuite
from sampan.testing.snapshot import SnapshotDriverSuite
from sampan.testing.volume import VolumeDriverSuite


class TestShelf(VolumeDriverSuite):
    options: ClassVar[dict[str, str]] = {"mode": "0750"}

    def driver(self, home: Path) -> Shelf:
        return Shelf(home)

    def test_its_options(self) -> None:
        self.make("one")
        assert self.ask("Get", Name="one")["Volume"]["Status"] == {"mode": "0750"}
        assert self.mount("one", "use").stat().st_mode & 0o7777 == 0o750
        assert "no such option: size" in self.refused("Create", Name="two", Opts={"size": "1g"})


class TestLedger(IpamDriverSuite):
    def driver(self, home: Path) -> Ledger:
        return Ledger(home)


class TestJournal(LogDriverSuite):
    wrong_options: ClassVar[dict[str, str]] = {"nonsense": "1"}

    def driver(self, home: Path) -> Journal:
        return Journal(home)


class TestReadOnly(AuthorizationDriverSuite):
    allowed: ClassVar[tuple[Request, ...]] = (
        Request(method="GET", uri="/v1.51/containers/json"),
        Request(user="writer", method="POST", uri="/v1.51/containers/create", body=b"{}"),
    )
    denied: ClassVar[tuple[Request, ...]] = (
        Request(method="POST", uri="/v1.51/containers/create", body=b"{}"),
        Request(user="somebody", method="DELETE", uri="/v1.51/containers/x?force=1"),
    )

    def driver(self, home: Path) -> ReadOnly:
        (home / "writers").write_text("writer\n")
        return ReadOnly(home)


class TestReflinks(SnapshotDriverSuite):
    def driver(self, home: Path) -> Reflinks:
        return Reflinks(home)


class TestRecipe(FrontEndSuite):
    sources: ClassVar[tuple[str, ...]] = (
        '# syntax=recipe\nfrom = "debian:12"\n',
        'from = "busybox"\npackages = ["nginx", "a b"]\ncopy = { "site/" = "/srv" }\nuser = "daemon"\nrun = ["sh", "-c", "x"]\n',
    )
    wrong_sources: ClassVar[tuple[str, ...]] = ("", "from = 1", 'form = "busybox"', "= =", 'from = "x"\npackages = "a"')

    def driver(self, home: Path) -> Recipe:
        return Recipe(home)

    @pytest.mark.parametrize(("arguments", "first"), [({}, "FROM busybox"), ({"from": "debian"}, "FROM debian")])
    def test_arguments(self, arguments: dict[str, str], first: str) -> None:
        assert self.translated('from = "busybox"', **arguments).splitlines()[0] == first
