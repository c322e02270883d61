"""Graphs that name one source, and origins of contexts."""

import pytest

from sampan.build.operations import GitSource
from sampan.buildkit.definitions import digest_of_operation, origin_of, result_definition
from sampan.buildkit.frontends import check_image
from sampan.buildkit.origins import Git, Image, Layout, Local, Made, Origin, Upload, Web, main_origin, named_origin
from sampan.buildkit.protocol import operations_pb2 as operations
from sampan.errors import InvalidParameter, NotImplementedHere

DIGEST = "sha256:" + "a" * 64


def graph(identifier: str, **attributes: str) -> operations.Definition:
    named = {name.replace("_", "."): value for name, value in attributes.items()}
    source = operations.Op(source=operations.SourceOp(identifier=identifier, attrs=named)).SerializeToString()
    last = operations.Op(inputs=[operations.Input(digest=digest_of_operation(source))]).SerializeToString()
    return operations.Definition(**{"def": [source, last]})  # type: ignore[arg-type] # a word of Python's


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (graph("https://h/f", http_filename="Dockerfile"), Web("https://h/f", "Dockerfile")),
        (graph("https://h/f", http_checksum=DIGEST), Web("https://h/f", "context", DIGEST)),
        (graph("docker-image://docker.io/library/x:1", image_resolvemode="local"), Image("docker.io/library/x:1")),
        (
            graph("git://h/x.git#main:sub", git_fullurl="https://h/x.git", git_keepgitdir="true"),
            Git(
                GitSource(repository="https://h/x.git", reference="main", directory="sub", keep_git_dir=True),
                "https://h/x.git#main:sub",
            ),
        ),
        (operations.Definition(), Image("scratch")),
        (result_definition("0123"), Made("0123")),
    ],
)
def test_sources(definition: operations.Definition, expected: Origin) -> None:
    assert origin_of(definition) == expected


@pytest.mark.parametrize(
    "definition",
    [
        graph("local://context"),
        graph("oci-layout://x"),
        graph("https://h/f", http_auth="x"),
        graph("git://h/x", git_sig="1"),
    ],
)
def test_other_sources_are_refused_by_name(definition: operations.Definition) -> None:
    with pytest.raises(NotImplementedHere, match="not implemented by Sampan yet"):
        origin_of(definition)


def test_a_result_has_what_clients_look_for() -> None:
    made = result_definition("0123")
    digests = {digest_of_operation(data) for data in getattr(made, "def")}
    assert set(made.metadata) == digests


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://buildkit-session/abc", Upload("/abc")),
        ("https://h/x.tar.gz", Web("https://h/x.tar.gz")),
        (
            "github.com/a/b#v1",
            Git(GitSource(repository="https://github.com/a/b.git", reference="v1"), "https://github.com/a/b.git#v1"),
        ),
    ],
)
def test_main_contexts(text: str, expected: Origin) -> None:
    assert main_origin(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local:_context", Local("_context")),
        ("docker-image://busybox", Image("busybox")),
        (f"oci-layout://store@{DIGEST}", Layout("store", DIGEST)),  # type: ignore[arg-type] # as it is written
        (f"oci-layout://store:tag@{DIGEST}", Layout("store", DIGEST)),  # type: ignore[arg-type]
        ("input:known", Made("x")),
        ("https://h/f", Web("https://h/f")),
    ],
)
def test_named_contexts(text: str, expected: Origin) -> None:
    assert named_origin("name", text, {"known": Made("x")}) == expected


@pytest.mark.parametrize("text", ["input:other", "target:x", "oci-layout://store", "wonder://x", "plain", ""])
def test_named_contexts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameter):
        named_origin("name", text, {})


@pytest.mark.parametrize("text", ["github.com/a/b#main:..", "ftp://h/x", "somewhere"])
def test_main_contexts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameter):
        main_origin(text)


@pytest.mark.parametrize(
    ("image", "served"),
    [
        ("docker/dockerfile", True),
        ("docker/dockerfile:1", True),
        ("docker/dockerfile:1.20.0-labs", True),
        ("docker.io/docker/dockerfile-upstream:master", True),
        ("docker/dockerfile:1.21", False),
        ("docker/dockerfile:2", False),
        ("docker/dockerfile:wonder", False),
        ("example.com/docker/dockerfile:1", False),
        ("tonistiigi/other", False),
    ],
)
def test_front_ends(image: str, served: bool) -> None:
    if served:
        check_image(image, "# syntax=")
    else:
        with pytest.raises(NotImplementedHere, match=image):
            check_image(image, "# syntax=")
