"""What a policy lets in: by scope, by key, by what was signed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sampan.errors import Forbidden, InvalidParameter
from sampan.images.policy import Policy, read_policy
from sampan.images.references import parse_reference
from sampan.images.signatures import check
from sampan.spec.oci_image import OCI_MANIFEST
from tests.unit.images.registry import MemoryRegistry, MemoryRepository, described
from tests.unit.images.signing import PAYLOAD, Signer, manifest

DIGEST = "sha256:" + "d" * 64
INDEX = "sha256:" + "1" * 64
SIGNER, OTHER = Signer(), Signer()


def rule(tmp_path: Path, identity: str = "matchRepository", **more: object) -> dict[str, Any]:
    key = tmp_path / "key.pub"
    key.write_bytes(SIGNER.public)
    return {"type": "sigstoreSigned", "keyPath": str(key), "signedIdentity": {"type": identity, **more}}


def policy(tmp_path: Path, *rules: dict[str, Any], **scopes: list[dict[str, Any]]) -> Policy:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"default": rules, "transports": {"docker": scopes}}))
    read = read_policy(file)
    assert read is not None
    return read


def publish(repository: MemoryRepository, digest: str, payload: bytes, signature: str) -> None:
    config = b"{}"
    repository.blobs[described("", payload)["digest"]] = payload  # type: ignore[index] # a digest
    layer = described(PAYLOAD, payload, annotations={"dev.cosignproject.cosign/signature": signature})
    data = manifest(described("", config), layer)
    repository.add_manifest(digest.replace(":", "-") + ".sig", OCI_MANIFEST, data)


def repository() -> MemoryRepository:
    return MemoryRegistry().repository("team/app")


NAME = "here:1/team/app"


def verdict(policy: Policy, repository: MemoryRepository, name: str = f"{NAME}:1") -> str:
    try:
        check(policy, repository, parse_reference(name), [INDEX, DIGEST])
    except Forbidden as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("digest", [INDEX, DIGEST])
def test_signed_by_the_key_is_taken(tmp_path: Path, digest: str) -> None:
    there = repository()
    publish(there, digest, *SIGNER.sign(digest, NAME))
    assert verdict(policy(tmp_path, rule(tmp_path)), there) == ""


def test_unsigned_is_refused(tmp_path: Path) -> None:
    wanted = "Source image rejected: A signature was required, but no signature exists"
    assert verdict(policy(tmp_path, rule(tmp_path)), repository()) == wanted


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        (lambda: OTHER.sign(DIGEST, NAME), "signature verification failed"),
        (lambda: (SIGNER.sign(DIGEST, NAME)[0], SIGNER.sign(INDEX, NAME)[1]), "signature verification failed"),
        (lambda: (SIGNER.sign(DIGEST, NAME)[0], "no base64"), "signature verification failed"),
        (lambda: SIGNER.sign(INDEX, NAME), "is not for"),
        (
            lambda: SIGNER.sign(DIGEST, "here:1/team/other"),
            "signature for identity 'here:1/team/other' is not accepted",
        ),
        (lambda: SIGNER.sign(DIGEST, NAME, "atomic container signature"), "unrecognized signature type"),
        (lambda: SIGNER.sign(DIGEST, "UPPER"), "is not accepted"),
    ],
)
def test_what_does_not_count(tmp_path: Path, sign: Callable[[], tuple[bytes, str]], said: str) -> None:
    there = repository()
    publish(there, DIGEST, *sign())
    refused = verdict(policy(tmp_path, rule(tmp_path)), there)
    assert refused.startswith("Source image rejected: None of the signatures were accepted, reasons: ")
    assert said in refused


@pytest.mark.parametrize(
    ("identity", "signed", "pulled", "taken"),
    [
        ("matchRepoDigestOrExact", f"{NAME}:1", f"{NAME}:1", True),
        ("matchRepoDigestOrExact", NAME, f"{NAME}:1", False),
        ("matchRepoDigestOrExact", f"{NAME}:2", f"{NAME}:1", False),
        ("matchRepoDigestOrExact", NAME, f"{NAME}@{DIGEST}", True),
        ("matchExact", f"{NAME}:1", f"{NAME}:1", True),
        ("matchExact", f"{NAME}:1", f"{NAME}@{DIGEST}", False),
        ("matchRepository", f"{NAME}:2", f"{NAME}:1", True),
    ],
)
def test_the_signed_name(tmp_path: Path, identity: str, signed: str, pulled: str, taken: bool) -> None:
    there = repository()
    publish(there, DIGEST, *SIGNER.sign(DIGEST, signed))
    assert (verdict(policy(tmp_path, rule(tmp_path, identity)), there, pulled) == "") is taken


def test_another_repository_s_name_where_the_rule_says_so(tmp_path: Path) -> None:
    there = repository()
    publish(there, DIGEST, *SIGNER.sign(DIGEST, "origin.example/app"))
    exact = rule(tmp_path, "exactRepository", dockerRepository="origin.example/app")
    assert verdict(policy(tmp_path, exact), there) == ""


@pytest.mark.parametrize(
    ("scope", "hit"),
    [
        (f"{NAME}:1", True),
        (f"{NAME}:2", False),
        (NAME, True),
        ("here:1/team", True),
        ("here:1", True),
        ("", True),
        ("here:1/tea", False),
        ("there:1", False),
    ],
)
def test_the_narrowest_scope_counts(tmp_path: Path, scope: str, hit: bool) -> None:
    reject, accept = {"type": "reject"}, {"type": "insecureAcceptAnything"}
    read = policy(tmp_path, accept, **{scope: [reject]})
    assert verdict(read, repository()) == (f"Source image rejected: {NAME}:1 is rejected by policy." if hit else "")


def test_domains_with_a_star(tmp_path: Path) -> None:
    read = policy(tmp_path, {"type": "insecureAcceptAnything"}, **{"*.example.com": [{"type": "reject"}]})
    assert "rejected" in verdict(read, repository(), "a.b.example.com/x:1")
    assert verdict(read, repository(), "example.com/x:1") == ""


def test_no_file_is_no_policy(tmp_path: Path) -> None:
    assert read_policy(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "malformed"),
        ("{}", "malformed"),
        ('{"default": []}', "without a requirement"),
        ('{"default": [{"type": "signedBy"}]}', "'signedBy', which is not known here"),
        ('{"default": [{"type": "sigstoreSigned"}]}', "names no key"),
        ('{"default": [{"type": "sigstoreSigned", "fulcio": {}}]}', "malformed"),
        ('{"default": [{"type": "sigstoreSigned", "keyPath": "/nosuch"}]}', "No such file"),
        ('{"default": [{"type": "sigstoreSigned", "keyData": "eA=="}]}', "a key that is none"),
        ('{"default": [{"type": "sigstoreSigned", "keyData": "*"}]}', "no base64"),
        (
            '{"default": [{"type": "sigstoreSigned", "keyData": "eA==", "signedIdentity": {"type": "remapIdentity"}}]}',
            "'remapIdentity': not known here",
        ),
    ],
)
def test_a_policy_that_cannot_be_kept(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(InvalidParameter) as refused:
        read_policy(tmp_path / "policy.json")
    assert said in str(refused.value)


def test_keys_of_other_curves_are_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    key = tmp_path / "other.pub"
    key.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(InvalidParameter, match="not one of ECDSA on P-256"):
        policy(tmp_path, {"type": "sigstoreSigned", "keyPath": str(key)})
