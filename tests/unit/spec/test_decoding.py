"""Bodies are read as Go reads them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.errors import InvalidParameter
from sampan.spec.containers import ContainerInspect, ContainerSummary, CreateRequest
from sampan.spec.decoding import Reader
from sampan.spec.document import EMPTY, encode
from sampan.spec.execs import ExecCreateRequest
from sampan.spec.host_config import HostConfig
from sampan.spec.images import Progress
from sampan.spec.ports import PortBinding

CREATE = Reader(CreateRequest)


def read_host(fields: bytes) -> HostConfig:
    host = CREATE.read(b'{"HostConfig":{%b}}' % fields).host_config
    assert host is not None
    return host


@pytest.mark.parametrize(
    ("raw", "attribute", "expected"),
    [
        (b'{"Tty":null}', "tty", False),
        (b'{"Image":null,"User":"app"}', "user", "app"),
        (b'{"Cmd":"echo"}', "cmd", ("echo",)),
        (b'{"Cmd":"echo","Tty":null}', "cmd", ("echo",)),
        (b'{"Cmd":["a",null]}', "cmd", ("a", "")),
        (b'{"Cmd":null}', "cmd", None),
        (b'{"Cmd":[]}', "cmd", ()),
        (b'{"Entrypoint":""}', "entrypoint", ("",)),
        (b'{"Labels":{"a":null}}', "labels", {"a": ""}),
        (b'{"ExposedPorts":{"80/tcp":null}}', "exposed_ports", {"80/tcp": EMPTY}),
        (b'{"ExposedPorts":{"80/tcp":{}}}', "exposed_ports", {"80/tcp": EMPTY}),
        (b'{"NoSuchField":{"x":[1]},"Image":"a"}', "image", "a"),
        (b'{"StopTimeout":null}', "stop_timeout", None),
        (b' {"Image":"a"}\n', "image", "a"),
        (b'{"image":"a"}', "image", "a"),
        (b'{"IMAGE":"a","LABELS":{"Image":"b","image":"c"}}', "labels", {"Image": "b", "image": "c"}),
        (b'{"Image":"a","image":"b"}', "image", "b"),
        (b'{"HostConfig":{"ConsoleSize":[5]}}', "host_config", HostConfig(console_size=(5, 0))),
        (b'{"HostConfig":{"ConsoleSize":[5,6,7]}}', "host_config", HostConfig(console_size=(5, 6))),
        (b'{"hostConfig":{"memory":7}}', "host_config", HostConfig(memory=7)),
    ],
)
def test_what_go_tolerates(raw: bytes, attribute: str, expected: object) -> None:
    assert getattr(CREATE.read(raw), attribute) == expected


def test_a_null_does_not_take_its_neighbours_along() -> None:
    host = read_host(b'"Memory":null,"PortBindings":{"80/tcp":null,"81/tcp":[{"HostPort":null}]},"PidsLimit":null')
    assert host.memory == 0
    assert host.port_bindings == {"80/tcp": None, "81/tcp": (PortBinding(),)}
    assert host.pids_limit is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"Image":5}',
        b'{"Image":"a"}{}',
        b'{"Image":"\xff"}',
        b'{"Tty":"yes"}',
        b'{"Cmd":{"a":1}}',
        b'{"Labels":{"a":1}}',
        b'{"StopTimeout":1.5}',
        b'{"HostConfig":[]}',
        b'{"HostConfig":{"Memory":"1g"}}',
        b'{"HostConfig":{"Memory":9223372036854775808}}',
        b'{"HostConfig":{"BlkioWeight":-1}}',
        b'{"HostConfig":{"ConsoleSize":[-1,2]}}',
        b'{"HostConfig":{"Mounts":[{"Target":7}]}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_go_refuses(raw: bytes) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid JSON: "):
        CREATE.read(raw)


def test_the_largest_numbers_pass() -> None:
    assert read_host(b'"Memory":9223372036854775807,"MemorySwap":-9223372036854775808').memory == 2**63 - 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["Cmd", "HostConfig", "Mounts", "Labels", "x"]), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(JSON)
def test_whatever_comes_is_a_document_or_refused(value: object) -> None:
    refused = "invalid JSON: "
    try:
        assert isinstance(CREATE.read(encode(value)), CreateRequest)
    except InvalidParameter as error:
        refused = str(error)
    assert refused.startswith("invalid JSON: ")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_and_nothing_else_happens(raw: bytes) -> None:
    try:
        CREATE.read(raw)
    except InvalidParameter:
        pass


def test_what_docker_always_sends_is_sent() -> None:
    raw = encode(ContainerInspect(id="a"))
    for name in (
        b'"Args":[]',
        b'"ExecIDs":null',
        b'"Binds":null',
        b'"OOMKilled":false',
        b'"Volumes":null',
        b'"Ports":{}',
    ):
        assert name in raw
    for name in (b"SizeRw", b"Healthcheck", b"StopSignal", b'"Init"', b"ImageManifestDescriptor", b'"Health"'):
        assert name not in raw


def test_a_read_document_is_sent_as_it_was() -> None:
    raw = b'{"Image":"busybox","AttachStdin":false,"HostConfig":{"Memory":0,"CapAdd":null}}'
    sent = encode(CREATE.read(raw))
    assert b'"AttachStdin":false' in sent
    assert b'"Memory":0' in sent
    assert b'"CapAdd":null' in sent
    assert CREATE.read(sent) == CREATE.read(raw)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (Progress(stream="a\n"), b'{"stream":"a\\n"}'),
        (Progress(status="b", id="c"), b'{"status":"b","id":"c"}'),
        (ExecCreateRequest(cmd=("a",)), None),
        (ContainerSummary(id="x"), None),
    ],
)
def test_short_documents(document: object, expected: bytes | None) -> None:
    raw = encode(document)
    assert expected is None or raw == expected
    assert raw.startswith(b"{")
