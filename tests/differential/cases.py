"""What is asked of both engines. Each case starts with busybox loaded and no container; words are as typed after `docker`."""

from dataclasses import dataclass, field

ROOTFS = b"<rootfs>"
"""As a command's input: the busybox root file system as a tar."""


@dataclass(frozen=True)
class Command:
    """Command lines in order; stdout, stderr and exit code of each are compared. `{id}` is the last line an earlier one printed."""

    name: str
    lines: tuple[str, ...]
    stdin: bytes = b""


@dataclass(frozen=True)
class Inside:
    """`docker run FLAGS`: what a process sees of its world, section by section (views.py)."""

    name: str
    flags: str = ""


@dataclass(frozen=True)
class Inspect:
    """`docker create FLAGS`, started and waited for if `ran`: the inspect document, member by member."""

    name: str
    flags: str = ""
    words: str = "true"
    ran: bool = False


@dataclass(frozen=True)
class Api:
    """One HTTP request, after the command lines of `before`: status and body. `{id}` as above."""

    name: str
    method: str
    path: str
    body: object = None
    before: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict, hash=False)


Case = Command | Inside | Inspect | Api

_EVENTS = (
    "events --since 60s --until=-2s --format '{{.Type}} {{.Action}} {{json .Actor.Attributes}} {{.Status}} {{.From}}'"
)
"""A duration that is negative lies ahead: docker's command asks in whole seconds."""

