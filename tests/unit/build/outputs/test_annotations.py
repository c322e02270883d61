import pytest

from sampan.build.outputs.annotations import Annotations, read, taken
from sampan.errors import InvalidParameter
from sampan.spec.oci_image import Platform

AMD64, ARM = Platform("amd64", "linux"), Platform("arm", "linux", variant="v7")


def test_levels_and_platforms() -> None:
    given = {"a": "1", "index:b": "2", "manifest[linux/arm/v7],manifest-descriptor:c": "3", "index-descriptor:d": "4"}
    found = read(given)
    assert found == taken(
        {
            "annotation.a": "1",
            "annotation-index.b": "2",
            "annotation-manifest[linux/arm].c": "3",
            "annotation-manifest-descriptor.c": "3",
            "annotation-index-descriptor.d": "4",
        }
    )
    assert (found.manifest(AMD64), found.manifest(ARM)) == ({"a": "1"}, {"a": "1", "c": "3"})
    assert found.manifest_descriptor(AMD64) == {"c": "3"}
    assert (found.index, found.index_descriptor) == ({"b": "2"}, {"d": "4"})


def test_what_a_platform_says_counts_more_and_so_does_an_output() -> None:
    common = read({"a": "all", "manifest[linux/amd64]:a": "own"})
    assert common.manifest(AMD64) == {"a": "own"}
    assert common.joined(read({"manifest[linux/amd64]:a": "output"})).manifest(AMD64) == {"a": "output"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"image:a": "b"}, "unknown annotation type 'image'"),
        ({"manifest[linux/amd64:a": "b"}, "invalid annotation type"),
        ({"manifest:": "b"}, "invalid annotation type"),
    ],
)
def test_wrong_words(given: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidParameter, match=told):
        read(given)


def test_each_has_a_place() -> None:
    read({"manifest[linux/amd64]:a": "b"}).check([AMD64], indexed=False)
    with pytest.raises(InvalidParameter, match="no platform linux/amd64 found in source"):
        read({"manifest[linux/amd64]:a": "b"}).check([ARM], indexed=True)
    with pytest.raises(InvalidParameter, match="index annotations not supported"):
        read({"index:a": "b"}).check([AMD64], indexed=False)
    Annotations().check([], indexed=False)
