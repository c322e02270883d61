"""The same command lines through `docker` and `sampan` on the same daemon (Debian's dockerd): the same is printed.

Only the program's own name may differ. Lines that change something are run by one client, and looked at by both.
"""

import subprocess

import pytest

from tests.agreement import agree
from tests.daemons import Docker, Outcome, entry_point, scrubbed_environment
from tests.requires import requires

pytestmark = requires("root", "docker-client:28", "dockerd", "busybox")


@pytest.fixture(scope="module")
def stocked(peer: Docker) -> Docker:
    """dockerd with a running container, an ended one, a second tag, a volume and a network of its own."""
    peer.load_busybox()
    for line in (
        "tag busybox registry.example:5000/team/tool:1.2",
        "volume create v2 --label a=b",
        "volume create v10",
        "network create --subnet 10.213.9.0/24 mine",
        "create --name made -l a=b -l c.d=e -p 80 -e X=<&> -v v2:/data busybox sh -c exit",
        "run -d --name up --net none -l a=1 busybox sleep 600",
    ):
        outcome = peer.docker(*line.split())
        assert outcome.code == 0, outcome
    ended = peer.docker(
        "run", "--name", "ended", "--net", "none", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"
    )
    assert ended.code == 3, ended
    return peer


def sampan(daemon: Docker, line: list[str], stdin: bytes = b"") -> Outcome:
    environment = {**scrubbed_environment(), "DOCKER_HOST": daemon.host}
    done = subprocess.run(
        [*entry_point("sampan"), *line], input=stdin, capture_output=True, timeout=60, env=environment
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def plain(outcome: Outcome) -> tuple[int, str, str]:
    """Exit code and texts, with the program's name taken out."""
    return (
        outcome.code,
        outcome.out.decode().replace("docker", "sampan"),
        outcome.err.decode().replace("docker", "sampan"),
    )


def said(outcome: Outcome, words: list[str]) -> tuple[int, str, str]:
    code, out, err = plain(outcome)
    if words[0] == "images":  # docker takes the tags of one image out of a Go map
        out = "\n".join(sorted(out.split("\n")))
    return code, out, err


def same(daemon: Docker, words: list[str]) -> None:
    """Both say the same, which they are asked in turn."""
    agree(lambda: said(sampan(daemon, words), words), lambda: said(daemon.docker(*words), words))


SAME = """
ps|ps -a|ps -aq|ps -aq --no-trunc|ps -a --no-trunc|ps -as|ps -n 2|ps -l|ps -a --format json|ps -f status=running
ps -f foo=bar|ps -f foo|ps extra|ps --foo|ps -Z|ps --last|ps --last x|ps -q --format x
images|images -a|images -q|images --digests|images --no-trunc|images --format json|images busy*|images -f dangling=true
history busybox|history -q busybox|history --no-trunc busybox|history -H=false busybox|history --format json busybox
volume ls|volume ls -q|volume ls --format json|volume ls -f name=v2|volume inspect v2|volume inspect nosuch|volume rm nosuch
network ls|network ls -q --no-trunc|network ls --format json|network inspect mine|network inspect nosuch
inspect up|inspect -s made|inspect up nosuch|inspect nosuch|inspect --type image up|inspect --type nosuch up
container inspect made|image inspect busybox|image inspect nosuch|inspect -f json made
logs ended|logs -t ended|logs --tail 1 ended|logs nosuch|logs --since 1h ended|logs --until 1h ended|logs --since x ended
exec up echo hi|exec up nosuch|exec -w /etc -e A=b up sh -c pwd|exec nosuch true|exec ended true|exec -it up true
start -a ended|start nosuch|start ended nosuch|wait ended|wait nosuch|stop nosuch|kill nosuch|kill ended|restart -t 0 nosuch
pause nosuch|pause|unpause nosuch|unpause up|pause ended|top up|top up aux|top up -o pid,args|top up -o comm|top up -Q|top nosuch
top|top ended|stats --no-stream nosuch ended|stats --no-stream nosuch neither|stats --foo|stats --no-stream --format json ended
stats --no-stream --format {{.Foo}} ended|stats --no-stream ended made|update up|update|update -m 5m up|update -m 8m nosuch
update --cpus x up|update --restart x up|update --restart on-failure:x up|update -m 100m up nosuch|update --cpu-quota 5 up
rename nosuch x|rename a|rm nosuch|rm -f nosuch|rm up|rmi nosuch|rmi -f nosuch|tag nosuch x|tag a|attach nosuch|attach ended
load -i /nosuch|load -i /etc/passwd|save nosuch|import /nosuch|import /etc/passwd x:y
run|run --foo|run -Z|run --name|run --rm=maybe x|run --cpu-shares x y|run -m 1z y|run -m x y|run --cpus x y|run -e =x y
run --cpus 1.1234567891 y|run --ulimit x y|run --ulimit foo=1 y|run --ulimit nofile=5:3 y|run --ulimit nofile=1:2:3 y
run --mount x y|run --mount type=bind y|run --mount type=bind,foo=bar y|run --mount type=tmpfs,dst=/x,tmpfs-size=q y
run -p x busybox|run -p 3-1:80 busybox|run -p a:80 busybox|run -p 80/foo busybox|run -p x:1:80 busybox|run -p 1:99999 busybox
run -p 1-3:80-81 busybox|run --expose x busybox|run --pid x busybox|run --uts x busybox|run --userns x busybox
run --dns x y|run --dns-search x! y|run --add-host x y|run --link a:b:c y|run --sysctl a y|run --device-read-bps a y
run --device-read-bps /dev/x:x y|run --device-read-iops /dev/x:x y|run --device-cgroup-rule a y|run --gpus x=y y
run --blkio-weight-device a y|run --blkio-weight-device /dev/a:5 y|run --blkio-weight 70000 y|run -a x y
run --device x:y:z:w busybox|run --device x busybox|run --device /dev/null:/dev/x:q busybox
run --log-driver none --log-opt a=b busybox
run --storage-opt x busybox|run --memory-swappiness 101 busybox|run --restart on-failure:x busybox|run --restart :3 busybox
run --rm --restart always busybox|run --health-retries -1 busybox|run --no-healthcheck --health-cmd x busybox|run --pull x busybox
run --health-interval x y|run --env-file /nosuch busybox|run --label =x y|run --mac-address x busybox|run -it busybox true
run --network-alias x --network none busybox|run -d -a stdout busybox|run --pull never nosuch|run --cidfile /etc/passwd busybox
run --rm --net none busybox nosuch|run --rm --net none busybox /etc/passwd|run --rm --net none busybox sh -c exit\\t7
run --rm --net none busybox echo a b|run --rm --net none -w /etc -u 1:2 busybox sh -c id;pwd|run --name up busybox
create|create --foo|stop|exec up|foo|container foo|container ls x|volume rm|network inspect|--foo ps|-H unix:///nosuch ps
-H unix:///nosuch run busybox|stop -t x up|events --since x|container prune --foo
events --since 1h --until 0s --filter type=volume|events --since 1h --until 0s --format json --filter type=volume
""".replace("\n", "|").split("|")
SAME_LINES = [line for line in SAME if line]


@pytest.mark.parametrize("line", SAME_LINES)
def test_says_the_same(line: str, stocked: Docker) -> None:
    words = [word.replace("\\t", " ").replace(";", "; ") for word in line.split(" ")]
    if line.endswith("sh -c id;pwd"):
        words[-1] = "id; pwd"
    same(stocked, words)


TEMPLATES = [
    "{{.ID}}",
    "table {{.ID}}\\t{{.Names}}\\t{{.Status}}",
    'table {{.Names}}\\t{{.Label "a"}}\\t{{.Label "c.d"}}\\t{{upper .Image}}',
    "{{json .}}",
    "{{json .Names}} {{len .Names}} {{.Names | upper | lower | title}}",
    '{{printf "%-20s|%10s|%q|%v|%5d" .Names .State .Command .Image 42}}',
    '{{if eq .State "running"}}up{{else if eq .State "exited"}}ended{{else}}other{{end}}',
    "{{with .Labels}}labels={{.}}{{else}}none{{end}}",
    '{{range $i, $e := split .Image "u"}}{{$i}}={{$e}},{{end}}',
    '{{join (split .Names "") "-"}}',
    '{{truncate .ID 5}}|{{pad .State 2 3}}|{{println "x" 1 true}}',
    '{{and .Names "yes"}} {{or "" .State}} {{not true}} {{ne .State "x"}} {{lt 1 2}} {{ge 2.5 2.5}}',
    "{{/* nothing */}}{{- .ID -}}   x  {{- 3}}",
    "{{$x := .State}}{{$x}}{{$x = .Names}}{{$x}}",
    '{{define "T"}}<{{.}}>{{end}}{{template "T" .Names}}',
    '{{index (split .Image "s") 0}} {{"quoted\\t\\"x\\""}} {{`raw`}} {{html "<&>"}} {{urlquery "a b&"}}',
    '{{print "a" "b" 1 2 true}} {{0x10}} {{1.5}} {{1e3}}',
    "{{.RunningFor}} {{.CreatedAt}} {{.Ports}} {{.Mounts}} {{.Networks}} {{.LocalVolumes}} {{.Size}}",
    "{{.Nope}}",
    "{{.ID",
    "{{nope .ID}}",
    "{{if}}x{{end}}",
    "{{range .ID}}",
    "{{end}}",
    "plain \\t text",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_listing_templates(template: str, stocked: Docker) -> None:
    line = ["ps", "-a", "--format", template]
    same(stocked, line)


INSPECT_TEMPLATES = [
    "{{.Id}}",
    "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.Pid}}",
    "{{json .State}}",
    "{{json .Config.Env}} {{.Config.Cmd}} {{len .Config.Env}} {{index .Config.Env 0}}",
    '{{index .Config.Labels "c.d"}} {{.Config.Labels.a}}',
    "{{range .Mounts}}{{.Type}}:{{.Destination}} {{end}}",
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
    "{{range $p, $b := .HostConfig.PortBindings}}{{$p}} -> {{(index $b 0).HostPort}}{{end}}",
    "{{.HostConfig.Memory}} {{.HostConfig.Privileged}} {{.HostConfig.Binds}} {{.HostConfig.Dns}}",
    "{{.HostConfig.RestartPolicy.Name}}/{{.HostConfig.RestartPolicy.MaximumRetryCount}}",
    "{{with .State}}{{.Status}}{{end}} {{slice .Id 0 12}} {{.Name}} {{.RestartCount}} {{.Config.Tty}}",
    "{{if .State.Health}}healthy{{else}}no check{{end}}",
    "{{.Config.Volumes}} {{.Config.Entrypoint}} {{.HostConfig.CapAdd}} {{.HostConfig.OomKillDisable}}",
    "{{.Nope}}",
    "{{.State.Nope}}",
]


@pytest.mark.parametrize("template", INSPECT_TEMPLATES)
def test_inspect_templates(template: str, stocked: Docker) -> None:
    line = ["inspect", "--format", template, "made"]
    same(stocked, line)


def test_archives_go_through(stocked: Docker) -> None:
    saved = sampan(stocked, ["save", "busybox", "registry.example:5000/team/tool:1.2"])
    assert saved.code == 0
    loaded = sampan(stocked, ["load"], stdin=saved.out)
    assert plain(loaded) == plain(stocked.docker("load", stdin=saved.out))
    assert b"Loaded image: busybox:latest" in loaded.out


def test_import_applies_changes(stocked: Docker) -> None:
    exported = stocked.docker("export", "made")
    outcome = sampan(
        stocked, ["import", "-c", 'CMD ["true"]', "-c", "ENV A=b", "-m", "note", "-", "brought:in"], exported.out
    )
    assert outcome.code == 0, outcome
    found = stocked.docker("inspect", "-f", "{{.Config.Cmd}} {{.Config.Env}} {{.Comment}}", "brought:in")
    assert found.text == "[true] [A=b] note"


def test_streams_are_kept_apart_and_whole(stocked: Docker) -> None:
    size = 3_000_000
    program = f"head -c {size} /dev/zero; head -c {size} /dev/zero | tr '\\0' x >&2; exit 5"
    outcome = sampan(stocked, ["run", "--rm", "--net", "none", "busybox", "sh", "-c", program])
    assert (outcome.code, len(outcome.out), len(outcome.err)) == (5, size, size)


def test_input_goes_in_and_comes_back(stocked: Docker) -> None:
    data = bytes(range(256)) * 8192
    outcome = sampan(stocked, ["run", "--rm", "-i", "--net", "none", "busybox", "cat"], stdin=data)
    assert outcome.out == data
    assert sampan(stocked, ["exec", "-i", "up", "wc", "-c"], stdin=data).text == str(len(data))


def test_program_that_does_not_read_its_input_ends(stocked: Docker) -> None:
    outcome = sampan(stocked, ["run", "--rm", "-i", "--net", "none", "busybox", "true"], stdin=b"x" * 3_000_000)
    assert outcome.code == 0, outcome


def test_detached_run_prints_the_id_and_cidfile_has_it(stocked: Docker, tmp_path: object) -> None:
    path = f"{tmp_path}/id"
    outcome = sampan(stocked, ["run", "-d", "--rm", "--net", "none", "--cidfile", path, "busybox", "sleep", "60"])
    with open(path) as file:
        assert file.read() == outcome.text
    removed = sampan(stocked, ["rm", "-f", outcome.text])
    assert (removed.code, removed.text) == (0, outcome.text)
