"""Filters in containerd's way."""

import pytest

from sampan.buildkit.filters import filtered
from sampan.errors import InvalidParameter

VALUES = {"name": lambda record: record, "size": lambda record: str(len(record))}
RECORDS = ["one", "two", "three"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], RECORDS),
        ([""], RECORDS),
        (["name==one"], ["one"]),
        (["name=one", "name=two"], ["one", "two"]),
        (["name!=one,size==3"], ["two"]),
        (["name~=^t"], ["two", "three"]),
        (["name~=o.*"], ["one", "two"]),
        (['"name==one"'], ["one"]),
        (["name"], RECORDS),
    ],
)
def test_what_fits(given: list[str], expected: list[str]) -> None:
    assert filtered(RECORDS, given, VALUES) == expected


@pytest.mark.parametrize("given", ["other==1", "name<1", "name~=(", "=", '"open', "name==" + "x" * 300])
def test_what_is_none(given: str) -> None:
    with pytest.raises(InvalidParameter):
        filtered(RECORDS, [given], VALUES)


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|a)*", r"(a)\1", "(?=a)", "a*b*c*d*", "(a{1,9}){1,9}"])
def test_involved_expressions(expression: str) -> None:
    with pytest.raises(InvalidParameter):
        filtered(RECORDS, [f"name~={expression}"], VALUES)


def test_too_many() -> None:
    with pytest.raises(InvalidParameter, match="more than 32"):
        filtered(RECORDS, ["name"] * 33, VALUES)
