"""Tags: what a template makes of a container, and templates that cannot be carried out or would never end."""

import time

import pytest

from sampan.errors import InvalidParameter
from sampan.logs.tags import Subject, tag

SUBJECT = Subject(
    id="0123456789ab" + "c" * 52,
    name="/web",
    image_id="sha256:fedcba987654" + "3" * 52,
    image_name="nginx:1",
    program="nginx",
    arguments=("-g", "daemon off;"),
    created="2026-01-02 03:04:05.6 +0000 UTC",
    env=("A=1", "B=2"),
    labels={"com.example.team": "sea"},
    options={"max-size": "1m"},
    hostname="ship",
)


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("plain", "plain"),
        ("{{.ImageName}}/{{ .Name }}/{{.ID}}", "nginx:1/web/0123456789ab"),
        ("{{.Name | upper}}", "WEB"),
        ('{{upper .Name | printf "%s-%s" .DaemonName}}', "docker-WEB"),
        ('{{lower "ABC"}} {{title .Name}} {{truncate .FullID 4}} {{pad .Name 1 2}}|', "abc Web 0123  web  |"),
        ('{{join (split .ImageName ":") "_"}}', "nginx_1"),
        ("{{json .ContainerEnv}} {{println .Name}}", '["A=1","B=2"] web\n'),
        ('{{index .ContainerLabels "com.example.team"}}', "sea"),
        ('{{with index .ContainerLabels "none"}}x{{else}}no label{{end}}', "no label"),
        ("{{range .ContainerEnv}}[{{.}}]{{end}}", "[A=1][B=2]"),
        ("{{.Command}} at {{.Hostname}}, {{.ContainerName}}", "nginx -g daemon off; at ship, /web"),
        (
            "{{.ContainerEntrypoint}} {{.ContainerArgs}} {{.ContainerCreated}}",
            "nginx [-g daemon off;] 2026-01-02 03:04:05.6 +0000 UTC",
        ),
        ('{{index .Config "max-size"}} {{len .ImageID}}', "1m 12"),
        ('{{if eq .Name "web"}}yes{{end}}', "yes"),
    ],
)
def test_rendered(template: str, rendered: str) -> None:
    assert tag(template, SUBJECT) == rendered


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{", "template: log-tag:1: unclosed action"),
        ("{{.Nonsense}}", "can't evaluate field Nonsense in type *logger.Info"),
        ("{{shout .Name}}", 'template: log-tag:1: function "shout" not defined'),
        ("{{index .ContainerArgs 7}}", "index out of range: 7"),
        ('{{printf "%c" "\\ud800" | len}}', "surrogates"),
        ("{{" + "(" * 4000 + "}}", "nested too deeply"),
        ("{{.Name}}" * 500, "longer than 4096"),
    ],
)
def test_refused(template: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        tag(template, SUBJECT)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{range 1000000}}{{range 1000000}}{{end}}{{end}}",
        '{{$x := "a"}}{{range 1000}}{{$x = print $x $x}}{{end}}',
        "{{range 1000}}{{$.FullID}}{{end}}",
        "{{pad .Name 999999999 999999999}}",
        '{{define "a"}}{{template "a"}}{{template "a"}}{{end}}{{template "a"}}',
    ],
)
def test_a_template_that_would_keep_the_daemon_is_refused(template: str) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidParameter):
        tag(template, SUBJECT)
    assert time.monotonic() - began < 5


def test_a_width_is_bounded() -> None:
    assert len(tag('{{printf "%999999999d" 1}}', SUBJECT)) == 10_000
