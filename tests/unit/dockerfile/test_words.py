import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.words import Quotes, Rules, expand

VARIABLES = {"X": "value", "EMPTY": "", "FILE": "a/b.tar.gz", "SPACED": "a  b", "STAR": "a*b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$X", "value"),
        ("${X}y", "valuey"),
        ("$Xy", ""),
        ("$X-y", "value-y"),
        ("\\$X", "$X"),
        ("'$X'", "$X"),
        ('"$X"', "value"),
        ('"\\$X \\n \\" \\\\"', '$X \\n " \\'),
        ("$", "$"),
        ("$ x", "$ x"),
        ("a\\", "a"),
        ("\\a", "a"),
        ("$1$?$@", ""),
        ("${X:-d}${NO:-d}${EMPTY:-d}", "valuedd"),
        ("${X-d}${NO-d}${EMPTY-d}", "valued"),
        ("${X:+s}${NO:+s}${EMPTY:+s}", "s"),
        ("${X+s}${NO+s}${EMPTY+s}", "ss"),
        ("${X:?m}${EMPTY?m}", "value"),
        ("${NO:-${X}-${NO:-'$q'}}", "value-$q"),
        ("${NO:-\\}}", "}"),
        ("${FILE#*/}", "b.tar.gz"),
        ("${FILE##*.}", "gz"),
        ("${FILE%.*}", "a/b.tar"),
        ("${FILE%%.*}", "a/b"),
        ("${FILE#nothing}", "a/b.tar.gz"),
        ("${FILE%?}", "a/b.tar.g"),
        ("${STAR#a\\*}", "b"),
        ("${STAR%\\**}", "a"),
        ("${FILE/a/A}", "A/b.tar.gz"),
        ("${FILE//a/A}", "A/b.tAr.gz"),
        ("${FILE/\\//-}", "a-b.tar.gz"),
        ("${FILE//./}", "a/btargz"),
        ("${FILE/b*r/x}", "a/x.gz"),
        ("${FILE//?/x}", "xxxxxxxxxx"),
        ("${NO/a/b}${NO#x}", ""),
        ("a<b <<EOF", "a<b <<EOF"),
        ("${ÄÖ}$é", ""),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, VARIABLES).text == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'a", 'failed to process "\'a": unexpected end of statement while looking for matching single-quote'),
        ('"a', "unexpected end of statement while looking for matching double-quote"),
        ("${", "syntax error: missing '}'"),
        ("${X", "syntax error: missing '}'"),
        ("${X:-a", "syntax error: missing '}'"),
        ("${X/a", "syntax error: missing '/' in ${}"),
        ("${X/a/b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${{X}}", "syntax error: bad substitution"),
        ("${X*a}", "unsupported modifier (*) in substitution"),
        ("${X:#a}", "unsupported modifier (:#) in substitution"),
        ("${X:a}", "unsupported modifier (:a) in substitution"),
        ("${NO?}", "NO: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NO:?set it}", "NO: set it"),
        ("${X#a\\b}", "invalid pattern (a\\b) in substitution: invalid escape '\\b'"),
        ("${X:-" * 60, "nested too deeply"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        expand(text, VARIABLES)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("  a  ", ["a"]),
        ("'a b'c", ["a bc"]),
        ("$SPACED", ["a", "b"]),
        ('"$SPACED"', ["a  b"]),
        ("a\\ b", ["a b"]),
        ("''", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert expand(text, VARIABLES).words == words


def test_names_that_were_used_and_missing_are_told() -> None:
    found = expand("$X ${NO:-$OTHER} '$QUOTED'", VARIABLES)
    assert (found.used, found.unset) == ({"X"}, {"NO", "OTHER"})


def test_rules() -> None:
    assert expand("`$X`` \\", VARIABLES, Rules(escape="`")).text == "$X` \\"
    assert expand("'a' \"$X\"", VARIABLES, Rules(quotes=Quotes.PLAIN)).text == "'a' \"value\""
    assert expand("'a' \"$X\"", VARIABLES, Rules(quotes=Quotes.KEPT)).text == "'a' \"value\""
    assert expand("$NO ${NO} ${NO:-a}", {}, Rules(keep_unset=True)).text == "$NO ${NO} ${NO:-a}"
    assert expand("a\\b", {}, Rules(keep_escapes=True)).text == "a\\b"


@given(st.text(alphabet="ab$X{}:-+?#%/*\\'\"< \n", max_size=60))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        assert expand(text, VARIABLES).text is not None


@given(
    value=st.text(alphabet="ab/.", max_size=12),
    pattern=st.text(alphabet="ab.*?", max_size=6),
    replacement=st.sampled_from(["", "X"]),
)
def test_patterns_are_what_a_regular_expression_says(value: str, pattern: str, replacement: str) -> None:
    """Go's expressions are greedy from the left, as Python's are; only the time they take differs."""
    greedy = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    lazy = greedy.replace(".*", ".*?")
    found = {
        "${V#%s}": re.sub(f"^{lazy}", "", value, count=1),
        "${V##%s}": re.sub(f"^{greedy}", "", value, count=1),
    }
    for form, expected in found.items():
        assert expand(form % pattern.replace("/", "\\/"), {"V": value}).text == expected, form
    if pattern:
        once = expand(f"${{V/{pattern}/{replacement}}}", {"V": value}).text
        assert once == re.sub(greedy, replacement, value, count=1)
    suffix = re.match(f"(?P<rest>.*){lazy}$", value)
    if suffix:
        assert expand(f"${{V%{pattern}}}", {"V": value}).text == suffix["rest"]


@pytest.mark.parametrize("form", ["${V#%s}", "${V%%%s}", "${V/%s/x}", "${V//%s/x}"])
def test_a_catastrophic_pattern_takes_its_time_once(form: str) -> None:
    """`a*a*a*…b` makes a backtracking matcher work for years."""
    began = time.monotonic()
    expand(form % ("*a" * 200 + "b"), {"V": "a" * 5000})
    assert time.monotonic() - began < 5


def test_what_grows_by_repetition_is_refused() -> None:
    with pytest.raises(DockerfileError, match="more than"):
        expand('"' + "$V" * 5000 + '"', {"V": "x" * 1000})
