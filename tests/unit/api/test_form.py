"""Query strings are read as Docker reads its forms."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.api.form import Form
from sampan.errors import InvalidParameter, SampanError, System


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("x=1", True),
        ("x=true", True),
        ("x=yes", True),
        ("x=anything", True),
        ("x=0", False),
        ("x=false", False),
        ("x=False", False),
        ("x=no", False),
        ("x=none", False),
        ("x=%20NO%20", False),
        ("x=", False),
        ("x", False),
        ("y=1", False),
        ("x=1&x=0", True),
    ],
)
def test_flags(query: str, expected: bool) -> None:
    assert Form(query).flag("x") is expected


def test_a_missing_flag_has_its_default() -> None:
    assert Form("").flag("x", True) is True
    assert Form("x=0").flag("x", True) is False


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("-1", -1), ("+3", 3), ("", None)])
def test_integers(text: str, expected: int | None) -> None:
    assert Form(f"t={quote(text)}").integer("t") == expected


@pytest.mark.parametrize("text", ["x", "1.5", "１", "9" * 30, "--1", "1 "])
def test_bad_integers(text: str) -> None:
    with pytest.raises(System, match="invalid syntax"):
        Form(f"t={quote(text)}").integer("t")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'invalid resize height "": invalid syntax'),
        ("x", 'invalid resize height "x": invalid syntax'),
        ("+1", r'invalid resize height "\+1": invalid syntax'),
        ("-1", 'invalid resize height "-1": value out of range'),
        ("4294967296", 'invalid resize height "4294967296": value out of range'),
    ],
)
def test_bad_sizes(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{message}$"):
        Form(f"h={quote(text)}").size("h", "height")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("0", 0),
        ("12", 12_000_000_000),
        ("12.5", 12_500_000_000),
        ("12.000000001", 12_000_000_001),
        ("12.0000000019", 12_000_000_001),
        ("-1", -1_000_000_000),
    ],
)
def test_timestamps(text: str, expected: int | None) -> None:
    assert Form(f"since={text}").timestamp("since") == expected


@pytest.mark.parametrize("text", ["x", "1.x", "2026-01-01", "1." + "9" * 40, "9" * 40])
def test_bad_timestamps(text: str) -> None:
    with pytest.raises(InvalidParameter):
        Form(f"since={text}").timestamp("since")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("{}", {}),
        ("null", {}),
        ('{"label":{"a=b":true}}', {"label": ("a=b",)}),
        ('{"label":["a=b","c"]}', {"label": ("a=b", "c")}),
        ('{"status":[],"name":null}', {"status": (), "name": ()}),
    ],
)
def test_filters(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert Form(f"filters={quote(text)}").filters() == expected


@pytest.mark.parametrize("text", ["x", "[]", '{"a":1}', '{"a":[1]}', '{"a":{"b":"c"}}', "[" * 100_000])
def test_bad_filters(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid filter$"):
        Form(f"filters={quote(text)}").filters()


def test_values_given_twice() -> None:
    form = Form("names=a&names=b%2Fc&x=1")
    assert form.all("names") == ("a", "b/c")
    assert form.text("names") == "a"
    assert form.has("x")


def test_a_thousand_and_one_fields() -> None:
    with pytest.raises(InvalidParameter):
        Form("&".join(f"a{n}=1" for n in range(1001)))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.text(max_size=100))
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        form = Form(query)
        form.flag("a")
        form.filters()
        form.timestamp("since")
        form.integer("t")
        form.size("h", "height")
    except SampanError:
        pass
