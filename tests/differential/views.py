"""How an answer becomes comparable: what differs from run to run is given a name, documents become lines, worlds sections."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

_PLACEHOLDERS = (
    # Where /tmp is a file system of its own, mountinfo leaves its name out.
    (re.compile(r"(?:/tmp)?/(?:sampan|dockerd)-test-\w+/data"), "<data>"),
    (re.compile(r"/(?:dockerd-test-\w+|sampan-[0-9a-f]{12}|docker)/(?=[0-9a-f]{64})"), "/<engine>/"),
    (re.compile(r"(?:/tmp)?/(?:sampan|dockerd)-test-\w+"), "<dir>"),
    (re.compile(r"(?<!sha256:)\b[0-9a-f]{64}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b"), "<mac>"),
    (re.compile(r"\b(?:10|172)\.\d+\.\d+\.\d+\b"), "<address>"),
    (re.compile(r"\bfe80::[0-9a-f:]+"), "<link-local>"),
    (re.compile(r"(?<![\w:.-])[0-9a-f]{12}(?![\w.-])"), "<short id>"),
)
"""The zero time stays readable: it says "never"."""

ZERO_TIME = "0001-01-01T00:00:00Z"

SCRIPT = (Path(__file__).parent / "inside.sh").read_text()


def normalised(text: str) -> str:
    """`text` with ids, times, addresses and directories named."""
    kept = text.replace(ZERO_TIME, "<never>")
    for pattern, name in _PLACEHOLDERS:
        kept = pattern.sub(name, kept)
    return kept


_CLIENT_ADDS = re.compile(
    r"""See 'docker [a-z ]+--help'\.|time="<time>" level=error msg="error waiting for container: context canceled\""""
)
"""Lines that the `docker` command of release 20.10 adds to an engine's error, or not, by the moment at which it hears of it."""


def output_lines(stream: str, content: bytes) -> list[str]:
    """An output as comparable lines, each with the stream's name."""
    lines = normalised(content.decode(errors="backslashreplace")).splitlines()
    if stream == "err":
        lines = [line for line in lines if not _CLIENT_ADDS.fullmatch(line)]
        # That release also ends the engine's sentence with a dot.
        lines = [line.removesuffix(".") if line.startswith("docker: Error response ") else line for line in lines]
    return [f"{stream}: {line}" for line in lines]


def document_lines(content: bytes) -> list[str]:
    """A JSON document as `path = value` lines; any other body as lines of text."""
    try:
        document = json.loads(content)
    except ValueError:
        return output_lines("body", content)
    return list(_members("", document))


def _members(path: str, value: object) -> Iterable[str]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            name = normalised(key) if re.fullmatch(r"[0-9a-f]{64}", key) else key
            yield from _members(f"{path}.{name}", value[key])
    elif isinstance(value, list) and value and not all(isinstance(one, str) for one in value):
        for position, one in enumerate(sorted(value, key=_place)):
            yield from _members(f"{path}[{position}]", one)
    else:
        if path == ".HostConfig.Binds" and isinstance(value, list):
            value = sorted(value)  # Docker's command sends them in any order
        if path.endswith(".Created") and isinstance(value, int):
            value = "<time>"
        yield f"{path or '.'} = {normalised(json.dumps(value, ensure_ascii=False, sort_keys=True))}"


def _place(member: object) -> str:
    """Mounts, networks and images come in any order; everything else stays as it is."""
    if not isinstance(member, dict):
        return ""
    return str(member.get("Destination") or member.get("RepoTags") or member.get("Name") or "")


def sections(content: bytes) -> list[str]:
    """The output of SCRIPT as `section: line`, sorted within a section, run-dependent fields left out."""
    lines = []
    name = ""
    for line in normalised(content.decode(errors="backslashreplace")).splitlines():
        if line.startswith("== "):
            name = line[3:]
        elif (kept := _kept(name, line.rstrip())) is not None:
            lines.append(f"{name}: {kept}")
    return sorted(lines)


_RUN_DEPENDENT = re.compile(
    r"(Pid|PPid|Tgid|Ngid|NSpid|NStgid|NSpgid|NSsid|Vm\w+|Rss\w+|Hugetlb\w+|voluntary\w*|nonvoluntary\w*|Name|State|Threads|FDSize|SigQ|Mems_\w+|Cpus_\w+|untag_mask|\w*_Features\w*):"
)


def _kept(section: str, line: str) -> str | None:
    if section == "status":
        return None if _RUN_DEPENDENT.match(line) else re.sub(r"\s+", " ", line)
    if section == "mountinfo":
        return _mount(line)
    if section == "dev":
        return (
            re.sub(r" [A-Z][a-z]{2} +\d+ +[\d:]+ ", " ", re.sub(r" +", " ", line))
            if not line.startswith("total")
            else None
        )
    if section == "network":
        return re.sub(r"\b(if|eth\d+@if)?\d+\b(?=[:@ ])", "N", line)
    if section == "root":
        # What a directory's size says depends on the file system.
        return re.sub(r"^(d\S+ N \S+ \S+) \d+ ", r"\1 N ", re.sub(r"^(\S+) \d+ ", r"\1 N ", re.sub(r" +", " ", line)))
    if section == "environment" and line.startswith("HOSTNAME="):
        return normalised(line)
    return line


def _mount(line: str) -> str:
    """`root target options fields type source super-options` without ids and device numbers, paths of layers left out."""
    before, _, after = line.partition(" - ")
    _, _, _, root, target, options, *fields = before.split(" ")
    kind, source, superblock = ([*after.split(" "), "", ""])[:3]
    superblock = re.sub(r"(lowerdir|upperdir|workdir)=[^,]*", r"\1=…", superblock)
    propagation = re.sub(r"(shared|master):\d+", r"\1:N", " ".join(fields))
    return f"{root} {target} {options} {propagation} {kind} {source} {superblock}".replace("  ", " ")


def differences(sampan: list[str], docker: list[str]) -> list[str]:
    """What only one of them says: `-` Docker's, `+` Sampan's, order kept. Repetitions count."""
    found = []
    left = list(docker)
    for line in sampan:
        if line in left:
            left.remove(line)
        else:
            found.append(f"+ {line}")
    return [f"- {line}" for line in left] + found