COMMANDS = (
    Command(
        "events of a life",
        (
            "run -d --name told -l k=v -v tolds:/v busybox sleep 100",
            "exec told true",
            "rename told retold",
            "kill -s WINCH retold",
            "pause retold",
            "unpause retold",
            "restart -t 0 retold",
            "stop -t 0 retold",
            "rm -v retold",
            f"{_EVENTS} --filter container=told --filter container=retold",
        ),
    ),
    Command(
        "events of what is around",
        (
            "run --rm --name around --network none -v around:/v busybox true",
            "run --rm --name onhost --network host busybox true",
            "volume rm around",
            f"{_EVENTS} --filter type=volume --filter volume=around",
            f"{_EVENTS} --filter type=network --filter network=none --filter network=host",
        ),
    ),
    Command(
        "events of images",
        (
            "import --change 'LABEL a=b' - evented:1",
            "tag evented:1 evented:2",
            "rmi evented:2",
            "rmi evented:1",
            f"{_EVENTS} --filter type=image --filter image=evented:1 --filter image=evented:2",
        ),
        ROOTFS,
    ),
    Command(
        "events of health",
        (
            "run -d --name checked --health-cmd true --health-interval 400ms busybox sleep 100",
            f"{_EVENTS} --filter container=checked --filter event=health_status",
            "rm -f checked",
        ),
    ),
    Command(
        "links",
        (
            "run -d --name child -h childhost -e A=1 --expose 80 --expose 90/udp busybox sleep 100",
            "run -d --name parent --link child:al-ias -e B=2 busybox sleep 100",
            "exec parent sh -c 'env | sort'",
            "exec parent sh -c 'grep al-ias /etc/hosts'",
            "inspect -f '{{json .HostConfig.Links}}' parent",
            "inspect -f '{{json .HostConfig.Links}}' child",
            "inspect -f '{{.Name}}' parent/al-ias",
            "ps --no-trunc --filter name=child --format '{{.Names}}'",
            "rm --link parent",
            "rm --link nosuch/x",
            "stop -t 0 parent child",
            "start parent",
            "rm --link parent/al-ias",
            "inspect -f '{{json .HostConfig.Links}}' parent",
            "run --rm --link nosuch:x busybox true",
            "run --rm --network host --link child busybox true",
            "run --rm --network container:child --link child busybox true",
        ),
    ),
    Command(
        "a container that waits for its restart",
        (
            "run -d --name again --restart always busybox sh -c 'exit 3'",
            f"{_EVENTS} --filter container=nosuch",
            "start again",
            "kill -s HUP again",
            "inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}' again",
            "run -d --name few --restart on-failure:1 busybox sh -c 'exit 3'",
            f"{_EVENTS} --filter container=nosuch",
            "inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' few",
            "run --rm --restart always busybox true",
        ),
    ),
    Command("true", ("run --rm busybox true",)),
    Command("exit code", ("run --rm busybox sh -c 'exit 3'",)),
    Command("both outputs", ("run --rm busybox sh -c 'echo out; echo err >&2'",)),
    Command(
        "killed by a signal", ("run --rm busybox sh -c 'kill -9 $$'", "run --rm busybox sh -c 'kill -TERM $$; sleep 1'")
    ),
    Command("no such program", ("run --rm busybox /no/such/program", "run --rm busybox nosuchprogram")),
    Command("not executable", ("run --rm busybox /etc/passwd", "run --rm busybox /etc")),
    Command("no such user", ("run --rm --user nosuch busybox true", "run --rm --user 1:nosuch busybox true")),
    Command("numeric user", ("run --rm --user 1234:5678 busybox id",)),
    Command("named user", ("run --rm --user www-data busybox id", "run --rm --user nobody:adm busybox id")),
    Command("added groups", ("run --rm --group-add 7 --group-add adm busybox id",)),
    Command("input", ("run --rm -i busybox cat",), b"line\nwithout end"),
    Command("input closed", ("run --rm busybox cat",), b"not wanted"),
    Command("name in use", ("create --name twice busybox", "create --name twice busybox", "rm twice")),
    Command("bad name", ("create --name bad/name busybox", "create --name x busybox", "create --name -lead busybox")),
    Command(
        "life",
        (
            "create --name life busybox sh -c 'echo lived; exit 4'",
            "ps -a --format '{{.Names}} {{.Image}} {{.Command}} {{.State}}'",
            "start life",
            "wait life",
            "ps -a --format '{{.Names}} {{.State}}'",
            "logs life",
            "start -a life",
            "logs life",
            "logs --tail 1 life",
            "rename life second",
            "logs life",
            "rm second",
            "rm second",
        ),
    ),
    Command(
        "running",
        (
            "run -d --name running busybox sh -c 'trap \"exit 7\" TERM; while :; do sleep 0.1; done'",
            "rm running",
            "exec running echo inside",
            "exec running sh -c 'exit 9'",
            "exec running nosuchprogram",
            "exec running /etc/passwd",
            "exec --user nosuch running true",
            "exec -w /tmp running pwd",
            "exec -e A=b running sh -c 'echo $A'",
            "exec -i running cat",
            "start running",
            "kill --signal NOSUCH running",
            "kill --signal 0 running",
            "stop running",
            "wait running",
            "stop running",
            "kill running",
            "exec running true",
            "attach running",
            "rm running",
        ),
        b"typed",
    ),
    Command(
        "restart",
        ("run -d --name again busybox sh -c 'echo once; sleep 100'", "restart -t 0 again", "logs again", "rm -f again"),
    ),
    Command(
        "unknown container",
        tuple(
            f"{verb} nosuch"
            for verb in ("inspect", "start", "stop", "kill", "rm", "logs", "wait", "restart", "attach", "port")
        ),
    ),
    Command("rename nothing", ("rename nosuch new",)),
    Command("rm -f of nothing", ("rm -f nosuch",)),
    Command("exec in nothing", ("exec nosuch true",)),
    Command(
        "working directory",
        (
            "run --rm -w /made/for/it busybox pwd",
            "run --rm -w relative busybox pwd",
            "run --rm -w /etc/passwd busybox pwd",
        ),
    ),
    Command("environment", ("run --rm -e A=1 -e B= -e NOT_SET busybox env",)),
    Command("entry point", ("run --rm --entrypoint echo busybox a b", "run --rm --entrypoint '' busybox echo c")),
    Command("no command", ("create --name none --entrypoint '' busybox", "rm -f none")),
    Command("memory too small", ("create -m 1m busybox",)),
    Command("memory and swap", ("create -m 64m --memory-swap 32m busybox", "create --memory-swap 32m busybox")),
    Command("reservation above limit", ("create -m 64m --memory-reservation 128m busybox",)),
    Command("too many cpus", ("create --cpus 1000 busybox",)),
    Command(
        "out of memory",
        (
            "run --name oom -m 16m --memory-swap 16m busybox sh -c 'x=a; while :; do x=$x$x; done'",
            "inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}}' oom",
            "rm oom",
        ),
    ),
    Command(
        "pids limit", ("run --rm --pids-limit 5 busybox sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait' ",)
    ),
    Command(
        "read-only root",
        ("run --rm --read-only busybox sh -c 'touch /x; touch /dev/shm/x && echo shm; touch /proc/x'",),
    ),
    Command(
        "tmpfs",
        ("run --rm --tmpfs /scratch:size=1m,mode=700 busybox sh -c 'grep scratch /proc/mounts; stat -c %a /scratch'",),
    ),
    Command(
        "volume",
        (
            "run --rm -v vol:/data busybox sh -c 'echo kept >/data/file'",
            "run --rm -v vol:/data:ro busybox sh -c 'cat /data/file; touch /data/x'",
        ),
    ),
    Command("bind of nothing", ("run --rm --mount type=bind,source=/no/such/source,target=/x busybox true",)),
    Command(
        "bad binds",
        (
            "create -v /etc:relative busybox",
            "create -v /etc:/x:nosuch busybox",
            "create -v /etc:/ busybox",
            "create -v bad%name:/x busybox",
        ),
    ),
    Command("duplicate mount", ("create -v /etc:/x -v /tmp:/x busybox",)),
    Command(
        "bad network",
        (
            "create --network nosuch busybox",
            "run --rm --network nosuch busybox true",
            "run --rm --network container:nosuch busybox true",
        ),
    ),
    Command(
        "network of another",
        (
            "run -d --name owner --hostname shared busybox sleep 100",
            "run --rm --network container:owner busybox hostname",
            "run --rm --network container:owner -p 80:80 busybox true",
            "rm -f owner",
        ),
    ),
    Command("init", ("run --rm --init busybox sh -c 'echo $$ >/dev/null; exit 5'",)),
    Command("terminal", ("run --rm -t busybox sh -c 'tty; stty size; test -t 0 && echo tty'",)),
    Command(
        "images",
        (
            "images --format '{{.Repository}}:{{.Tag}} {{.ID}}'",
            "tag busybox other:1",
            "images -q other",
            "rmi other:1",
            "rmi other:1",
        ),
    ),
    Command("image in use", ("create --name user busybox", "rmi busybox", "rm user")),
    Command(
        "bad references",
        (
            "create Bad:tag",
            "create busybox:a:b",
            "tag busybox UPPER",
            "tag nosuch new",
            "rmi nosuch",
            "inspect --type image nosuch",
        ),
    ),
    Command(
        "inspect of an image",
        ("inspect --format '{{.Id}} {{.RepoTags}} {{.Config.Cmd}} {{.Config.Env}} {{.RootFS.Layers}}' busybox",),
    ),
    Command("bad load", ("load",), b"this is no archive"),
    Command(
        "import",
        (
            "import --message imported - imported:1",
            "inspect --format '{{.Comment}} {{.Config.Cmd}} {{.RootFS.Layers}}' imported:1",
            "run --rm imported:1 /bin/true",
        ),
        ROOTFS,
    ),
    Command(
        "ulimit",
        (
            "run --rm --ulimit nofile=100:200 --ulimit core=0 busybox sh -c 'ulimit -n; ulimit -Hn; ulimit -c'",
            "create --ulimit nofile=200:100 busybox",
        ),
    ),
    Command(
        "sysctl",
        (
            "run --rm --sysctl net.ipv4.ip_forward=0 busybox cat /proc/sys/net/ipv4/ip_forward",
            "run --rm --sysctl kernel.hostname=x busybox true",
        ),
    ),
    Command("capabilities", ("run --rm --cap-drop ALL busybox chown 1 /tmp", "create --cap-add NOSUCH busybox")),
    Command("health in ps", ("ps --no-trunc -q", "ps -a --filter status=nosuch", "ps --filter nosuch=1")),
    Command("volumes", ("volume create v1", "volume ls -q", "volume rm v1", "volume rm v1")),
    Command("prune", ("create --name pruned busybox", "container prune -f", "ps -aq")),
    Command("swarm", ("node ls", "service ls", "swarm leave", "secret ls", "config ls")),
    Command("events in the past", ("events --since 2000-01-01T00:00:00Z --until 2000-01-02T00:00:00Z",)),
    Command(
        "logs with time",
        (
            "run --name stamped busybox sh -c 'echo a; echo b >&2'",
            "logs --timestamps stamped",
            "logs --since 1h stamped",
            "logs --until 1h stamped",
            "rm stamped",
        ),
    ),
    Command(
        "stop signal",
        (
            "run -d --name stops --stop-signal USR1 busybox sh -c 'trap \"exit 42\" USR1; touch /ready; while :; do sleep 1; done'",
            "exec stops sh -c 'until [ -e /ready ]; do sleep 0.1; done'",
            "stop stops",
            "inspect --format '{{.State.ExitCode}}' stops",
            "rm stops",
        ),
    ),
    Command(
        "device",
        (
            "run --rm --device /dev/zero:/dev/nought:r busybox sh -c 'ls /dev/nought; head -c 1 /dev/nought | wc -c'",
            "run --rm --device /dev/nosuch busybox true",
        ),
    ),
    Command(
        "own control groups",
        (
            "run --rm --cgroupns private -m 64m busybox sh -c 'cat /proc/self/cgroup; ls /sys/fs/cgroup'",
            "run --rm --cgroupns private -m 64m busybox cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
            "run --rm --cgroupns private busybox mkdir /sys/fs/cgroup/pids/below",
        ),
    ),
    Command("forbidden device", ("run --rm busybox sh -c 'mknod /tmp/d b 8 0 && cat /tmp/d'",)),
    Command(
        "forbidden calls",
        (
            "run --rm busybox unshare -m true",
            "run --rm busybox mount -t tmpfs t /tmp",
            "run --rm busybox reboot -f",
            "run --rm busybox dmesg",
        ),
    ),
)

