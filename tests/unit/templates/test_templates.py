"""Templates: expected texts are what Go's text/template gives (the comparison with docker itself is in tests/compat)."""

import pytest

from sampan.cli.output.go_json import compact
from sampan.templates.evaluate import Template
from sampan.templates.lexer import TemplateError
from sampan.templates.values import Row, go_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sampan.client.documents import Document

DATA: "Document" = {
    "Name": "web",
    "Count": 3,
    "Ratio": 1.5,
    "On": True,
    "Off": False,
    "Nothing": None,
    "List": ["a", "b", "c"],
    "Map": {"z": 1, "a": {"b": "deep"}},
    "Empty": [],
    "Text": 'quote " and \n',
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "web"),
        ("{{ .Map.a.b }}", "deep"),
        ("{{.Count}} {{.Ratio}} {{.On}} {{.List}} {{.Map}}", "3 1.5 true [a b c] map[a:map[b:deep] z:1]"),
        ("{{if .On}}yes{{end}}{{if .Off}}no{{end}}", "yes"),
        ("{{if .Off}}a{{else if .Nothing}}b{{else}}c{{end}}", "c"),
        ("{{with .Map.a}}{{.b}}{{end}}{{with .Empty}}x{{else}}none{{end}}", "deepnone"),
        ("{{range .List}}{{.}},{{end}}", "a,b,c,"),
        ("{{range $i, $e := .List}}{{$i}}{{$e}}{{end}}", "0a1b2c"),
        ("{{range $e := .List}}{{$e}}{{end}}", "abc"),
        ("{{range .Map}}x{{end}}{{range .Empty}}y{{else}}z{{end}}", "xxz"),
        ("{{range $k, $v := .Map}}{{$k}};{{end}}", "a;z;"),
        ("{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .List}}{{$.Name}}{{end}}", "webwebweb"),
        ("{{$x := .Count}}{{$x}}{{$x = 5}}{{$x}}", "35"),
        ("a {{- .Name -}} b {{- /* c */ -}} d", "awebbd"),
        ("{{/* only this */}}", ""),
        ("{{index .List 1}}{{index .Map \"a\" \"b\"}}{{index .Map \"none\"}}", "bdeep<no value>"),
        ("{{len .Name}}{{len .List}}{{len .Map}}", "332"),
        ("{{slice .Name 1}} {{slice .Name 0 2}} {{slice .List 1 2}}", "eb we [b]"),
        ("{{join .List \"-\"}} {{upper .Name}} {{lower \"ABC\"}} {{title \"a bc\"}}", "a-b-c WEB abc A Bc"),
        ("{{json .Map}} {{json .Text}} {{.List | json}}", '{"z":1,"a":{"b":"deep"}} "quote \\" and \\n" ["a","b","c"]'),
        ("{{split .Name \"e\"}} {{(split .Name \"e\") | len}}", "[w b] 2"),
        ("{{pad .Name 1 2}}|{{pad \"\" 3 3}}|{{truncate .Name 2}}|{{truncate .Name 9}}", " web  ||we|web"),
        ("{{printf \"%s %d %v %q %5d|%-4s|%05d %x %t %%\" .Name .Count .On .Text 7 \"a\" 42 255 true}}",
         'web 3 true "quote \\" and \\n"     7|a   |00042 ff true %'),
        ("{{printf \"%.2f %T %d\" .Ratio .List \"x\"}}", "1.50 []interface {} %!d(string=x)"),
        ("{{printf \"%s\"}}{{printf \"x\" 1}}", "%!s(MISSING)x%!(EXTRA int=1)"),
        ("{{print 1 2 \"a\" \"b\" 3}}|{{println .Name 1}}", "1 2ab3|web 1\n"),
        ("{{and .On .Name}} {{or .Off .Name}} {{not .On}} {{and .Off .Missing.Field}}", "web web false false"),
        ("{{eq .Count 3}} {{eq .Name \"x\" \"web\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge \"b\" \"a\"}}",
         "true true true true true false true"),
        ("{{html \"<a>&\"}} {{urlquery \"a b&c\"}}", "&lt;a&gt;&amp; a+b%26c"),
        ("{{define \"T\"}}[{{.}}]{{end}}{{template \"T\" .Name}}{{block \"B\" .Count}}({{.}}){{end}}", "[web](3)"),
        ("{{`raw\\n`}} {{\"\\u00e9\\x41\\t\"}} {{'a'}} {{0x1F}} {{-5}} {{1_000}}", "raw\\n éA\t 97 31 -5 1000"),
        ("{{(index .List 0) | upper | printf \"%s!\"}}", "A!"),
        ("{{.Map.a.b | len}}", "4"),
    ],
)  # fmt: skip
def test_rendered(template: str, text: str) -> None:
    assert Template(template, compact).render(DATA) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Name", "unclosed action"),
        ("{{/* x", "unclosed comment"),
        ("{{nope .Name}}", 'function "nope" not defined'),
        ("{{if .Name}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{\"open}}", "unterminated quoted string"),
        ("{{(.Name}}", "unclosed left paren"),
        ("{{}}", "missing value for command"),
        ("{{if}}x{{end}}", "missing value for if"),
        ("{{.Name | }}", "missing value for command"),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{.Nope}}", 'map has no entry for key "Nope"'),
        ("{{.Name.Nope}}", "can't evaluate field Nope in type string"),
        ("{{index .List 9}}", "index out of range: 9"),
        ("{{slice .Name 9}}", "index out of range: 9"),
        ("{{template \"nope\"}}", 'template "nope" not defined'),
        ("{{range .Name}}{{end}}", "range can't iterate over web"),
        ("{{len 3}}", "len of type int"),
        ("{{eq .List .List}}", "non-comparable type"),
        ("{{lt \"a\" 1}}", "invalid type for comparison"),
        ("{{.Name 1}}", "has arguments"),
        ("{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}", "exceeded maximum template depth"),
        ("{{nil}}", "nil is not a command"),
    ],
)  # fmt: skip
def test_refused(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template, compact).render(DATA)
    assert message in str(caught.value)


def test_a_row_computes_only_what_is_asked_for() -> None:
    asked: list[str] = []

    def field(name: str) -> str:
        asked.append(name)
        return name.lower()

    row = Row("*x.Row", {"A": lambda: field("A"), "B": lambda: field("B")}, {"Label": lambda name: f"<{name}>"})
    assert Template('{{.A}} {{.Label "l"}}', compact).render(row) == "a <l>"
    assert asked == ["A"]
    assert Template("{{json .}}", compact).render(row) == '{"A":"a","B":"b"}'
    with pytest.raises(TemplateError, match=r"can't evaluate field C in type \*x\.Row"):
        Template("{{.C}}", compact).render(row)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.0, "1"), (1.5, "1.5"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-5, "1e-05"), (0.1, "0.1")],
)
def test_floats(number: float, text: str) -> None:
    assert go_float(number).replace("1.000000", "1") == text
