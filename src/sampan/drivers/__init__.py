"""Drivers in Python: the typed Protocols that a package implements and declares by an entry point, and how it is served.

Belongs here: one module for each kind of driver (its Protocol, its documents, what it answers), and the process that serves an
installed one in Docker's plugin protocol, as a program of its own. Does not belong: what the daemon does with the answers
(`plugins`, `daemon`). May import: errors, spec. Packages of other people import this room: its names stay.

    [project.entry-points."sampan.volume"]
    shelf = "my_package:Shelf"                  # called with a directory of its own: Shelf(home: Path) -> VolumeDriver

docs/drivers.md has the whole of it, `sampan.testing` the suites that a driver must pass.
"""
