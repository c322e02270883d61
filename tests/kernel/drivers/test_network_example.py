"""The example of a network driver passes the suite, with links of its own in this machine's network namespace."""

from pathlib import Path

from sampan_example_network import Cable

from sampan.testing.network import NetworkDriverSuite


class TestCable(NetworkDriverSuite):
    def driver(self, home: Path) -> Cable:
        return Cable(home)
