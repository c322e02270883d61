"""Which front end is asked for: the built-in one is that of Dockerfiles, and stands for the images that hold the same. Pure."""

import re
from collections.abc import Mapping

from sampan.dockerfile.instructions import Dockerfile
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.images.references import parse_reference

BUILT_IN = "dockerfile.v0"
GATEWAY = "gateway.v0"
NEWEST = (1, 20)
"""The version of the Dockerfile language that is read here."""
_OURS = ("docker/dockerfile", "docker/dockerfile-upstream")
_TAG = re.compile(r"(?:latest|master|labs|experimental|(\d{1,4})(?:\.(\d{1,4}))?(?:\.\d{1,4})?(?:-\w+)?)", re.ASCII)
_SHOWN = 200


def check_frontend(name: str, attributes: Mapping[str, str]) -> None:
    """Whether the front end of a solve is served here. Raises NotImplementedHere by its name."""
    if name == GATEWAY and attributes.get("source"):
        check_image(attributes["source"], "BUILDKIT_SYNTAX")
    elif name != BUILT_IN:
        raise NotImplementedHere(
            f"not implemented by Sampan yet: the front end {name[:_SHOWN]!r}; Dockerfiles are built"
        )


def check_syntax(dockerfile: Dockerfile) -> None:
    """The same of what a Dockerfile names itself by `# syntax=`. Raises NotImplementedHere."""
    directive = dockerfile.directive("syntax")
    if directive is not None:
        check_image(directive.value, "# syntax=")


def check_image(text: str, where: str) -> None:
    """Whether an image holds the front end that is built in, in a version that is read here. Raises NotImplementedHere."""
    text = text.split(maxsplit=1)[0] if text.split() else ""
    try:
        reference = parse_reference(text)
    except InvalidParameter as error:
        raise InvalidParameter(f"{where}: {error}") from error
    built_in = f"the front end that is built in, docker/dockerfile {NEWEST[0]}.{NEWEST[1]}"
    if reference.domain != "docker.io" or reference.path not in _OURS:
        raise NotImplementedHere(
            f"not implemented by Sampan yet: {where} {text[:_SHOWN]!r}, front ends of images; leave it out for {built_in}"
        )
    tag = _TAG.fullmatch(reference.tag or "latest")
    if tag is None or (tag[1] and (int(tag[1]), int(tag[2] or 0)) > NEWEST):
        raise NotImplementedHere(
            f"not implemented by Sampan yet: {where} {text[:_SHOWN]!r}; leave it out for {built_in}"
        )
