"""Words of an instruction: quotes, escapes and variables, as a shell has them and BuildKit limits them.

$name  ${name}                      its value, nothing where it is unset
${name:-word}   ${name-word}        word where it is unset (with the colon: or empty)
${name:+word}   ${name+word}        word where it is set
${name:?word}   ${name?word}        the build fails with word where it is unset
${name#pattern} ${name##pattern}    without the shortest, the longest prefix
${name%pattern} ${name%%pattern}    without the shortest, the longest suffix
${name/pattern/word}, ${name//pattern/word}   with the first match, every match replaced
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from sampan.dockerfile.faults import DockerfileError, quoted
from sampan.dockerfile.patterns import RESULT_LIMIT, BadPattern, remove_prefix, remove_suffix, replace
from sampan.dockerfile.script import SPACE

_SPECIAL = "@*#?-$!0"
_DEPTH = 50


class Quotes(Enum):
    """What becomes of quotes."""

    REMOVED = "removed"
    KEPT = "kept"
    """they quote, and stay in the text"""
    PLAIN = "plain"
    """they are characters as others"""


@dataclass(slots=True)
class Expansion:
    """What became of a text. `words`: cut at spaces outside quotes, after the variables were put in."""

    text: str = ""
    words: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    unset: set[str] = field(default_factory=set)
    """names that were asked for and have no value"""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a text is read. `keep_unset`: `$name` stays as it is where the name has no value."""

    escape: str = "\\"
    quotes: Quotes = Quotes.REMOVED
    keep_escapes: bool = False
    keep_unset: bool = False


PLAIN = Rules()


def expand(text: str, variables: Mapping[str, str], rules: Rules = PLAIN) -> Expansion:
    """Take quotes and escapes out of `text` and put variables in. Raises DockerfileError without a place."""
    reader = _Reader(text, variables, rules)
    try:
        reader.found.text, reader.found.words = reader.read("", rules.keep_escapes)
    except DockerfileError as error:
        raise DockerfileError(f"failed to process {quoted(text)}: {error.message}") from None
    return reader.found


