"""Suites that a driver must pass: what Sampan relies on, asked over the socket as the daemon asks it.

Belongs here: one suite for each kind of driver, and what runs them. Does not belong: tests of Sampan itself. May import: errors,
spec, dockerfile, drivers. Packages of other people import this room: its names stay.

    from sampan.testing.volume import VolumeDriverSuite

    class TestShelf(VolumeDriverSuite):
        def driver(self, home):
            return Shelf(home)

pytest finds the tests of such a class; `python -m sampan.testing NAME` runs the suites of an installed driver without it. A
suite whose `driver` is left out and that has `address`, the path of a socket, asks a plugin that runs already, in any language.
"""
