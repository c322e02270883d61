"""What a log says of its container: labels and variables by name and by pattern, and the tag."""

import pytest

from sampan.errors import InvalidParameter
from sampan.logs.attributes import attributes, patterns
from sampan.logs.tags import Subject

SUBJECT = Subject("0123456789ab" + "c" * 52, "/web", "sha256:fedcba987654" + "3" * 52, "nginx:1")
LABELS = {"a": "1", "b": "<2>", "c": "3"}


@pytest.mark.parametrize(
    ("options", "encoded"),
    [
        ({}, b""),
        ({"labels": "absent"}, b""),
        ({"labels": "b,a,absent", "env": "PATH,EMPTY"}, b'{"EMPTY":"","PATH":"/bin:=x","a":"1","b":"\\u003c2\\u003e"}'),
        ({"labels-regex": "^[ac]"}, b'{"a":"1","c":"3"}'),
        ({"labels": "b", "env-regex": "ATH"}, b'{"PATH":"/bin:=x","b":"\\u003c2\\u003e"}'),
        ({"tag": "{{.ImageName}}/{{ .Name }}/{{.ID}}"}, b'{"tag":"nginx:1/web/0123456789ab"}'),
        ({"tag": "{{.ImageID}} {{.DaemonName}}"}, b'{"tag":"fedcba987654 docker"}'),
    ],
)
def test_attributes(options: dict[str, str], encoded: bytes) -> None:
    assert attributes(options, LABELS, ["PATH=/bin:=x", "EMPTY=", "NONE"], SUBJECT) == encoded


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="error parsing regexp"):
        patterns({"env-regex": "*"})
