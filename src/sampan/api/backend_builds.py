"""What the routes of builds call: see `backend`."""

from typing import Protocol

from sampan.spec import requests as r
from sampan.spec.disk import BuildPruneReport


class BuildCache(Protocol):
    """What builds made before, and the directories of their cache mounts."""

    async def prune(self, options: r.BuildPruneOptions) -> BuildPruneReport:
        """Remove what no build under way uses, as far as filters and limits say; without `all` what images share stays."""
        ...
