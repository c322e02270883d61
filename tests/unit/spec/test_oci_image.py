import json

import msgspec
import pytest

from sampan.errors import InvalidParameter
from sampan.spec.oci_image import (
    DOCKER_MANIFEST,
    OCI_MANIFEST,
    Empty,
    History,
    Image,
    ImageConfig,
    RootFs,
    decode_image,
    decode_index,
    decode_manifest,
    encode_image,
)

DIGEST = "sha256:" + "0" * 64


def test_a_configuration_of_docker_s() -> None:
    document = {
        "architecture": "arm64", "variant": "v8", "os": "linux", "os.version": "1", "created": "2020-01-01T00:00:00Z",
        "author": "me", "container_config": {"Hostname": "x"}, "docker_version": "20.10", "unknown": [1],
        "config": {"User": "a", "Env": ["A=b=c", "E="], "Cmd": None, "OnBuild": ["RUN x"], "Volumes": {"/v": {}},
                   "ExposedPorts": {"80/tcp": None}, "Shell": ["/bin/ash", "-c"], "ArgsEscaped": True, "StopTimeout": 5,
                   "Healthcheck": {"Test": ["CMD", "x"], "StartInterval": 5}},
        "rootfs": {"type": "layers", "diff_ids": [DIGEST]}, "history": [{"created_by": "x", "empty_layer": True}],
    }  # fmt: skip
    image = decode_image(json.dumps(document).encode())
    assert (image.architecture, image.variant, image.os_version, image.docker_version) == ("arm64", "v8", "1", "20.10")
    config = image.config
    assert config is not None
    assert config.env == ["A=b=c", "E="]
    assert config.cmd is None
    assert config.volumes == {"/v": Empty()}
    assert config.shell == ["/bin/ash", "-c"]
    assert config.args_escaped
    assert config.stop_timeout == 5
    assert config.healthcheck is not None
    assert config.healthcheck.start_interval == 5
    assert image.history == [History(created_by="x", empty_layer=True)]


def test_what_is_made_here_is_read_again() -> None:
    image = Image("amd64", "linux", ImageConfig(cmd=["sh"]), RootFs(diff_ids=[DIGEST]), [History(comment="x")])
    data = encode_image(image)
    assert decode_image(data) == image
    assert encode_image(decode_image(data)) == data
    assert json.loads(data)["rootfs"] == {"type": "layers", "diff_ids": [DIGEST]}


@pytest.mark.parametrize("env", ["NAME", "*", "A*", "=value", "", "A\0=b"])
def test_an_environment_that_would_take_the_host_s(env: str) -> None:
    with pytest.raises(InvalidParameter, match="not NAME=value"):
        decode_image(json.dumps({"config": {"Env": [env]}}).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"[" * 200_000, b'{"history":3}', b'{"config":{"Env":[1]}}', b"\xff{}"]
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match="malformed"):
        decode_image(data)


def test_too_large() -> None:
    with pytest.raises(InvalidParameter, match="larger than"):
        decode_image(b" " * (9 << 20))


def test_a_document_is_one_thing_only() -> None:
    both = msgspec.json.encode({"config": {"digest": DIGEST}, "layers": [], "manifests": []})
    with pytest.raises(InvalidParameter, match="ambiguous"):
        decode_manifest(both)
    with pytest.raises(InvalidParameter, match="ambiguous"):
        decode_index(both)
    plain = msgspec.json.encode({"mediaType": OCI_MANIFEST, "config": {"digest": DIGEST, "size": 1}})
    assert decode_manifest(plain, OCI_MANIFEST).layers is None
    with pytest.raises(InvalidParameter, match="says that it is"):
        decode_manifest(plain, DOCKER_MANIFEST)


@pytest.mark.parametrize("size", [-1, 1 << 64])
def test_sizes_are_natural(size: int) -> None:
    with pytest.raises(InvalidParameter):
        decode_manifest(msgspec.json.encode({"config": {"digest": DIGEST}}).replace(b'"}', b'","size":%d}' % size))
