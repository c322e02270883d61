from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from sampan.build.outputs.annotations import Annotations
from sampan.build.outputs.wishes import OutputWish, parse
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.images.references import parse_reference


@dataclass
class Option:
    type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


NAME = parse_reference("docker.io/team/app:1")


@pytest.mark.parametrize(
    ("option", "wish"),
    [
        (Option("tar", {"dest": "x.tar"}), OutputWish(kind="tar", streamed=True)),
        (Option("local", {"platform-split": "false"}), OutputWish(kind="local", split=False, streamed=True)),
        (Option("local", {"attestation-prefix": "a-"}), OutputWish(kind="local", prefix="a-", streamed=True)),
        (Option("image", {"name": "team/app:1", "push": "true"}), OutputWish(kind="image", names=(NAME,), push=True)),
        (Option("docker"), OutputWish(kind="docker")),
        (Option("docker", {"dest": "x"}), OutputWish(kind="docker", streamed=True)),
        (
            Option("oci", {"compression": "gzip", "oci-mediatypes": "true", "rewrite-timestamp": "true"}),
            OutputWish(kind="oci", packed=True, rewritten=True, streamed=True),
        ),
        (
            Option("oci", {"annotation.a": "1", "annotation-index.b": "2", "annotation-manifest-descriptor.c": "3"}),
            OutputWish(
                kind="oci", annotations=Annotations({"": {"a": "1"}}, {"b": "2"}, {"": {"c": "3"}}), streamed=True
            ),
        ),
        (Option("cacheonly"), OutputWish(kind="cacheonly")),
    ],
)
def test_what_is_asked_for(option: Option, wish: OutputWish) -> None:
    assert parse(option) == wish


@pytest.mark.parametrize(
    ("option", "error", "told"),
    [
        (Option("zip"), InvalidParameter, "exporter 'zip' could not be found"),
        (Option("tar", {"colour": "red"}), InvalidParameter, "unknown attribute colour"),
        (Option("tar", {"push": "true"}), InvalidParameter, "unknown attribute push"),
        (Option("image", {"push": "perhaps"}), InvalidParameter, "non-bool value 'perhaps'"),
        (Option("image", {"annotation": "x"}), InvalidParameter, "invalid annotation"),
        (Option("image", {"annotation-else.x": "y"}), InvalidParameter, "invalid annotation annotation-else.x"),
        (Option("image", {"name": "UPPER"}), InvalidParameter, "lowercase"),
        (Option("oci", {"compression": "zstd"}), NotImplementedHere, "compression zstd"),
        (Option("oci", {"tar": "false"}), NotImplementedHere, "tar=false"),
        (Option("oci", {"oci-mediatypes": "false"}), NotImplementedHere, "oci-mediatypes=false"),
        (Option("docker", {"compression": "gzip"}), NotImplementedHere, "compression"),
    ],
)
def test_what_is_not(option: Option, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        parse(option)
