"""Why a step is not taken from the cache: what differs between it and the record nearest to it, by name.

step, not found ── nearest record: same stage and place, or the same text ── build.keys.changed ──▶ names of parts
    "input n"     the vertex below it: itself explained, where it is a source; else "built anew" by its text
    "content"     of a context: the files whose digests changed, appeared or are gone, as far as both are listed
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from sampan.build.cache.records import Entry, Kind, Record, entry
from sampan.build.cache.store import BuildCache
from sampan.build.keys import Key, changed
from sampan.build.operations import Graph, Place

_NAMED = 3
"""Files that are named; of more it is told how many there are."""
_TEXT = 60
_SOURCES = (Kind.LOCAL, Kind.GIT, Kind.HTTP, Kind.INTERNAL)
_CONFIG = {
    "config env": "the environment of the image",
    "config cmd": "CMD",
    "config entrypoint": "ENTRYPOINT",
    "config labels": "the labels of the image",
    "config working_dir": "WORKDIR",
    "config user": "USER",
    "config exposed_ports": "EXPOSE",
    "config volumes": "VOLUME",
    "config stop_signal": "STOPSIGNAL",
    "config healthcheck": "HEALTHCHECK",
    "config shell": "SHELL",
    "config on_build": "ONBUILD",
}
_MEMBERS = {
    "arguments": "the command",
    "directory": "the working directory",
    "user": "the user",
    "network": "the network",
    "security": "the security mode",
    "mounts": "the mounts",
    "script": "the heredoc",
    "paths": "the paths",
    "excludes": "the excludes",
    "destination": "the destination",
    "chown": "--chown",
    "chmod": "--chmod",
    "link": "--link",
    "parents": "--parents",
    "unpack": "--unpack",
    "files": "the heredoc",
    "reference": "the reference",
    "platform": "the platform",
    "checksum": "--checksum",
    "form": "the form of keys, with a new version of Sampan",
}


Listing = Callable[[Place], Mapping[str, str]]
"""Digests of a source's files by name; nothing where they are not known, or too many."""


def _unlisted(_: Place) -> Mapping[str, str]:
    return {}


class Known(msgspec.Struct, frozen=True):
    """A graph with what `build.keys.keys` was given and gave; `listing` gives digests of a source's files by name."""

    graph: Graph
    keys: Sequence[Key | None]
    contents: Mapping[Place, str]
    listing: Listing = _unlisted

    def entry(self, place: Place) -> Entry:
        """The vertex as the cache would keep it, without its layers."""
        return entry(self.graph, place, self.keys, self.contents, listing=self.listing(place))


class Misses:
    """Explanations against what the cache knew when this was made: one for each build, before it keeps anything."""

    def __init__(self, cache: BuildCache) -> None:
        self._records = cache.records()

    def explain(self, known: Known, place: Place) -> str:
        """What made the vertex run although one like it has run before; "" where none has."""
        wanted = known.entry(place)
        before = self._nearest(wanted)
        if before is None:
            return ""
        names = changed(before.parts, wanted.parts)
        if not names:
            return "its result is not in the cache any more"
        inputs = [name for name in names if name.startswith("input ")]
        own = [name for name in names if name not in inputs]
        if own:
            return _joined(_own_change(name, before, wanted) for name in own)
        return _joined(self._input_change(known, place, before, int(name.removeprefix("input "))) for name in inputs)

    def _nearest(self, wanted: Entry) -> Record | None:
        """Of records of the same operation the one likest: by text, stage and place; of several the last used."""
        best: tuple[int, int] = (0, 0)
        found = None
        for record in self._records.values():
            if record.operation != wanted.operation:
                continue
            same_stage = record.stage == wanted.stage
            alike = 4 * (record.text == wanted.text) + 2 * same_stage + (same_stage and record.number == wanted.number)
            # The same stage alone is no likeness: any RUN of it would do.
            if alike >= 3 and (alike, record.used) > best:
                best, found = (alike, record.used), record
        return found

    def _input_change(self, known: Known, place: Place, before: Record, number: int) -> str:
        inputs = known.graph.vertices[place].inputs
        if number >= len(inputs) or number >= len(before.inputs):
            return "it has other inputs"
        below = inputs[number]
        text = known.graph.vertices[below].text
        wanted = known.entry(below)
        if wanted.kind not in _SOURCES:
            return (
                f"what it stands on was made anew: {_short(text)}" if number == 0 else f"{_short(text)} was made anew"
            )
        old = self._records.get(before.inputs[number])
        if old is None or old.operation != wanted.operation:
            return _source_changed(wanted)
        if old.listing and wanted.listing and (files := _files(old.listing, wanted.listing)):
            return files
        names = [name for name in changed(old.parts, wanted.parts) if name != "content"]
        return _joined(_own_change(name, old, wanted) for name in names) if names else _source_changed(wanted)


def _own_change(name: str, before: Entry, wanted: Entry) -> str:
    if name == "content":
        return _source_changed(wanted)
    if name.startswith("environment "):
        return _appeared(f"the variable {name.removeprefix('environment ')}", name, before, wanted)
    if name.startswith("config "):
        what = _CONFIG.get(name, f"the image's {name.removeprefix('config ')}")
        return _appeared(what, name, before, wanted)
    return _appeared(_MEMBERS.get(name, name), name, before, wanted)


def _appeared(what: str, name: str, before: Entry, wanted: Entry) -> str:
    if name not in before.parts:
        return f"{what} is new"
    return f"{what} changed" if name in wanted.parts else f"{what} is gone"


def _source_changed(wanted: Entry) -> str:
    match wanted.kind:
        case Kind.LOCAL:
            return f"files of the context changed ({_short(wanted.text)})"
        case Kind.GIT:
            return f"the repository has another commit ({_short(wanted.text)})"
        case Kind.HTTP:
            return f"what the URL gives changed ({_short(wanted.text)})"
        case _:
            return f"the image is another one ({_short(wanted.text)})"


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Which files differ, in words; "" where none does."""
    differing = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if not differing:
        return ""
    told = []
    for name in differing[:_NAMED]:
        how = "is new" if name not in before else "changed" if name in after else "is gone"
        told.append(f"{name} {how}")
    more = len(differing) - _NAMED
    rest = f", and {more} more files differ" if more > 0 else ""
    return f"in the context {', '.join(told)}{rest}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"


def _joined(told: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(told))
