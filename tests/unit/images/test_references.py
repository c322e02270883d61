import pytest

from sampan.errors import InvalidParameter
from sampan.images.references import (
    Reference,
    id_prefix,
    is_id_prefix,
    matches,
    parse_any,
    parse_reference,
    parse_tag,
    short_id,
)
from sampan.spec.ids import ImageId

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
        ("a/b/c:t", "docker.io/a/b/c:t", "a/b/c:t"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/a", "localhost/a", "localhost/a"),
        ("localhost:5000/a:t", "localhost:5000/a:t", "localhost:5000/a:t"),
        ("quay.io/a", "quay.io/a", "quay.io/a"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("UPPER/a", "UPPER/a", "UPPER/a"),
        (f"a@sha256:{HEX}", f"docker.io/library/a@sha256:{HEX}", f"a@sha256:{HEX}"),
        (f"a:t@sha256:{HEX}", f"docker.io/library/a:t@sha256:{HEX}", f"a:t@sha256:{HEX}"),
        ("a__b", "docker.io/library/a__b", "a__b"),
        ("a---b", "docker.io/library/a---b", "a---b"),
        ("sha256:abc", "docker.io/library/sha256:abc", "sha256:abc"),
    ],
)
def test_normalised(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert str(reference) == full
    assert reference.familiar == familiar
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("a/Foo:t", "invalid reference format: repository name (a/Foo) must be lowercase"),
        ("a b", "invalid reference format"),
        ("a:", "invalid reference format"),
        (":t", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a/../b", "invalid reference format"),
        ("http://a", "invalid reference format"),
        ("a@sha256:12", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("ä", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("x" * 100_000, "invalid reference format"),
    ],
)
def test_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_reference(text)
    assert str(caught.value) == message


def test_ids() -> None:
    assert parse_any(HEX) == f"sha256:{HEX}"
    assert parse_any(f"sha256:{HEX}") == f"sha256:{HEX}"
    assert isinstance(parse_any("abc"), Reference)
    assert id_prefix("sha256:0a") == "0a"
    assert id_prefix("0a") == "0a"
    assert id_prefix("xyz") is None
    assert id_prefix("") is None
    image = ImageId(f"sha256:{HEX}")
    assert is_id_prefix(image, "0123")
    assert is_id_prefix(image, "sha256:0123")
    assert not is_id_prefix(image, "")
    assert not is_id_prefix(image, "123")
    assert short_id(image) == "0123456789ab"


def test_stored_forms() -> None:
    assert str(parse_reference("a").stored()) == "docker.io/library/a:latest"
    assert str(parse_reference(f"a:t@sha256:{HEX}").stored()) == f"docker.io/library/a@sha256:{HEX}"
    assert parse_tag("a.b-c_1") == "a.b-c_1"
    for wrong in ("", "-a", "a/b", "a" * 129):
        with pytest.raises(InvalidParameter):
            parse_tag(wrong)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("busybox", True),
        ("busybox:*", True),
        ("busy*", True),
        ("*", True),
        ("b?sybox", True),
        ("[a-c]usybox", True),
        ("[^a-c]usybox", False),
        ("*/*", False),
        ("busybox:1", False),
        ("BUSYBOX", False),
        ("\\busybox", True),
    ],
)
def test_filter(pattern: str, fits: bool) -> None:
    assert matches(pattern, parse_reference("busybox:latest")) == fits


def test_filters_stay_in_one_component() -> None:
    assert matches("*/b", parse_reference("a/b:1"))
    assert not matches("*", parse_reference("a/b:1"))
    with pytest.raises(InvalidParameter, match="syntax error in pattern"):
        matches("[a", parse_reference("a"))
