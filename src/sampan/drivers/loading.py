"""An installed driver, imported and made ready to answer.

Entry points: https://packaging.python.org/specifications/entry-points/. A name in several groups is one driver of several kinds.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sampan.drivers import authorization, frontend, ipam, log, network, snapshot, volume
from sampan.drivers.calls import Book, Calls
from sampan.drivers.groups import GROUPS
from sampan.errors import NotFound

SERVED: Mapping[str, Callable[[Any], Calls]] = MappingProxyType(
    {module.KIND: module.calls for module in (volume, network, ipam, log, authorization, snapshot, frontend)}
)
"""What answers for a driver of each kind."""


def load(name: str, home: Path) -> Book:
    """Import all that is declared as `name` and make it, each with `home` for its own files.

    Raises NotFound where no package declares it, and whatever its own code raises.
    """
    declared = [(kind, point) for group, kind in GROUPS.items() for point in entry_points(group=group, name=name)]
    if not declared:
        raise NotFound(f'no installed package declares a driver "{name}" (entry points {", ".join(GROUPS)})')
    made: dict[str, object] = {}
    kinds: dict[str, Calls] = {}
    for kind, point in declared:
        if point.value not in made:
            made[point.value] = _made(point, home)
        kinds[kind] = SERVED[kind](made[point.value])
    return Book(kinds)


def _made(point: EntryPoint, home: Path) -> object:
    factory = point.load()
    return factory(home)
