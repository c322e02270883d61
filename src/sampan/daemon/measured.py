"""The verbs whose times the metrics tell, measured; a daemon that serves none does not load this."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from functools import partial, wraps
from typing import Any

from sampan.daemon.metrics import Metrics

_Clock = Callable[[], AbstractContextManager[None]]
_Method = Callable[..., Any]

_AWAITED = (
    ("containers", "create", "container_actions", "create"),
    ("containers", "start", "container_actions", "start"),
    ("containers", "remove", "container_actions", "delete"),
    ("files", "changes", "container_actions", "changes"),
    ("files", "commit", "container_actions", "commit"),
    ("images", "remove", "image_actions", "delete"),
    ("images", "history", "image_actions", "history"),
    ("networks", "connect", "network_actions", "connect"),
    ("networks", "disconnect", "network_actions", "release"),
    ("system", "info", "host_info_functions", "system_info"),
    ("system", "version", "host_info_functions", "system_version"),
)
"""Member of the backend, its method, and where its time is told."""
_STREAMED = (("images", "pull", "image_actions", "pull"), ("images", "push", "image_actions", "push"))
"""Those whose work is done while the answer is read."""


def hold_clock(backend: Any, metrics: Metrics) -> None:  # noqa: ANN401 - the API's, which this room does not know
    """From now on these methods of the backend's members are timed, and builds are counted."""
    for verbs, timed in ((_AWAITED, _awaited), (_STREAMED, _streamed)):
        for member, method, name, action in verbs:
            subject = getattr(backend, member)
            setattr(subject, method, timed(getattr(subject, method), partial(metrics.timed, name, action)))
    build: _Method = backend.builds.build

    @wraps(build)
    def counted(*operands: object, **named: object) -> AsyncIterator[bytes]:
        metrics.builds += 1
        return build(*operands, **named)  # type: ignore[no-any-return]

    backend.builds.build = counted


def _awaited(method: _Method, clock: _Clock) -> _Method:
    @wraps(method)
    async def held(*operands: object, **named: object) -> object:
        with clock():
            return await method(*operands, **named)

    return held


def _streamed(method: _Method, clock: _Clock) -> _Method:
    @wraps(method)
    async def held(*operands: object, **named: object) -> AsyncIterator[object]:
        with clock():
            async with aclosing(method(*operands, **named)) as stream:
                async for each in stream:
                    yield each

    return held
