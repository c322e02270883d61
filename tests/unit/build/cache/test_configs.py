import base64
import json

import msgspec
import pytest

from sampan.build.cache.configs import DIFF_ID, read, read_inline, write, write_inline
from sampan.build.cache.records import Record
from sampan.build.keys import Key
from sampan.errors import InvalidParameter
from sampan.images.catalog import LayerRecord
from sampan.spec.oci_image import Descriptor, Image, RootFs, decode_image, encode_image


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


K1, K2, K3 = (Key(digest(letter)) for letter in "123")
BASE, A, B = (LayerRecord(digest(letter), digest(letter), 10) for letter in "abc")
PACKED = {
    layer.diff_id: Descriptor("application/gzip", digest(name), 5) for layer, name in ((BASE, "d"), (A, "e"), (B, "f"))
}
NOW = 1_700_000_000 * 10**9


def record(*layers: LayerRecord, inputs: tuple[Key, ...] = ()) -> Record:
    return Record(layers=layers, own=1, inputs=inputs, created=NOW, used=NOW)


RECORDS = {K1: record(BASE, A), K2: record(BASE, A, B, inputs=(K1, K3)), K3: record()}


def test_there_and_back() -> None:
    data, layers = write(RECORDS, PACKED)
    assert [layer.digest for layer in layers] == [digest("d"), digest("e"), digest("f")]
    found = read(data, {layer.digest: layer for layer in layers})
    assert set(found) == {K1, K2}
    assert list(found[K2].diff_ids) == [BASE.diff_id, A.diff_id, B.diff_id]
    assert [one.digest for one in found[K1].blobs] == [digest("d"), digest("e")]


def test_as_buildkit_writes_it() -> None:
    data, layers = write(RECORDS, PACKED)
    document = json.loads(data)
    assert document["layers"][0] == {
        "blob": digest("d"),
        "parent": -1,
        "annotations": {"mediaType": "application/gzip", "diffID": BASE.diff_id, "size": 5},
    }
    assert "parent" not in document["layers"][1], "0, which Go leaves out"
    assert document["records"][1] == {
        "digest": K2,
        "layers": [{"layer": 2, "createdAt": "2023-11-14T22:13:20Z"}],
        "inputs": [[{"link": 0}], [{"link": 2}]],
    }
    assert document["records"][2] == {"digest": K3}
    assert layers[0].annotations == {DIFF_ID: BASE.diff_id}
    assert write(dict(reversed(RECORDS.items())), PACKED)[0] == data


def test_buildkits_own_is_read_as_far_as_it_names_layers() -> None:
    theirs = {
        "layers": [
            {"blob": digest("d"), "parent": -1, "annotations": {"diffID": BASE.diff_id}},
            {"blob": digest("e")},
            {"blob": digest("9"), "parent": 1},
        ],
        "records": [
            {"digest": K1, "layers": [{"layer": 1}], "inputs": [[{"selector": "s", "link": 3}]]},
            {"digest": K2, "chains": [{"layers": [0, 1], "createdAt": "2024-01-01T00:00:00Z"}]},
            {"digest": K3, "layers": [{"layer": 2}]},
            {"digest": digest("8")},
        ],
    }  # fmt: skip
    blobs = {one.digest: msgspec.structs.replace(one, annotations={DIFF_ID: diff}) for diff, one in PACKED.items()}
    found = read(json.dumps(theirs).encode(), blobs)
    assert set(found) == {K1, K2}
    assert list(found[K2].diff_ids) == [BASE.diff_id, A.diff_id]


@pytest.mark.parametrize(
    "hostile",
    [
        b"[]",
        b'{"layers":[{"parent":0}],"records":[{"layers":[{"layer":0}]}]}',
        b'{"layers":[{"parent":1},{"parent":0}],"records":[{"layers":[{"layer":0}]}]}',
        b'{"records":[{"layers":[{"layer":7}]}]}',
        b'{"records":[{"layers":[{"layer":-1}]}]}',
        b'{"records":[{"chains":[{"layers":[3]}]}]}',
        b'{"layers":[{"parent":-2}]}',
        b'{"records":[{"inputs":[[{"link":5}]]}]}',
        b'{"layers":[],"records":[{"digest":"../../etc","chains":[{"layers":[]}]}]}',
        b'{"records":' + b"[" * 100_000,
    ],
)
def test_nonsense_is_refused(hostile: bytes) -> None:
    with pytest.raises(InvalidParameter):
        read(hostile, {})


def test_inline_travels_in_the_images_configuration() -> None:
    inline = write_inline(RECORDS, [BASE.diff_id, A.diff_id])
    image = Image(
        architecture="amd64", os="linux", rootfs=RootFs(diff_ids=[BASE.diff_id, A.diff_id]), build_cache=inline
    )
    data = encode_image(image)
    assert json.loads(base64.b64decode(json.loads(data)["moby.buildkit.cache.v0"]))[0]["digest"] == K1
    back = decode_image(data)
    layers = [PACKED[BASE.diff_id], PACKED[A.diff_id]]
    assert back.build_cache is not None
    found = read_inline(back.build_cache, layers, [BASE.diff_id, A.diff_id])
    assert set(found) == {K1}, "what is above the image's layers does not travel with it"
    assert write_inline(RECORDS, [A.diff_id]) == ""
    assert b"moby" not in encode_image(Image())
    with pytest.raises(InvalidParameter, match="don't match"):
        read_inline(inline, layers, [])
    with pytest.raises(InvalidParameter, match="malformed"):
        read_inline("?", layers, [])