INSIDE = (
    Inside("plain"),
    Inside("no network", "--network none"),
    Inside("host network", "--network host"),
    Inside("host name spaces", "--pid host --ipc host --uts host"),
    Inside("privileged", "--privileged"),
    Inside("read-only", "--read-only"),
    Inside("user", "--user 33:33"),
    Inside("capabilities", "--cap-drop ALL --cap-add NET_RAW --cap-add SYS_ADMIN"),
    Inside("limits", "-m 64m --cpus 0.5 --pids-limit 50 --cpu-shares 512 --memory-reservation 32m"),
    Inside("no new privileges", "--security-opt no-new-privileges"),
    Inside("no filter", "--security-opt seccomp=unconfined"),
    Inside("mounts", "-v vol:/data -v /usr/share:/host:ro --tmpfs /scratch --shm-size 1m"),
    Inside(
        "names",
        "--hostname plank --domainname example.org --add-host other:192.0.2.7 --dns 192.0.2.53 --dns-search example.org",
    ),
    Inside("settings", "-e A=b --ulimit nofile=1000:2000 --sysctl net.ipv4.ip_unprivileged_port_start=1 -w /tmp"),
    Inside("init", "--init"),
    Inside("shared memory", "--ipc shareable"),
    Inside("no shared memory", "--ipc none"),
    Inside("low priority", "--oom-score-adj 500"),
    Inside("own control groups", "--cgroupns private -m 64m"),
)

