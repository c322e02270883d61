"""Statistics of a container, once or for as long as a client watches."""

from collections.abc import AsyncIterator

from sampan.daemon.container import Container
from sampan.daemon.engine import Engine
from sampan.daemon.states import Status
from sampan.errors import InvalidParameter


def stats(engine: Engine, reference: str, *, stream: bool, one_shot: bool) -> AsyncIterator[bytes]:
    """Samples as lines of JSON. Raises NotFound; InvalidParameter for a stream of one.

    A stream goes on while the container does not run, with empty samples, and ends with its removal. Without `stream` there is
    one line: after a second, so that there are two samples to compare, or at once where `one_shot` asks for that or nothing runs.
    """
    container = engine.find(reference)
    if stream and one_shot:
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    if stream:
        return _stream(engine, container)
    return _single(engine, container, one_shot=one_shot)


async def _single(engine: Engine, container: Container, *, one_shot: bool) -> AsyncIterator[bytes]:
    if one_shot or container.state.status not in (Status.RUNNING, Status.PAUSED):
        yield engine.sampler.once(container).data
        return
    watch = engine.sampler.watch(container)
    try:
        while (frame := await watch.next()) is not None:
            if frame.whole:
                yield frame.data
                return
    finally:
        engine.sampler.leave(container, watch)
    # It was removed meanwhile.
    yield engine.sampler.once(container).data


async def _stream(engine: Engine, container: Container) -> AsyncIterator[bytes]:
    watch = engine.sampler.watch(container)
    try:
        while (frame := await watch.next()) is not None:
            yield frame.data
    finally:
        engine.sampler.leave(container, watch)