class _Words:
    """Cuts what is added into words; the same text whole is `text`."""

    def __init__(self) -> None:
        self._current: list[str] = []
        self._all: list[str] = []
        self.words: list[str] = []

    def add(self, text: str, protected: bool) -> None:
        self._all.append(text)
        if protected:
            self._current.append(text)
            return
        for char in text:
            if char in SPACE:
                self.finish()
            else:
                self._current.append(char)

    def finish(self) -> None:
        if word := "".join(self._current):
            self.words.append(word)
            self._current = []

    @property
    def text(self) -> str:
        return "".join(self._all)


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], rules: Rules) -> None:
        self._text = text
        self._at = 0
        self._variables = variables
        self._rules = rules
        self._depth = 0
        self._put_in = 0
        self.found = Expansion()

    def read(self, stop: str, keep_escapes: bool) -> tuple[str, list[str]]:
        """Up to `stop`, which is passed over; "" means to the end."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise DockerfileError("substitutions are nested too deeply")
        out = _Words()
        quotes = self._rules.quotes is not Quotes.PLAIN
        while self._at < len(self._text):
            char = self._next()
            if char == stop:
                break
            if char == "$":
                out.add(self._dollar(keep_escapes), protected=False)
            elif char == "'" and quotes:
                out.add(self._single(), protected=True)
            elif char == '"' and quotes:
                out.add(self._double(keep_escapes), protected=True)
            elif char == "<":
                out.add(self._heredoc(), protected=True)
            elif char == self._rules.escape:
                if keep_escapes:
                    out.add(char, protected=True)
                # An escape at the end escapes nothing and is gone.
                out.add(self._next(), protected=True)
            else:
                out.add(char, protected=False)
        else:
            if stop:
                raise DockerfileError(f"unexpected end of statement while looking for matching {stop}")
        out.finish()
        self._depth -= 1
        return out.text, out.words

    def _next(self) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        return char

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _over(self) -> bool:
        return self._at >= len(self._text)

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            self._at = len(self._text)
            raise DockerfileError("unexpected end of statement while looking for matching single-quote")
        inner = self._text[self._at : end]
        self._at = end + 1
        return f"'{inner}'" if self._rules.quotes is Quotes.KEPT else inner

    def _double(self, keep_escapes: bool) -> str:
        mark = '"' if self._rules.quotes is Quotes.KEPT else ""
        out = [mark]
        escape = self._rules.escape
        while not self._over():
            char = self._next()
            if char == '"':
                return "".join([*out, mark])
            if char == "$":
                out.append(self._dollar(keep_escapes))
            elif char != escape:
                out.append(char)
            elif not self._over():
                special = self._peek() in ('"', "$", escape)
                # In front of anything else an escape is itself.
                out.append(escape if keep_escapes or not special else "")
                out.append(self._next() if special else "")
        raise DockerfileError("unexpected end of statement while looking for matching double-quote")

    def _heredoc(self) -> str:
        """`<<` and the spaces behind it belong to the word, so that `<< EOF` is one."""
        if self._peek() != "<":
            return "<"
        start = self._at - 1
        self._at += 1
        while self._peek() and self._peek() in " \t\r":
            self._at += 1
        return self._text[start : self._at]

    def _name(self) -> str:
        char = self._peek()
        if char.isdecimal():
            start = self._at
            while self._peek().isdecimal():
                self._at += 1
            return self._text[start : self._at]
        if char and char in _SPECIAL:
            return self._next()
        start = self._at
        while (char := self._peek()) and (char == "_" or unicodedata.category(char)[0] == "L" or char.isdecimal()):
            self._at += 1
        return self._text[start : self._at]

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        (self.found.unset if value is None else self.found.used).add(name)
        return value

    def _dollar(self, keep_escapes: bool) -> str:
        text = self._substitution(keep_escapes)
        self._put_in += len(text)
        if self._put_in > RESULT_LIMIT:
            raise DockerfileError(f"substitutions make more than {RESULT_LIMIT} characters")
        return text

    def _substitution(self, keep_escapes: bool) -> str:
        if self._peek() == "{":
            self._at += 1
            return self._braced(keep_escapes)
        name = self._name()
        if not name:
            return "$"
        value = self._value(name)
        if value is None:
            return f"${name}" if self._rules.keep_unset else ""
        return value

    def _braced(self, keep_escapes: bool) -> str:
        if self._over():
            raise DockerfileError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise DockerfileError("syntax error: bad substitution")
        name = self._name()
        operator = self._next()
        if operator == "}":
            value = self._value(name)
            if value is None:
                return f"${{{name}}}" if self._rules.keep_unset else ""
            return value
        if operator == "/":
            return self._replacement(name)
        colon = operator == ":"
        if colon:
            operator += self._next()
        kind = operator[-1:]
        if kind not in ("-", "+", "?", "#", "%") or (colon and kind in "#%"):
            if self._at > len(self._text):
                raise DockerfileError("syntax error: missing '}'")
            shown = operator if operator.isprintable() else quoted(operator)
            raise DockerfileError(f"unsupported modifier ({shown}) in substitution")
        word = self._operand("}", keep_escapes or kind in "#%")
        value = self._value(name)
        if value is None and self._rules.keep_unset:
            return f"${{{name}{operator}{word}}}"
        if kind in "#%":
            return _trimmed(value or "", kind, word)
        return _alternative(name, value, kind, colon, word)

    def _replacement(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self._at += 1
        pattern = self._operand("/", keep_escapes=True)
        word = self._operand("}", keep_escapes=True)
        value = self._value(name)
        if value is None and self._rules.keep_unset:
            return f"${{{name}/{pattern}/{word}}}"
        try:
            return replace(value or "", pattern, word, every)
        except BadPattern as error:
            raise DockerfileError(f"invalid pattern ({pattern}) in substitution: {error}") from None

    def _operand(self, stop: str, keep_escapes: bool) -> str:
        try:
            return self.read(stop, keep_escapes)[0]
        except DockerfileError:
            if not self._over():
                raise
            missing = "'}'" if stop == "}" else "'/' in ${}"
            raise DockerfileError(f"syntax error: missing {missing}") from None


def _trimmed(value: str, kind: str, pattern: str) -> str:
    longest = pattern.startswith(kind)
    pattern = pattern[1:] if longest else pattern
    try:
        return (remove_prefix if kind == "#" else remove_suffix)(value, pattern, longest)
    except BadPattern as error:
        raise DockerfileError(f"invalid pattern ({pattern}) in substitution: {error}") from None


def _alternative(name: str, value: str | None, kind: str, colon: bool, word: str) -> str:
    given = value is not None and not (colon and value == "")
    if kind == "+":
        return word if given else ""
    if given:
        return value or ""
    if kind == "-":
        return word
    default = "is not allowed to be unset" if value is None else "is not allowed to be empty"
    raise DockerfileError(f"{name}: {word or default}")
