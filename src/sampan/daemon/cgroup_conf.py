"""Control files that a request names itself, in annotations: `sampan.cgroup-conf.memory.high=64M`. Pure.

The Engine API has no member for them. `sampan run --cgroup-conf` writes the annotation, as `docker run --annotation` can.
"""

from collections.abc import Mapping

from sampan.cgroups import raw

PREFIX = "sampan.cgroup-conf."


def asked(annotations: Mapping[str, str] | None) -> dict[str, str]:
    """Control file → what is to be written there, in the order of the request. Raises InvalidParameter."""
    settings = {key.removeprefix(PREFIX): value for key, value in (annotations or {}).items() if key.startswith(PREFIX)}
    raw.check(settings)
    return settings
