"""Every difference between Sampan and Debian's Docker 20.10 that is there, with its reason.

A pattern is matched (fnmatch) against the case's name and against a difference as the harness prints it: `- …` only Docker
says, `+ …` only Sampan says. A pattern that matches nothing in a whole run fails.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Known:
    """Differences of the cases `case` that look like `difference`, and why they are right or accepted."""

    case: str
    difference: str
    reason: str

    def covers(self, case: str, difference: str) -> bool:
        return fnmatchcase(case, self.case) and fnmatchcase(difference, self.difference)


LATER = "Docker's own answer since release 23, 25 or 28, which Sampan follows; Debian's is 20.10"
SAFER = "the same to a program that behaves, and narrower than Docker"
OWN = "where the engine keeps its things is its own affair"

KNOWN: tuple[Known, ...] = (
    # headers, versions
    Known("api: *", "? header: api-version: *", "each engine names the newest version that it speaks"),
    Known(
        "api: ping*",
        "+ header: builder-version: 1",
        "BuildKit is what later clients expect; Docker 20.10 says so only with it",
    ),
    Known("api: ping*", "+ header: swarm: inactive", LATER),
    Known("api: *", "+ header: ostype: linux", LATER),
    Known("api: version too *", "*", "the versions that each engine speaks differ; " + LATER),
    Known("api: version", "*", "versions and components are each engine's own"),
    Known("api: info", "*", "what each engine says of itself; Docker 28's members"),
    # wording and statuses
    Known("command: *", "* failed to create shim task: OCI runtime create failed: *", LATER),
    Known("command: running", "? err: Error response from daemon: *", LATER),
    Known("command: running", "? code: 12? of exec running nosuchprogram", LATER + ": 127, as with run"),
    Known("command: unknown container", "? err: Error response from daemon: ?annot kill container: *", LATER),
    Known("command: working directory", "- err: docker: Error response from daemon: Cannot mkdir: *", LATER),
    Known("command: no command", "? err: Error response from daemon: ?o command specified", LATER),
    Known("command: too many cpus", "? err: Error response from daemon: ?ange of CPUs *", LATER),
    Known("command: bad network", "? err: docker: Error response from daemon: *No such container: nosuch", LATER),
    Known("command: bad network", "? err: docker: Error response from daemon: *network nosuch not found", LATER),
    Known("command: bad references", "? err: Error response from daemon: *o such image: nosuch*", LATER),
    Known("command: health in ps", "? err: Error response from daemon: ?nvalid filter *", LATER),
    Known("api: malformed json", "*", LATER + ": 400"),
    Known("api: empty body", "*", LATER + ": 400"),
    Known("api: no content type", "? .message = *", LATER),
    Known("api: wrong type*", "*", LATER + ": 400; the words are the JSON library's"),
    Known("api: bad filters", "*", LATER + ": 400"),
    Known("api: remove a running one", "? .message = *", LATER),
    Known("api: kill a created one", "? .message = *", LATER),
    Known("api: resize without size", "? .message = *", LATER),
    Known("api: wait condition", "*", LATER + ": 400"),
    Known("api: tag without name", "? status: ?00", LATER + ": 400"),
    Known("api: image of nothing", "? .message = *", LATER),
    Known("command: events of a life", "? out: container die *", LATER + ": execDuration"),
    # the image host
    Known("command: images", "+ out: host:latest *", "the image host is always there"),
    # inspect
    Known("inspect: *", "? .GraphDriver.Data.*", OWN),
    Known("inspect: *", "+ .State.ExitCause*", "why it ended: a further member of Sampan's"),
    Known("inspect: *", "- .HostConfig.KernelMemory* = 0", LATER),
    Known("inspect: *", "? .HostConfig.MaskedPaths = *", LATER + ": /proc/interrupts and powercap are hidden, too"),
    Known("*", "? *.HostConfig.NetworkMode = *", LATER),
    Known("*", "+ *.NetworkSettings.Networks.*.DNSNames = null", LATER),
    Known("*", "+ *.NetworkSettings.Networks.*.GwPriority = 0", LATER),
    Known(
        "inspect: *",
        "? .NetworkSettings.Sandbox* = *",
        "a network namespace of Sampan is held by its processes, not by a file",
    ),
    Known(
        "inspect: *",
        "? .NetworkSettings.Networks.*.NetworkID = *",
        "a container that does not run stands in no network; Docker keeps where it stood",
    ),
    Known("inspect: mounts", "+ .HostConfig.Mounts?0?.BindOptions.ReadOnlyNonRecursive = true", LATER),
    # images and networks by API
    Known("api: image", "- .Container*", LATER),
    Known("api: image", "? .GraphDriver.Data.*", OWN),
    Known("api: images", "*", "the image host is listed, and the image that an earlier case made carries its time"),
    Known("api: networks", "?*", "the bridge's name and subnet are each engine's own; EnableIPv4 since Docker 28"),
    # inside
    Known(
        "inside: *",
        "- status: SigIgn: 0000000000000000",
        "what the daemon's parent ignores below the signals that C can name",
    ),
    Known(
        "inside: *",
        "+ status: SigIgn: 0000000180000000",
        "what the daemon's parent ignores below the signals that C can name",
    ),
    Known("inside: *", "? files: f?00::*", LATER),
    Known("inside: *", "+ files: *", "a comment in resolv.conf says who wrote it"),
    Known(
        "inside: *",
        "? mountinfo: / / *overlay overlay *",
        SAFER + ": the root propagates nothing; --rm skips the syncs",
    ),
    Known("inside: *", "? mountinfo: / /proc/acpi *", "the empty directory in its place has a size of its own"),
    Known("inside: *", "? mountinfo: / /sys/firmware *", "the empty directory in its place has a size of its own"),
    Known(
        "inside: *", "? mountinfo: / /sys ro,*", "the mount is read-only in both; runc makes the file system so, too"
    ),
    Known("inside: *", "? mountinfo: / /sys/fs/cgroup ?*", SAFER),
    Known(
        "inside: own control groups", "? mountinfo: / /sys/fs/cgroup/systemd *", "the source is called as on the host"
    ),
    Known("inside: *", "+ mountinfo: /null /proc/interrupts *", LATER),
    Known("inside: *", "+ mountinfo: /null /proc/kpage*", SAFER + ": physical pages are hidden"),
    Known("inside: *", "+ mountinfo: /null /proc/slabinfo *", SAFER + ": the kernel's own memory is hidden"),
    Known("inside: *", "+ mountinfo: /null /proc/vmallocinfo *", SAFER + ": addresses of the kernel are hidden"),
    Known("inside: *", "+ network: N: lo    inet6 ::1/N *", LATER),
    Known("inside: mounts", "? mountinfo: <data>/volumes/vol/_data *", SAFER + ": a volume propagates nothing"),
    Known(
        "inside: init",
        "? mountinfo: *usr/bin/tini-static *",
        "the reaper is the engine's own process: no program is put into the container",
    ),
    Known("inside: init", "? root: *", "the reaper is the engine's own process: no program is put into the container"),
    Known("inside: host network", "? network: *", "Docker runs in a network namespace of its own here"),
    Known("inside: privileged", "*", "runc 1.1 cannot start it where CAP_SYS_RESOURCE is lacking; Sampan can"),
    Known(
        "inside: no shared memory",
        "? dev: *",
        "/dev/shm is there and is an empty directory of the container's own /dev",
    ),
)
