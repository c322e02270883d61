"""What a build takes from and gives beside its image, as the query has it: JSON in parameters of Sampan's own, but for two.

`cachefrom` and `outputs` are Docker's: names of images alone, and `[{"Type": …, "Attrs": {…}}]`.
"""

from collections.abc import Mapping

import msgspec

from sampan.api.form import Form
from sampan.errors import InvalidParameter
from sampan.spec.builds import BuildPart
from sampan.spec.decoding import Reader

_PARTS = Reader(tuple[BuildPart | str, ...])
_WORDS = Reader(dict[str, str])
_MOST = 64


class BuildEnds(msgspec.Struct, frozen=True):
    """What was asked for."""

    cache_from: tuple[BuildPart, ...]
    cache_to: tuple[BuildPart, ...]
    outputs: tuple[BuildPart, ...]
    attests: Mapping[str, str]
    annotations: Mapping[str, str]


def read(form: Form) -> BuildEnds:
    """Raises InvalidParameter."""
    return BuildEnds(
        _parts(form, "cachefrom", "cache-from"),
        _parts(form, "cacheto", "cache-to"),
        _parts(form, "outputs", "outputs"),
        _words(form, "attests"),
        _words(form, "annotations"),
    )


def _parts(form: Form, name: str, called: str) -> tuple[BuildPart, ...]:
    """A name alone is an image that may be here, or in its registry."""
    text = form.text(name)
    if not text or text == "null":
        return ()
    try:
        found = _PARTS.read(text.encode("utf-8", "surrogateescape"))
    except InvalidParameter as error:
        raise InvalidParameter(f"error reading {called}: {error}") from error
    if len(found) > _MOST:
        raise InvalidParameter(f"error reading {called}: more than {_MOST}")
    return tuple(BuildPart(type="image", attrs={"ref": one}) if isinstance(one, str) else one for one in found)


def _words(form: Form, name: str) -> Mapping[str, str]:
    text = form.text(name)
    if not text or text == "null":
        return {}
    try:
        return _WORDS.read(text.encode("utf-8", "surrogateescape"))
    except InvalidParameter as error:
        raise InvalidParameter(f"error reading {name}: {error}") from error
