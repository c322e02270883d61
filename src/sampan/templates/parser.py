"""Pieces into a tree: pipelines, if, with, range, define, template, block, variables."""

from __future__ import annotations

from sampan.templates.lexer import TemplateError, Token, pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

Number = int | float
_WORDS = frozenset(("true", "false", "nil", "and", "or", "if", "with"))  # if and with stand behind else
_FIRST_WORDS = frozenset(("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"))


class Pipeline:
    """Commands whose results feed the next; `targets` are the variables it sets ("$i", "$x"), `declares` for :=."""

    __slots__ = ("commands", "declares", "targets")

    def __init__(self, commands: list[list[Operand]], targets: list[str], declares: bool) -> None:
        self.commands = commands
        self.targets = targets
        self.declares = declares


class Operand:
    """One operand: `kind` field, variable, name, literal, dot, nil or pipeline; `fields` are looked up in its value."""

    __slots__ = ("at", "fields", "kind", "name", "pipeline", "value")

    def __init__(
        self, kind: str, name: str = "", value: str | Number | bool | None = None, pipeline: Pipeline | None = None
    ) -> None:
        self.kind = kind
        self.name = name
        self.value = value
        self.pipeline = pipeline
        self.fields: list[str] = []
        self.at = 0


class Node:
    """One node of a body: `kind` text, action, if, with, range, template, break or continue."""

    __slots__ = ("body", "kind", "otherwise", "pipeline", "text")

    def __init__(self, kind: str, text: str = "", pipeline: Pipeline | None = None) -> None:
        self.kind = kind
        self.text = text
        self.pipeline = pipeline
        self.body: list[Node] = []
        self.otherwise: list[Node] = []


class Tree:
    """A parsed template and those it defines."""

    __slots__ = ("body", "defined")

    def __init__(self) -> None:
        self.body: list[Node] = []
        self.defined: dict[str, list[Node]] = {}


def parse(source: str, functions: Container[str]) -> Tree:
    """The tree of `source`; TemplateError for what Go would refuse, a function that is not in `functions` included."""
    parts = pieces(source)
    for part in parts:
        for position, word in enumerate(part if isinstance(part, list) else ()):
            keyword = word.text in _WORDS or (position == 0 and word.text in _FIRST_WORDS)
            if word.kind == "name" and not keyword and word.text not in functions:
                raise TemplateError(f':1: function "{word.text}" not defined')
    reader = _Reader(parts)
    tree = reader.tree
    tree.body, ending = reader.body()
    if ending:
        raise TemplateError(f":1: unexpected {{{{{ending}}}}}")
    return tree


class _Reader:
    def __init__(self, parts: list[str | list[Token]]) -> None:
        self._parts = parts
        self._at = 0
        self.tree = Tree()
        self._else_rest: list[Token] = []

    def body(self) -> tuple[list[Node], str]:
        """Nodes until the end, {{end}} or {{else}}; which of these ended it ("" for the end of the text)."""
        found: list[Node] = []
        while self._at < len(self._parts):
            part = self._parts[self._at]
            self._at += 1
            if isinstance(part, str):
                if part:
                    found.append(Node("text", part))
                continue
            if not part:
                raise TemplateError(":1: missing value for command")
            word = part[0].text if part[0].kind == "name" else ""
            if word == "end":
                return found, "end"
            if word == "else":
                self._else_rest = part[1:]
                return found, "else"
            node = self._node(word, part)
            if node is not None:
                found.append(node)
        return found, ""

    def _node(self, word: str, part: list[Token]) -> Node | None:
        if word in ("if", "with", "range"):
            return self._branch(word, part[1:])
        if word in ("break", "continue") and len(part) == 1:
            return Node(word)
        if word == "template":
            rest = part[2:]
            return Node("template", _name(part), _pipeline(rest, "template") if rest else None)
        if word in ("define", "block"):
            name = _name(part)
            body, ending = self.body()
            if ending != "end":
                raise TemplateError(":1: unexpected EOF")
            self.tree.defined[name] = body
            return Node("template", name, _pipeline(part[2:], "block")) if word == "block" else None
        return Node("action", pipeline=_pipeline(part, "command"))

    def _branch(self, kind: str, rest: list[Token]) -> Node:
        node = Node(kind, pipeline=_pipeline(rest, kind))
        node.body, ending = self.body()
        if ending == "else":
            after = self._else_rest
            if after and after[0].kind == "name" and after[0].text in ("if", "with"):
                node.otherwise = [self._branch(after[0].text, after[1:])]
                return node
            node.otherwise, ending = self.body()
        if ending != "end":
            raise TemplateError(":1: unexpected EOF")
        return node


def _name(part: list[Token]) -> str:
    if len(part) < 2 or part[1].kind != "string":
        raise TemplateError(f":1: missing template name in {part[0].text}")
    return part[1].text


def _pipeline(words: list[Token], context: str) -> Pipeline:
    targets: list[str] = []
    declares = False
    at = 0
    while at < len(words) and words[at].kind == "variable":
        follower = words[at + 1].kind if at + 1 < len(words) else ""
        if follower in (":=", "="):
            targets.append(words[at].text)
            declares = follower == ":="
            words = words[at + 2 :]
            break
        if follower == "," and context == "range":
            targets.append(words[at].text)
            at += 2
            continue
        targets = []
        break
    commands, rest = _commands(words, context)
    if rest:
        raise TemplateError(f":1: unexpected {rest[0].text!r} in {context}")
    return Pipeline(commands, targets, declares)


def _commands(words: list[Token], context: str) -> tuple[list[list[Operand]], list[Token]]:
    commands: list[list[Operand]] = [[]]
    while words and words[0].kind != ")":
        if words[0].kind == "|":
            if not commands[-1]:
                raise TemplateError(f":1: missing value for {context}")
            commands.append([])
            words = words[1:]
            continue
        operand, words = _operand(words, context)
        commands[-1].append(operand)
    if not commands[-1]:
        raise TemplateError(f":1: missing value for {context}")
    return commands, words


def _operand(words: list[Token], context: str) -> tuple[Operand, list[Token]]:
    token, rest = words[0], words[1:]
    if token.kind == "(":
        commands, rest = _commands(rest, "parenthesized pipeline")
        if not rest:
            raise TemplateError(":1: unclosed left paren")
        rest = rest[1:]
        operand = Operand("pipeline", pipeline=Pipeline(commands, [], False))
    elif token.kind == "field":
        operand = Operand("dot")
        if token.text:
            operand.fields.append(token.text)
    elif token.kind == "variable":
        operand = Operand("variable", token.text)
    elif token.kind == "string":
        operand = Operand("literal", value=token.text)
    elif token.kind == "char":
        operand = Operand("literal", value=ord(token.text))
    elif token.kind == "number":
        operand = Operand("literal", value=_number(token.text))
    elif token.kind == "name":
        operand = _named(token.text)
    else:
        raise TemplateError(f':1: unexpected "{token.text}" in {context}')
    operand.at = token.at
    while rest and rest[0].kind == "field" and not rest[0].spaced and rest[0].text:
        if len(operand.fields) == 1:
            operand.at = rest[0].at  # as Go counts: a chain stands where its second link does
        operand.fields.append(rest[0].text)
        rest = rest[1:]
    return operand, rest


def _named(name: str) -> Operand:
    if name in ("true", "false"):
        return Operand("literal", value=name == "true")
    if name == "nil":
        return Operand("nil")
    return Operand("name", name)


def _number(text: str) -> Number:
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise TemplateError(f':1: bad number syntax: "{text}"') from None
