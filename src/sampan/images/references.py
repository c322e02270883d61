"""References to images by Docker's rules: `busybox` means `docker.io/library/busybox:latest`. Pure text.

The grammar is that of github.com/distribution/reference; the messages are the ones that clients know.
"""

import re
from dataclasses import dataclass, replace

from sampan.errors import InvalidParameter
from sampan.registry.names import HUB, HUB_INDEX_NAME, familiar
from sampan.spec.ids import Digest, ImageId

DEFAULT_DOMAIN = HUB
_OFFICIAL = "library/"
DEFAULT_TAG = "latest"
_NAME_LIMIT = 255
# Longer than any valid reference (name 255, tag 128, digest 135, domain 253 and port); keeps the expressions' work small.
_TEXT_LIMIT = 1024

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?", re.ASCII
)
_TAG_ONLY = re.compile(_TAG, re.ASCII)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A name with a domain and what narrows it. `tag` and `digest` may both be absent: then the name stands for all tags."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """`docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """`busybox`: the name as a user writes it."""
        return familiar(self.domain, self.path)

    @property
    def familiar(self) -> str:
        """`busybox:latest`."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return tag + (f"@{self.digest}" if self.digest is not None else "")

    @property
    def is_name_only(self) -> bool:
        """Neither tag nor digest."""
        return self.tag is None and self.digest is None

    def with_default_tag(self) -> "Reference":
        """`latest` where neither tag nor digest is given."""
        return replace(self, tag=DEFAULT_TAG) if self.is_name_only else self

    def stored(self) -> "Reference":
        """The form under which it is kept: with the default tag, and by the digest alone where there is one."""
        return replace(self, tag=None) if self.digest is not None else self.with_default_tag()


def parse_reference(text: str) -> Reference:
    """`text` as a name, normalised. Raises InvalidParameter in Docker's words."""
    if _HEX64.fullmatch(text):
        raise InvalidParameter(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    if not text or len(text) > _TEXT_LIMIT:
        raise InvalidParameter("invalid reference format")
    domain, remainder = _split_domain(text)
    remote = remainder.partition(":")[0].partition("@")[0]
    if remote.lower() != remote:
        raise InvalidParameter(f"invalid reference format: repository name ({remote}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise InvalidParameter("invalid reference format")
    if len(match["path"]) > _NAME_LIMIT:
        raise InvalidParameter(f"repository name must not be more than {_NAME_LIMIT} characters")
    digest = match["digest"]
    if digest is not None and not _SHA256.fullmatch(digest):
        raise InvalidParameter("invalid reference format")
    return Reference(match["domain"], match["path"], match["tag"], Digest(digest) if digest is not None else None)


def parse_named(name: str, tag: str) -> Reference:
    """A name with the tag or digest that came beside it, "" for neither. Raises InvalidParameter."""
    reference = parse_reference(name)
    if _SHA256.fullmatch(tag):
        return Reference(reference.domain, reference.path, None, Digest(tag))
    return Reference(reference.domain, reference.path, parse_tag(tag)) if tag else reference


def parse_any(text: str) -> Reference | ImageId:
    """`text` as a full image id (64 hex digits, with or without `sha256:`), else as a name. Raises InvalidParameter."""
    if _HEX64.fullmatch(text):
        return ImageId(f"sha256:{text}")
    if _SHA256.fullmatch(text):
        return ImageId(text)
    return parse_reference(text)


def check_new(reference: Reference) -> Reference:
    """The reference, which is to become an image's name. Raises InvalidParameter where it would be taken for a digest."""
    if reference.familiar_name == "sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return reference


def parse_tag(text: str) -> str:
    """`text` as a tag. Raises InvalidParameter."""
    if not _TAG_ONLY.fullmatch(text):
        raise InvalidParameter("invalid tag format")
    return text


def id_prefix(text: str) -> str | None:
    """The hex digits of `text` where it may be the beginning of an image id, else None."""
    match = _ID_PREFIX.fullmatch(text)
    return match[1] if match else None


def is_id_prefix(image: ImageId, text: str) -> bool:
    """Whether `text` is the beginning of this image's id, with or without `sha256:`."""
    return bool(text) and (image.startswith(text) or image.removeprefix("sha256:").startswith(text))


def short_id(identifier: str) -> str:
    """The first twelve hex digits, as messages show an id."""
    return identifier.removeprefix("sha256:")[:12]


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, _OFFICIAL + text
    if first == HUB_INDEX_NAME:
        domain, remainder = DEFAULT_DOMAIN, rest
    elif first == "localhost" or "." in first or ":" in first or first.lower() != first:
        domain, remainder = first, rest
    else:
        domain, remainder = DEFAULT_DOMAIN, text
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder


def matches(pattern: str, reference: Reference) -> bool:
    """Whether the filter `reference=PATTERN` takes the reference (Go's path.Match on `name` and `name:tag`).

    Raises InvalidParameter for a malformed pattern.
    """
    expression = _glob(pattern)
    return bool(expression.fullmatch(reference.familiar) or expression.fullmatch(reference.familiar_name))


def _glob(pattern: str) -> re.Pattern[str]:
    result: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if not result or result[-1] != "[^/]*":
                result.append("[^/]*")
        elif char == "?":
            result.append("[^/]")
        elif char == "\\" and at < len(pattern):
            result.append(re.escape(pattern[at]))
            at += 1
        elif char == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise InvalidParameter("syntax error in pattern")
            inside = pattern[at:end]
            negated = inside.startswith("^")
            body = inside[1:] if negated else inside
            result.append("[" + ("^" if negated else "") + re.sub(r"([\\[&~|-])(?=\1)|[\\[]", r"\\\g<0>", body) + "]")
            at = end + 1
        else:
            result.append(re.escape(char))
    try:
        return re.compile("".join(result), re.DOTALL)
    except re.error as error:
        raise InvalidParameter("syntax error in pattern") from error
