"""The table: each parser, how it is asked, with what it may refuse, and the words of its language.

A parser's seeds are in seeds/NAME.txt, a bytes literal a line: what is right, and what a run once found.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzzing import (
    asking_daemon,
    asking_drivers,
    asking_files,
    asking_images,
    asking_kernel,
    asking_others,
    asking_plugins,
    asking_processes,
    asking_registries,
    asking_wire,
)
from tests.fuzzing.asking_registries import MARK
from tests.fuzzing.mutating import LONGEST
from tests.fuzzing.refusals import (
    BINARY,
    CLIENT,
    COMMAND,
    CONFIGURATION,
    DETACH_KEYS,
    LOGS,
    REQUEST,
    STEP,
    TEMPLATE,
    WEBSOCKET,
)

SEEDS = Path(__file__).parent / "seeds"
_SHORT = 256
"""Bytes for languages that are read letter by letter, in time that grows with the letters and no faster."""


@dataclass(frozen=True)
class Parser:
    """`refusals`: the exceptions with which its callers deal. `descriptors`: what it opens once and keeps.

    `longest`: bytes of a case; fewer where a parser does the same with more, only longer.
    """

    name: str
    call: Callable[[bytes], object]
    refusals: tuple[type[BaseException], ...] = ()
    tokens: tuple[bytes, ...] = ()
    descriptors: int = 0
    longest: int = LONGEST
    documents: bool = False
    """it reads JSON"""

    def seeds(self) -> list[bytes]:
        """Of its file."""
        return [ast.literal_eval(line) for line in (SEEDS / f"{self.name}.txt").read_text().splitlines() if line]


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in text.split())


JSON = _words('{ } [ ] : , "" null true false -1 1e9 0.5 "\\u0000" "\\ud800"')
_HEADS = (
    MARK,
    b"\n\n",
    b"\nLocation: ",
    b"\nContent-Type: ",
    b"\nRetry-After: 0",
    b"401\n",
    b"307\n",
    b"404\n",
    b"200\n",
)


def _json(
    name: str,
    call: Callable[[bytes], object],
    refusals: tuple[type[BaseException], ...],
    words: str,
    descriptors: int = 0,
) -> Parser:
    return Parser(name, call, refusals, (*JSON, *_words(words)), descriptors, documents=True)


PARSERS = (
    # what clients send
    Parser("http", asking_wire.http, (), (b"\r\n\r\n", b"\r\n", b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    Parser("websocket", asking_wire.websocket, (), (b"\x81\x85", b"\x88\x82", b"\x89\x80", b"\xfe", b"\xff", b"\x7f")),
    Parser("handshake", asking_wire.handshake, WEBSOCKET, (b"websocket", b"Upgrade", b"13")),
    _json("create", asking_daemon.create, REQUEST, '"HostConfig": "Binds" "Mounts" "PortBindings"'),
    _json("bodies", asking_daemon.bodies, REQUEST, '"IPAM" "Options" "Cmd" "Ulimits" "Driver"'),
    _json("query", asking_daemon.query, REQUEST, "filters= since= &tail= h= %00 %ff %7B%22"),
    Parser("mount-words", asking_daemon.mount_words, REQUEST, _words(": , :ro :rw size= mode= rprivate / ..")),
    Parser("ports", asking_daemon.ports, REQUEST, _words("/tcp /udp - : 0.0.0.0 [::1] 65536 80-90")),
    Parser("detach-keys", asking_daemon.detach_keys, DETACH_KEYS, _words("ctrl- , a @ ^ _")),
    _json("registry-auth", asking_daemon.registry_auth, (), "eyJ = - _ ey"),
    Parser(
        "templates", asking_daemon.template, TEMPLATE, _words("{{ }} .A | range end if else with $x := ( ) json {{-")
    ),
    _json("seccomp", asking_daemon.seccomp, REQUEST, '"names" "SCMP_ACT_ERRNO" "args" "minKernel"'),
    # images and what comes from registries
    Parser("references", asking_images.reference, REQUEST, _words("/ : @ sha256: localhost: _ __ - .")),
    Parser("platforms", asking_images.platform, REQUEST, _words("/ linux amd64 v8 arm64 ,")),
    _json("image-config", asking_images.config, REQUEST, '"rootfs" "Env" "history" "Healthcheck"'),
    _json("manifests", asking_images.manifest, REQUEST, '"layers" "manifests" "mediaType" "digest"'),
    Parser(
        "challenges", asking_images.challenges, REQUEST, _words('Bearer Basic realm=" " , error="invalid_token" \\')
    ),
    _json("registry-errors", asking_images.registry_errors, REQUEST, '"errors" "code" "details"'),
    _json("tokens", asking_images.token, REQUEST, '"token" "access_token" "expires_in" "issued_at"'),
    Parser("registry-heads", asking_images.heads, REQUEST, _words("; = filename= filename*= \" UTF-8'' GMT w=")),
    _json("cache-configs", asking_images.cache, REQUEST, '"layers" "records" "inputs" "parent" "link"'),
    Parser("searches", asking_registries.search, (), (*_HEADS, *_words('{"results":[{"name":" "star_count":'))),
    Parser("repositories", asking_registries.repository, (), (*_HEADS, *_words("/v2/ rel=next bytes 0-4/5 sha256:"))),
    # archives
    Parser("tar", asking_files.tar, REQUEST, (b"ustar\x0000", b"ustar  \0", b"path=", b"GNU.sparse.map=", b"\0" * 512)),
    Parser(
        "contexts",
        asking_files.context,
        COMMAND,
        (b"ustar\x0000", b"PK\3\4", b"PK\1\2", b"PK\5\6", b"tls/", b"meta.json"),
    ),
    Parser("compressed", asking_files.compressed, REQUEST, (b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"(\xb5/\xfd")),
    # builds
    Parser("dockerfile", asking_images.dockerfile, REQUEST, _words("FROM RUN COPY --mount= <<EOF \\ # ONBUILD [ ${ }")),
    Parser("words", asking_images.words, REQUEST, _words("${ } :- :+ :? # ## % // ' \" \\ $ * ?"), longest=_SHORT),
    Parser(
        "dockerignore",
        asking_images.ignore,
        (*REQUEST, ValueError),
        _words("! ** * ? [ ] - ^ \\ / # .."),
        longest=_SHORT,
    ),
    Parser("run-mounts", asking_images.run_mount, REQUEST, _words('type= , source= target= id= sharing= ro " $A')),
    Parser("git-urls", asking_images.git_url, REQUEST, _words("# : .. - -- @ git:// https:// ext:: :// %2e")),
    Parser("buildkit", asking_wire.buildkit, REQUEST, (b"\x0a", b"\x12", b"\x08", b"\x1a", b"\xff\xff\xff\xff\x0f")),
    _json("build-attributes", asking_wire.attributes, REQUEST, '"build-arg:A" "target" "platform"'),
    Parser("remote-contexts", asking_registries.remote_context, (), (*_HEADS, b"text/plain", b"FROM a\n", b"ustar"), 1),
    # what containers and their files say
    Parser("dns-queries", asking_wire.dns_query, (), (b"\xc0\x0c", b"\x00\x01\x00\x01", b"\x3f", b"\x00\x29")),
    Parser(
        "dns-streams", asking_processes.dns_stream, (), (b"\x00\x13", b"\x00\x0c", b"\xc0\x0c", b"\x00\x01\x00\x01"), 2
    ),
    Parser("dns-answers", asking_wire.dns_answer, BINARY, (b"\xc0\x0c", b"\x00\x06", b"\x00\x29", b"\x00\x00\x00\x3c")),
    _json("json-file", asking_files.json_file, LOGS, '"log" "stream" "time" "attrs"'),
    Parser("local-log", asking_files.local_log, LOGS, (b"o", b"E", b"\0", b"0123456789abcdef ", b"\n")),
    Parser("passwd", asking_files.passwd, STEP, _words(": root :0:0: # - + 4294967296 /bin/sh"), descriptors=1),
    Parser("hosts", asking_files.hosts, REQUEST, _words("# localhost 127.0.0.1 ::1 host-gateway :")),
    Parser("resolv-conf", asking_files.resolv_conf, REQUEST, _words("nameserver search options ndots: # ; domain")),
    _json("cdi", asking_files.cdi, REQUEST, '"devices" "containerEdits" "kind" "mounts"'),
    _json("daemon-json", asking_files.daemon_json, CONFIGURATION, '"debug" "proxies" "log-opts"'),
    Parser("hosts-toml", asking_files.hosts_toml, CONFIGURATION, _words("[host.\" \"] server = skip_verify [ { '''")),
    # what plugins say
    Parser(
        "plugins", asking_plugins.answer, REQUEST, (b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", b"Content-Length: 2", b"{}"), 4
    ),
    _json("plugin-volumes", asking_plugins.volumes, REQUEST, '"Volume" "Volumes" "Err" "Mountpoint"'),
    _json("plugin-networks", asking_plugins.networks, REQUEST, '"InterfaceName" "Pool" "Gateway" "::1%eth0" "/33"'),
    _json("driver-calls", asking_drivers.calls, (), '"Name" "Opts" "Options" "Interface" "Info" "RequestBody"'),
    Parser(
        "driver-logs", asking_drivers.log_entry, (ValueError,), (b"\x0a\x06stdout", b"\x20\1", b"\x2a", b"\xff" * 10)
    ),
    _json("managed-plugins", asking_drivers.managed, REQUEST, '"entrypoint" "mounts" "settable" "linux" "../x" "env"'),
    _json(
        "plugin-specs",
        asking_plugins.spec,
        REQUEST,
        '"Addr" "TLSConfig" unix:// tcp:// https://[::1]:0',
    ),
    Parser(
        "userns-mode", asking_others.userns_mode, REQUEST, _words("auto keep-id private : uidmapping=0:1:1 size= ,")
    ),
    Parser("subordinate", asking_others.subordinate, (), _words("user 1000 : 100000 65536 #")),
    _json("bundle", asking_others.bundle, REQUEST, '"process" "linux" "mounts" "hooks" "namespaces"'),
    Parser(
        "packages",
        asking_others.packages,
        (),
        (b"Package: a\n", b"P:a\n", b"\n\n", b"Name: a\r\n", b"SQLite", b"="),
        descriptors=1,
    ),
    _json("policy", asking_others.policy, REQUEST, '"default" "type" "keyData" "-----BEGIN"'),
    Parser("build-filters", asking_others.build_filters, REQUEST, _words("id ref ~= != == , ( ) * + ? \\1 [ ] .")),
    Parser(
        "build-words", asking_others.build_words, (), (*JSON, *_words("secrets= ssh= contexts= & %22 entitlements="))
    ),
    # between the engine's processes, and from the kernel
    Parser("messages", asking_wire.messages, REQUEST, (b"1NPS", b"\0\0\0\0", b"{}", b"[", b"\xff\xff\xff\xff"), 2),
    _json("resolver-orders", asking_processes.resolver, (), '"networks" "names" "links" "ports" "::1" "a.b"', 2),
    _json("monitor-orders", asking_processes.monitor_orders, (), '"attach" "stdin" "keys" "rows" "pending"', 2),
    _json("monitor-words", asking_processes.monitor_words, (), '"pid" "steps" "code" "ended_ns" "cause"', 4),
    _json("records", asking_processes.records, REQUEST, '"monitor" "init" "exit" "groups" "version":1 "boot" \\n'),
    _json("keeper-questions", asking_processes.keeper_questions, (), '"want" "socket" "state" "release" "type"'),
    _json("helper-reports", asking_processes.helper_reports, REQUEST, '"failed" "errno" "stat" "opaque" "implied"'),
    _json("shipped", asking_processes.shipped, (), '"facts" "record" "offset" "extra" "running"', 4),
    Parser(
        "names",
        asking_kernel.names,
        (),
        (b"\r", b"\x0b", b"\x1c", b") R 0", b"\xe2\x80\xa8", b"Uid:\t0\t0", b"VmLck: x"),
    ),
    Parser("netlink", asking_kernel.netlink, BINARY, (b"\4\0", b"\x08\0\1\0", b"\xff\xff", b"\0\x80")),
    Parser(
        "dbus", asking_kernel.dbus, (*BINARY, OSError), (b"a(yv)", b"l\1\0\1", b"\1g\0", b"\1s\0", b"v\0", b"a", b"(")
    ),
    Parser("criu", asking_kernel.criu, (ValueError,), (b"\x08\1", b"\x22", b"\x2a", b"\xff" * 9)),
    # what the command is told by a daemon
    Parser("answers", asking_wire.answer, CLIENT, (b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", b"Transfer-Encoding: chunked")),
    Parser("frames", asking_wire.frames, CLIENT, (b"\1\0\0\0\0\0\0\5", b"\3\0\0\0", b"\xff\xff\xff\xff")),
    _json("documents", asking_wire.document, CLIENT, '"message" "errorDetail"'),
)
