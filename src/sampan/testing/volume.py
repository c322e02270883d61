"""The suite of volume drivers."""

import threading
from pathlib import Path
from typing import ClassVar

from sampan.drivers.volume import KIND
from sampan.testing.suite import Refusal, Suite


class VolumeDriverSuite(Suite):
    """What Sampan relies on in a volume driver. `options` are given with each volume that is made."""

    kind: ClassVar[str] = KIND
    options: ClassVar[dict[str, str]] = {}

    def make(self, name: str) -> None:
        """A volume, with the suite's options."""
        self.ask("Create", Name=name, Opts=self.options)

    def mount(self, name: str, use: str) -> Path:
        """Where it is seen then. Raises AssertionError where that is no directory."""
        place = Path(self.ask("Mount", Name=name, ID=use)["Mountpoint"])
        assert place.is_absolute(), f"Mount answered {place}, which is not absolute"
        assert place.is_dir(), f"Mount answered {place}, where no directory is"
        return place

    def names(self) -> set[str]:
        """Of all volumes."""
        return {volume["Name"] for volume in self.ask("List")["Volumes"]}

    def test_the_scope_is_one_that_docker_knows(self) -> None:
        """`local` or `global`."""
        assert self.ask("Capabilities")["Capabilities"]["Scope"] in ("local", "global")

    def test_a_volume_comes_and_goes(self) -> None:
        """Made, found by name and in the list, removed, not found."""
        self.make("one")
        assert self.ask("Get", Name="one")["Volume"]["Name"] == "one"
        assert "one" in self.names()
        self.ask("Remove", Name="one")
        assert "one" not in self.names()
        self.refused("Get", Name="one")

    def test_what_is_not_there_is_refused(self) -> None:
        """And is not made by being asked for."""
        for method in ("Get", "Remove", "Mount"):
            self.refused(method, Name="nothing", ID="use")
        assert "nothing" not in self.names()

    def test_made_twice_is_made_once(self) -> None:
        """The daemon repeats what it is not sure of."""
        self.make("one")
        self.make("one")
        assert [volume["Name"] for volume in self.ask("List")["Volumes"]].count("one") == 1
        self.ask("Remove", Name="one")

    def test_what_is_written_stays(self) -> None:
        """From one mount to the next, and for the daemon that is started again."""
        self.make("one")
        (self.mount("one", "first") / "file").write_text("kept")
        self.ask("Unmount", Name="one", ID="first")
        assert (self.mount("one", "second") / "file").read_text() == "kept"
        self.ask("Unmount", Name="one", ID="second")
        if self.begin_anew():
            assert (self.mount("one", "third") / "file").read_text() == "kept"
            self.ask("Unmount", Name="one", ID="third")
        self.ask("Remove", Name="one")

    def test_the_path_is_the_mount_s(self) -> None:
        """Path answers what Mount did."""
        self.make("one")
        place = self.mount("one", "first")
        assert self.ask("Path", Name="one")["Mountpoint"] == str(place)
        self.ask("Unmount", Name="one", ID="first")
        self.ask("Remove", Name="one")

    def test_two_uses_are_counted(self) -> None:
        """The end of one does not take the volume from the other; the same use again is the same."""
        self.make("one")
        self.mount("one", "first")
        place = self.mount("one", "second")
        self.mount("one", "second")
        self.ask("Unmount", Name="one", ID="first")
        (place / "file").write_text("still here")
        assert (self.mount("one", "second") / "file").read_text() == "still here"
        self.ask("Unmount", Name="one", ID="second")
        self.ask("Remove", Name="one")

    def test_volumes_are_kept_apart(self) -> None:
        """What is in one is not in another."""
        for name in ("one", "two"):
            self.make(name)
            (self.mount(name, "use") / name).touch()
        assert [entry.name for entry in self.mount("two", "use").iterdir() if entry.name in ("one", "two")] == ["two"]
        for name in ("one", "two"):
            self.ask("Unmount", Name=name, ID="use")
            self.ask("Remove", Name=name)

    def test_many_at_once(self) -> None:
        """Calls come from several threads."""
        names = [f"volume-{number}" for number in range(8)]
        faults: list[BaseException] = []

        def make(name: str) -> None:
            try:
                self.make(name)
            except (Refusal, OSError, AssertionError) as fault:
                faults.append(fault)

        threads = [threading.Thread(target=make, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert set(names) <= self.names()
        for name in names:
            self.ask("Remove", Name=name)
