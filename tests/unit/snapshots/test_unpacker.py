import msgspec
import pytest

from sampan.snapshots import unpacker


@pytest.mark.parametrize(
    "text",
    [
        "",
        'a "quoted" path\\',
        "lines\nand\ttabs\x00",
        "ünïcödé 舢板 \U0001f6a2",
        "\udcff stands for a byte",
        "x" * 100_000,
    ],
)
def test_a_report_is_json_that_fits_into_a_message(text: str) -> None:
    message = unpacker._json({"failed": "archive", "message": text, "errno": 5, "recount": True})
    assert len(message) < 1 << 16
    told = msgspec.json.decode(message)
    plain = text[:4096].encode("ascii", "backslashreplace").decode()
    assert told == {"failed": "archive", "message": plain, "errno": 5, "recount": True}