INSPECTED = (
    Inspect("created"),
    Inspect("exited", ran=True),
    Inspect("failed", words="sh -c 'exit 2'", ran=True),
    Inspect("limits", "-m 64m --cpus 0.5 --pids-limit 50 --ulimit nofile=10:20 --oom-score-adj 10"),
    Inspect(
        "mounts", "-v vol:/data -v /usr/share:/host:ro --tmpfs /scratch --mount type=bind,src=/usr,dst=/u,readonly"
    ),
    Inspect(
        "network", "-p 8080:80 -p 127.0.0.1::53/udp --expose 99 --hostname h --dns 192.0.2.1 --add-host a:192.0.2.2"
    ),
    Inspect("no network", "--network none", ran=True),
    Inspect(
        "user and rest",
        "--user 1 -w /tmp -e A=b --label l=m --entrypoint sh --stop-signal INT --stop-timeout 3",
        "-c true",
    ),
    Inspect(
        "policies",
        "--restart on-failure:3 --init --read-only --privileged --cap-add SYS_TIME --security-opt no-new-privileges",
    ),
    Inspect("terminal", "-it"),
    Inspect("logs", "--log-driver json-file --log-opt max-size=1m --log-opt max-file=2"),
)

API = (
    Api("ping", "GET", "/_ping"),
    Api("ping head", "HEAD", "/_ping"),
    Api("unknown route", "GET", "/v1.41/nosuch"),
    Api("wrong method", "PUT", "/v1.41/containers/json"),
    Api("version too new", "GET", "/v1.99/info"),
    Api("version too old", "GET", "/v1.5/info"),
    Api("malformed json", "POST", "/v1.41/containers/create", b"{", headers={"Content-Type": "application/json"}),
    Api("empty body", "POST", "/v1.41/containers/create", b"", headers={"Content-Type": "application/json"}),
    Api("no content type", "POST", "/v1.41/containers/create", b"{}", headers={"Content-Type": "text/plain"}),
    Api("wrong type", "POST", "/v1.41/containers/create", {"Image": 7}),
    Api("wrong type deep", "POST", "/v1.41/containers/create", {"Image": "busybox", "HostConfig": {"Memory": "much"}}),
    Api("no image", "POST", "/v1.41/containers/create", {"Cmd": ["true"]}),
    Api("image not there", "POST", "/v1.41/containers/create", {"Image": "nosuch"}),
    Api("bad filters", "GET", "/v1.41/containers/json?filters=nonsense"),
    Api("bad limit", "GET", "/v1.41/containers/json?limit=many"),
    Api("logs of nothing", "GET", "/v1.41/containers/nosuch/logs?stdout=1"),
    Api("logs without stream", "GET", "/v1.41/containers/{id}/logs", before=("create busybox",)),
    Api("start twice", "POST", "/v1.41/containers/{id}/start", before=("run -d busybox sleep 100",)),
    Api("stop of a stopped one", "POST", "/v1.41/containers/{id}/stop", before=("create busybox",)),
    Api("remove a running one", "DELETE", "/v1.41/containers/{id}", before=("run -d busybox sleep 100",)),
    Api("kill a created one", "POST", "/v1.41/containers/{id}/kill", before=("create busybox",)),
    Api("resize a stopped one", "POST", "/v1.41/containers/{id}/resize?h=1&w=1", before=("create -t busybox",)),
    Api("resize without size", "POST", "/v1.41/containers/{id}/resize", before=("run -dt busybox sleep 100",)),
    Api("wait condition", "POST", "/v1.41/containers/{id}/wait?condition=nosuch", before=("create busybox",)),
    Api("exec without command", "POST", "/v1.41/containers/{id}/exec", {}, before=("run -d busybox sleep 100",)),
    Api("exec of nothing", "GET", "/v1.41/exec/nosuch/json"),
    Api("exec start of nothing", "POST", "/v1.41/exec/nosuch/start", {}),
    Api("image of nothing", "GET", "/v1.41/images/nosuch/json"),
    Api("image", "GET", "/v1.41/images/busybox/json"),
    Api("images", "GET", "/v1.41/images/json"),
    Api("tag without name", "POST", "/v1.41/images/busybox/tag"),
    Api("containers", "GET", "/v1.41/containers/json?all=1&size=1", before=("create --name one --label a=b busybox",)),
    Api("networks", "GET", "/v1.41/networks"),
    Api("volume", "GET", "/v1.41/volumes/nosuch"),
    Api("swarm", "GET", "/v1.41/swarm"),
    Api("nodes", "GET", "/v1.41/nodes"),
    Api("rename to nothing", "POST", "/v1.41/containers/{id}/rename", before=("create busybox",)),
    Api("version", "GET", "/v1.41/version"),
    Api("info", "GET", "/v1.41/info"),
)

CASES: dict[str, Case] = {
    f"{type(case).__name__.lower()}: {case.name}": case for case in (*COMMANDS, *INSIDE, *INSPECTED, *API)
}
