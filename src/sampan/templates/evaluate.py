"""A parsed template and a value make text."""

from __future__ import annotations

from sampan.templates.formats import quoted
from sampan.templates.functions import FUNCTIONS, writing
from sampan.templates.lexer import TemplateError
from sampan.templates.parser import Node, Operand, Pipeline, Tree, parse
from sampan.templates.values import Row, is_true, look_up, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sampan.templates.functions import Function
    from sampan.templates.values import Json, Thing

MAX_OUTPUT = 64 * 1024 * 1024
MAX_STEPS = 20_000_000
MAX_DEPTH = 100


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A template, ready to be carried out any number of times. TemplateError where it is malformed or does not fit."""

    def __init__(self, source: str, write: Callable[[Json], str]) -> None:
        """`write` makes the JSON of the function `json`."""
        self._functions = {**FUNCTIONS, "json": writing(write)}
        try:
            self._tree: Tree = parse(source, self._functions)
        except TemplateError as error:
            raise TemplateError(f"template: {error}") from None
        except RecursionError:
            raise TemplateError("template: :1: expression nested too deeply") from None

    def render(
        self,
        data: Thing,
        instead: dict[str, Function] | None = None,
        *,
        longest: int = MAX_OUTPUT,
        steps: int = MAX_STEPS,
    ) -> str:
        """The text for `data`, of at most `longest` characters, as may any value on the way; in at most `steps` nodes.

        `instead` replaces functions.
        """
        run = _Run(self._tree, data, {**self._functions, **(instead or {})}, longest, steps)
        try:
            run.body(self._tree.body, data)
        except (_Break, _Continue):
            raise TemplateError("template: :1: {{break}} outside {{range}}") from None
        except RecursionError:
            raise TemplateError("template: :1: expression nested too deeply") from None
        return "".join(run.out)


class _Run:
    def __init__(self, tree: Tree, data: Thing, functions: dict[str, Function], longest: int, steps: int) -> None:
        self._longest = longest
        self._left = longest
        self._steps = steps
        self._tree = tree
        self._functions = functions
        self._scopes: list[dict[str, Thing]] = [{"": data}]
        self._depth = 0
        self.out: list[str] = []

    # ---- bodies

    def body(self, nodes: list[Node], dot: Thing) -> None:
        self._scopes.append({})
        try:
            for node in nodes:
                self._node(node, dot)
        finally:
            self._scopes.pop()

    def _write(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise _failed(f"more than {self._longest} characters", "output")
        self.out.append(text)

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise _failed("too many steps", "range")

    def _node(self, node: Node, dot: Thing) -> None:
        self._step()
        if node.kind == "text":
            self._write(node.text)
        elif node.kind == "action":
            self._action(node, dot)
        elif node.kind in ("if", "with"):
            assert node.pipeline is not None
            self._scopes.append({})
            value = self._pipeline(node.pipeline, dot)
            if is_true(value):
                self.body(node.body, dot if node.kind == "if" else value)
            else:
                self.body(node.otherwise, dot)
            self._scopes.pop()
        elif node.kind == "range":
            self._range(node, dot)
        elif node.kind == "break":
            raise _Break
        elif node.kind == "continue":
            raise _Continue
        else:
            self._template(node, dot)

    def _action(self, node: Node, dot: Thing) -> None:
        assert node.pipeline is not None
        value = self._pipeline(node.pipeline, dot)
        if not node.pipeline.targets:
            self._write(shown(value, _last_field(node.pipeline)))

    def _template(self, node: Node, dot: Thing) -> None:
        if node.text not in self._tree.defined:
            raise _failed(f'template "{node.text}" not defined', node.text)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _failed("exceeded maximum template depth", node.text)
        value = self._pipeline(node.pipeline, dot) if node.pipeline is not None else None
        outer, self._scopes = self._scopes, [{"": value}]
        try:
            self.body(self._tree.defined[node.text], value)
        finally:
            self._scopes = outer
            self._depth -= 1

    def _range(self, node: Node, dot: Thing) -> None:
        assert node.pipeline is not None
        pipeline = Pipeline(node.pipeline.commands, [], False)
        empty = True
        for key, value in _items(self._pipeline(pipeline, dot)):
            empty = False
            self._step()
            targets = node.pipeline.targets
            self._scopes.append({})
            if len(targets) == 2:
                self._scopes[-1][targets[0]] = key
            if targets:
                self._scopes[-1][targets[-1]] = value
            try:
                self.body(node.body, value)
            except _Break:
                return
            except _Continue:
                continue
            finally:
                self._scopes.pop()
        if empty:
            self.body(node.otherwise, dot)

    # ---- values

    def _pipeline(self, pipeline: Pipeline, dot: Thing) -> Thing:
        value: Thing = None
        for position, command in enumerate(pipeline.commands):
            value = self._command(command, dot, [value] if position else [])
        for target in pipeline.targets:
            self._assign(target, value, pipeline.declares)
        return value

    def _assign(self, name: str, value: Thing, declares: bool) -> None:
        if declares:
            self._scopes[-1][name] = value
            return
        for scope in reversed(self._scopes):
            if name in scope:
                scope[name] = value
                return
        raise TemplateError(f'template: :1: undefined variable "${name}"')

    def _command(self, command: list[Operand], dot: Thing, piped: list[Thing]) -> Thing:
        first, rest = command[0], command[1:]
        try:
            if first.kind == "name":
                return self._fields(self._call(first.name, rest, dot, piped), first.fields, [])
            arguments = [self._operand(operand, dot) for operand in rest] + piped
            if arguments and not first.fields:
                raise TemplateError(f"can't give argument to non-function {_shown_operand(first)}")
            return self._operand(first, dot, arguments)
        except TemplateError as error:
            raise _failed(str(error), " ".join(map(_shown_operand, command)), first.at) from None

    def _call(self, name: str, operands: list[Operand], dot: Thing, piped: list[Thing]) -> Thing:
        if name in ("and", "or"):
            return self._short_circuit(name, operands, dot, piped)
        function = self._functions.get(name)
        if function is None:
            raise TemplateError(f'template: :1: function "{name}" not defined')
        arguments = [self._operand(operand, dot) for operand in operands] + piped
        try:
            value = function(*arguments)
        except TypeError as error:
            raise TemplateError(f"wrong number of args for {name}: got {len(arguments)}") from error
        if isinstance(value, str) and len(value) > self._longest:
            raise TemplateError(f"error calling {name}: more than {self._longest} characters")
        return value

    def _short_circuit(self, name: str, operands: list[Operand], dot: Thing, piped: list[Thing]) -> Thing:
        value: Thing = None
        for operand in operands:
            value = self._operand(operand, dot)
            if is_true(value) == (name == "or"):
                return value
        return piped[0] if piped else value

    def _operand(self, operand: Operand, dot: Thing, arguments: list[Thing] | None = None) -> Thing:
        value: Thing
        if operand.kind == "dot":
            value = dot
        elif operand.kind == "variable":
            value = self._variable(operand.name)
        elif operand.kind == "literal":
            value = operand.value
        elif operand.kind == "nil":
            raise TemplateError("nil is not a command")
        elif operand.kind == "pipeline":
            assert operand.pipeline is not None
            value = self._pipeline(operand.pipeline, dot)
        else:
            value = self._call(operand.name, [], dot, [])
        return self._fields(value, operand.fields, arguments or [])

    def _fields(self, value: Thing, fields: list[str], arguments: list[Thing]) -> Thing:
        for position, name in enumerate(fields):
            value = look_up(value, name, arguments if position == len(fields) - 1 else [])
        return value

    def _variable(self, name: str) -> Thing:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        raise TemplateError(f'template: :1: undefined variable "${name}"')


def _items(value: Thing) -> Iterator[tuple[Thing, Thing]]:
    if isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield key, value[key]
    elif isinstance(value, int) and not isinstance(value, bool):
        for number in range(min(value, 1_000_000)):
            yield number, number
    elif value is not None:
        raise _failed(f"range can't iterate over {shown(value)}", "range")


def _last_field(pipeline: Pipeline) -> str:
    first = pipeline.commands[-1][0]
    return first.fields[-1] if len(pipeline.commands) == 1 and first.fields and first.kind != "name" else ""


def _shown_operand(operand: Operand) -> str:
    head = {"dot": "" if operand.fields else ".", "variable": f"${operand.name}"}.get(operand.kind, operand.name)
    if operand.kind == "literal":
        head = quoted(operand.value) if isinstance(operand.value, str) else shown(operand.value)
    return head + "".join(f".{name}" for name in operand.fields)


def _failed(message: str, where: str, at: int = 0) -> TemplateError:
    if message.startswith("template: "):
        return TemplateError(message)
    return TemplateError(f'template: :1:{at}: executing "" at <{where}>: {message}')


__all__ = ["Row", "Template", "TemplateError"]
