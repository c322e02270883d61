"""Which images may come here: `policy.json`, in the format of containers-policy.json(5), of which the part for registries is known.

    {"default": [{"type": "insecureAcceptAnything"}],
     "transports": {"docker": {"registry.example/team": [
       {"type": "sigstoreSigned", "keyPath": "/etc/sampan/team.pub", "signedIdentity": {"type": "matchRepository"}}]}}}

What is not known is refused when the file is read: a rule that is passed over would be no rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sampan.errors import InvalidParameter
from sampan.images.references import Reference

_LIMIT = 1 << 20
_KEY_LIMIT = 1 << 16
_IDENTITIES = ("matchRepoDigestOrExact", "matchExact", "matchRepository", "exactRepository")


class _Identity(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    type: str = "matchRepoDigestOrExact"
    docker_repository: str = ""


class _Rule(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    type: str
    key_path: str = ""
    key_paths: list[str] = []
    key_data: str = ""
    signed_identity: _Identity = _Identity()


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    default: list[_Rule]
    transports: dict[str, dict[str, list[_Rule]]] = {}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One that must be met. `keys`: PEM, any of which may have signed; none: every image is `accepted`, or none is."""

    accepted: bool = True
    keys: tuple[bytes, ...] = ()
    identity: str = "matchRepoDigestOrExact"
    repository: str = ""
    """for exactRepository: what has to be signed"""


@dataclass(frozen=True, slots=True)
class Policy:
    """The requirements by scope: a repository, what is above it, a registry, `*.domain`, "" for all."""

    default: tuple[Requirement, ...]
    scopes: dict[str, tuple[Requirement, ...]]

    def requirements(self, reference: Reference) -> tuple[Requirement, ...]:
        """All of these must be met: those of the narrowest scope that the name is in."""
        for scope in _scopes(reference):
            if scope in self.scopes:
                return self.scopes[scope]
        return self.default


def _scopes(reference: Reference) -> Iterator[str]:
    if reference.digest is None:
        yield str(reference.with_default_tag())
    name = reference.name
    while name:
        yield name
        name = name.rpartition("/")[0]
    host = reference.domain.partition(":")[0]
    while "." in host:
        host = host.partition(".")[2]
        yield f"*.{host}"
    yield ""


def read_policy(path: Path) -> Policy | None:
    """The policy in the file, None where there is no file. Raises InvalidParameter for what it cannot keep."""
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidParameter(f"the signature policy {path} cannot be read: {error.strerror}") from error
    try:
        document = msgspec.json.decode(data[:_LIMIT], type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"the signature policy {path} is malformed: {error}") from error
    docker = document.transports.get("docker", {})
    scopes = {scope: _requirements(path, rules) for scope, rules in docker.items()}
    policy = Policy(_requirements(path, document.default), scopes)
    if any(each.keys for rules in (policy.default, *scopes.values()) for each in rules):
        _check_keys(path, policy)
    return policy


def _requirements(path: Path, rules: list[_Rule]) -> tuple[Requirement, ...]:
    if not rules:
        raise InvalidParameter(f"the signature policy {path} has a list without a requirement")
    return tuple(_requirement(path, rule) for rule in rules)


def _requirement(path: Path, rule: _Rule) -> Requirement:
    if rule.type == "insecureAcceptAnything":
        return Requirement()
    if rule.type == "reject":
        return Requirement(accepted=False)
    if rule.type != "sigstoreSigned":
        raise InvalidParameter(f"the signature policy {path} asks for {rule.type!r}, which is not known here")
    identity = rule.signed_identity
    if identity.type not in _IDENTITIES:
        raise InvalidParameter(f"the signature policy {path} has the signedIdentity {identity.type!r}: not known here")
    keys = [_key(path, name) for name in (rule.key_path, *rule.key_paths) if name]
    if rule.key_data:
        keys.append(_decoded(path, rule.key_data))
    if not keys:
        raise InvalidParameter(f"the signature policy {path} asks for a signature and names no key")
    return Requirement(keys=tuple(keys), identity=identity.type, repository=identity.docker_repository)


def _key(path: Path, name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read(_KEY_LIMIT)
    except OSError as error:
        raise InvalidParameter(f"the signature policy {path} names the key {name}: {error.strerror}") from error


def _decoded(path: Path, text: str) -> bytes:
    import base64

    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidParameter(f"the signature policy {path} has key data that is no base64: {error}") from error


def _check_keys(path: Path, policy: Policy) -> None:
    """Now, and not when an image comes: that the keys are keys, and that there is somebody to use them."""
    from sampan.images.signatures import public_key

    for requirements in (policy.default, *policy.scopes.values()):
        for requirement in requirements:
            for key in requirement.keys:
                try:
                    public_key(key)
                except ValueError as error:
                    raise InvalidParameter(f"the signature policy {path} names a key that is none: {error}") from error
