"""`runtimes` and `default-runtime`: what is taken, what is refused, and in which words."""

import pytest

from sampan.daemon import runtimes
from sampan.errors import InvalidParameter
from sampan.runtime.request import OtherRuntime


def test_flags_and_file_say_the_same() -> None:
    assert runtimes.configured(["Crun = /usr/bin/crun"]) == {"crun": OtherRuntime("crun", "/usr/bin/crun")}
    file = {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}
    assert runtimes.configured(file) == {"crun": OtherRuntime("crun", "/usr/bin/crun", ("--debug",))}
    assert runtimes.configured(None) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["crun"], "invalid runtime argument: crun"),
        (["=/usr/bin/crun"], "invalid runtime argument"),
        (["crun="], "invalid runtime argument"),
        (["a=/b", "A=/c"], "runtime 'a' was already defined"),
        (["runc=/usr/sbin/runc"], "runtime name 'runc' is reserved"),
        ({"runc": {"path": "/usr/sbin/runc"}}, "runtime name 'runc' is reserved"),
        ({"kata": {}}, r"runtimes\[kata\]: either a runtimeType or path must be configured"),
        ({"kata": {"runtimeType": "io.containerd.kata.v2"}}, "runtimeType and options are containerd's"),
        ({"kata": {"path": 5}}, "invalid runtimes"),
        ({"kata": {"path": "/a\0b"}}, "a NUL byte"),
    ],
)
def test_what_is_refused(value: object, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        runtimes.configured(value)


def test_the_default_must_be_there() -> None:
    known = {"crun": OtherRuntime("crun", "/usr/bin/crun")}
    assert [runtimes.default(name, known) for name in ("", "runc", "crun")] == ["runc", "runc", "crun"]
    with pytest.raises(InvalidParameter, match="specified default runtime 'kata' does not exist"):
        runtimes.default("kata", known)
