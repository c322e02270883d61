"""`--output type=…,KEY=VALUE`: what is asked for, each attribute honoured or refused by its name."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from sampan.build.outputs.annotations import Annotations, taken
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.images.references import Reference, parse_named

KINDS = ("image", "docker", "oci", "tar", "local", "cacheonly")
_YES, _NO = ("true", "1", "t"), ("false", "0", "f")
_CLIENTS = ("dest",)
"""What the client does with the bytes it gets."""


class Option(Protocol):
    """One `--output` as it came."""

    @property
    def type(self) -> str:
        """One of KINDS, or wrong."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """What stands behind it."""
        ...


class OutputWish(msgspec.Struct, frozen=True, kw_only=True):
    """One output. `names` beside those of the build; `packed`: layers as gzip; `rewritten`: no time later than the build's clock.

    `streamed`: its bytes go to the client; else it is an image in the store.
    """

    kind: str
    names: tuple[Reference, ...] = ()
    packed: bool = False
    push: bool = False
    rewritten: bool = False
    prefix: str = ""
    """of the names of attestations that lie beside a tree"""
    split: bool | None = None
    """a directory for each platform; None: where there are several"""
    annotations: Annotations = Annotations()
    streamed: bool = False


def parse(option: Option) -> OutputWish:
    """What an option says. Raises InvalidParameter, NotImplementedHere for what BuildKit knows and we do not."""
    if option.type not in KINDS:
        raise InvalidParameter(f"exporter {option.type!r} could not be found: it is one of {', '.join(KINDS)}")
    left = dict(option.attributes)
    archive = option.type in ("oci", "docker")
    streamed = option.type in ("oci", "tar", "local") or (option.type == "docker" and "dest" in left)
    for name in _CLIENTS:
        left.pop(name, None)
    wish = OutputWish(
        kind=option.type,
        names=tuple(parse_named(name, "").with_default_tag() for name in left.pop("name", "").split(",") if name),
        packed=_packed(left) if option.type == "oci" else False,
        push=_switch(left, "push", default=False) if option.type == "image" else False,
        rewritten=_switch(left, "rewrite-timestamp", default=False),
        prefix=left.pop("attestation-prefix", "") if option.type in ("tar", "local") else "",
        split=_switch(left, "platform-split", default=True) if "platform-split" in left and not archive else None,
        annotations=taken(left) if option.type in ("image", "oci") else Annotations(),
        streamed=streamed,
    )
    if archive and not _switch(left, "tar", default=True):
        raise NotImplementedHere(f"output {option.type}: tar=false is not implemented: unpack the archive")
    if option.type == "docker" and option.attributes.get("compression"):
        raise NotImplementedHere("output docker: compression is not implemented: its layers are plain tars")
    if archive or option.type == "image":
        _defaults(option.type, left)
    if left:
        raise InvalidParameter(f"output {option.type}: unknown attribute {', '.join(sorted(left))}")
    return wish


def _packed(attributes: dict[str, str]) -> bool:
    kind = attributes.pop("compression", "uncompressed")
    if kind not in ("uncompressed", "gzip"):
        raise NotImplementedHere(f"output oci: compression {kind} is not implemented: uncompressed and gzip are")
    return kind == "gzip"


def _defaults(kind: str, attributes: dict[str, str]) -> None:
    """Attributes that may be given as they are anyway."""
    fixed = {"oci-mediatypes": kind != "docker", "unpack": True, "store": True, "force-compression": False}
    for name, always in fixed.items():
        if _switch(attributes, name, default=always) != always:
            value = "false" if always else "true"
            raise NotImplementedHere(f"output {kind}: {name}={value} is not implemented")


def _switch(attributes: dict[str, str], name: str, *, default: bool) -> bool:
    if name not in attributes:
        return default
    text = attributes.pop(name).lower() or "true"
    if text not in (*_YES, *_NO):
        raise InvalidParameter(f"non-bool value {text!r} specified for {name}")
    return text in _YES
