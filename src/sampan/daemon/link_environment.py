"""The variables by which a container learns of one that it is linked to, as Docker names them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class _Port:
    # TCP first, as in Docker: its lowest port is the default one.
    rank: int
    protocol: str
    number: int

    @property
    def word(self) -> str:
        return f"{self.number}_{self.protocol.upper()}"


def variables(name: str, address: str, environment: Iterable[str], exposed: Iterable[str]) -> Iterator[str]:
    """For the link `name` (`/parent/alias`) to a container at `address`, with its environment and ports (`80/tcp`)."""
    alias = name.rpartition("/")[2].upper().replace("-", "_")
    ports = sorted(_parse(text) for text in exposed)
    if ports:
        yield f"{alias}_PORT={_url(ports[0], address)}"
    for port in ports:
        prefix = f"{alias}_PORT_{port.word}"
        yield f"{prefix}={_url(port, address)}"
        yield f"{prefix}_ADDR={address}"
        yield f"{prefix}_PORT={port.number}"
        yield f"{prefix}_PROTO={port.protocol}"
    for first, last in _ranges(ports):
        yield f"{alias}_PORT_{first.word}_START={_url(first, address)}"
        yield f"{alias}_PORT_{first.word}_PORT_START={first.number}"
        yield f"{alias}_PORT_{first.word}_END={_url(last, address)}"
        yield f"{alias}_PORT_{first.word}_PORT_END={last.number}"
    yield f"{alias}_NAME={name}"
    for entry in environment:
        variable, equals, value = entry.partition("=")
        if equals and variable not in ("HOME", "PATH"):
            yield f"{alias}_ENV_{variable}={value}"


def _parse(text: str) -> _Port:
    number, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    return _Port(protocol != "tcp", protocol, int(number))


def _url(port: _Port, address: str) -> str:
    return f"{port.protocol}://{address}:{port.number}"


def _ranges(ports: Sequence[_Port]) -> Iterator[tuple[_Port, _Port]]:
    """First and last of each run of two and more consecutive ports of a protocol."""
    runs: list[list[_Port]] = []
    for port in ports:
        if runs and runs[-1][-1].protocol == port.protocol and runs[-1][-1].number + 1 == port.number:
            runs[-1].append(port)
        else:
            runs.append([port])
    return ((run[0], run[-1]) for run in runs if len(run) > 1)
