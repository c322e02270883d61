"""Where answers differ from the published schema on purpose: because Docker's do, or because they are Sampan's own."""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Departure:
    """Patterns (`*` for anything) of an operation and of a fault, and why it is right."""

    operation: str
    fault: str
    reason: str

    def covers(self, operation: str, fault: str) -> bool:
        literal = self.fault.replace("[", "[[]")
        return fnmatchcase(operation, self.operation) and fnmatchcase(fault, literal)


NIL = "Docker 28 sends the null of an empty Go slice, map or pointer here, whatever the schema says"
ARRAY, OBJECT, INTEGER = (f"None is not of type '{kind}'" for kind in ("array", "object", "integer"))
INSPECT = "GET /containers/{name}/json"


def _nil(operation: str, kind: str, *members: str) -> tuple[Departure, ...]:
    return tuple(Departure(operation, f"{member}: {kind}", NIL) for member in members)


HOST_LISTS = (
    *("Binds", "CapAdd", "CapDrop", "DeviceCgroupRules", "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch"),
    *("ExtraHosts", "GroupAdd", "Links", "SecurityOpt", "Ulimits", "VolumesFrom", "BlkioWeightDevice"),
    *("BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps"),
    *("MaskedPaths", "ReadonlyPaths"),  # of privileged containers
)

DEPARTURES: tuple[Departure, ...] = (
    *_nil(INSPECT, ARRAY, *(f".HostConfig.{name}" for name in HOST_LISTS)),
    *_nil(INSPECT, OBJECT, ".HostConfig.PortBindings"),
    *_nil(INSPECT, INTEGER, ".HostConfig.MemorySwappiness"),
    *_nil("GET */json", OBJECT, ".GraphDriver.Data"),  # of the driver btrfs
    *_nil("GET /exec/{name}/json", INTEGER, ".ExitCode"),
    *_nil("GET */json", ARRAY, ".Config.Entrypoint", ".Config.Env", ".Config.Cmd"),
    *_nil("GET */json", OBJECT, ".Config.Labels", ".Config.Volumes"),
    *_nil(INSPECT, ARRAY, *(f".NetworkSettings.Networks.*.{name}" for name in ("Aliases", "DNSNames", "Links"))),
    *_nil(
        "GET /containers/json", ARRAY, *(f"[].NetworkSettings.Networks.*.{n}" for n in ("Aliases", "DNSNames", "Links"))
    ),
    *_nil(
        "GET /system/df",
        ARRAY,
        *(f".Containers[].NetworkSettings.Networks.*.{n}" for n in ("Aliases", "DNSNames", "Links")),
        *(".Images", ".Containers", ".Volumes", ".BuildCache"),
    ),
    *_nil("GET /images/json", OBJECT, "[].Labels"),
    *_nil(
        "GET /system/df", OBJECT, ".Volumes[].Labels", ".Volumes[].Options", ".Images[].Labels", ".Containers[].Labels"
    ),
    *_nil("GET /images/{name}/history", ARRAY, "[].Tags"),
    *_nil("GET /info", ARRAY, ".GenericResources", ".Plugins.Authorization", ".RegistryConfig.Mirrors"),
    *_nil("GET /networks*", OBJECT, "*.IPAM.Options"),
    *_nil("GET /networks*", ARRAY, "*.IPAM.Config"),
    *_nil("GET /volumes", ARRAY, ".Warnings"),
    *_nil(
        "GET /plugins*", ARRAY, "*.Settable", "*.Devices", "*.Mounts", "*.Env", "*.Types", "*.Capabilities", "*.Value"
    ),
    *_nil("GET /plugins*", ARRAY, "*.Options"),
    *_nil("GET /plugins/privileges", ARRAY, "."),
    Departure("* /plugins/*", "status 200 is not among ['204', *'500']", "Docker streams progress, and so answers 200"),
    Departure("DELETE /plugins/{name}", "content type '' for a document", "Docker answers 200 without a body"),
    Departure(
        "GET /plugins*",
        "*.Config.Interface.Types[]: * is not of type 'object'",
        "Docker sends the text of a plugin's configuration, whatever the schema says",
    ),
    *_nil("* /volumes*", OBJECT, "*.Labels", "*.Options"),
    *_nil("POST /*/prune", ARRAY, ".*Deleted"),
    *_nil("POST /containers/{name}/update", ARRAY, ".Warnings"),
    *_nil("GET /containers/{name}/stats", ARRAY, ".blkio_stats.io_service_bytes_recursive"),
    Departure(
        "GET /containers/{name}/stats",
        ".: Additional properties are not allowed ('pressure' was unexpected)",
        "Sampan's own: the kernel's stall information beside Docker's figures",
    ),
    Departure(
        INSPECT,
        ".State: Additional properties are not allowed ('ExitCause' was unexpected)",
        "Sampan's own: why the last run ended",
    ),
    Departure(
        "GET /events",
        ".: Additional properties are not allowed (*'id', 'status' were unexpected)",
        "Docker sends these older names until 1.51, and clients read them",
    ),
    Departure(
        "GET /events",
        ".: Additional properties are not allowed ('id', 'status' were unexpected)",
        "the same for what happens to an image: it comes from none",
    ),
    Departure(
        "GET /events",
        ".: Additional properties are not allowed ('status' was unexpected)",
        "the same for a prune, which has no subject",
    ),
    Departure(
        "POST /exec/{name}/start",
        "status 101 is not among *",
        "Docker answers so to a client that asks to upgrade the connection, as with attach",
    ),
    Departure("* /volumes*", ".Status.*: * is not of type 'object'", "what a plugin tells of its volume is passed on"),
    Departure(
        INSPECT, ".HostConfig.LogConfig.Type: * is not one of *", "a log driver that is a plugin has its own name"
    ),
    Departure(
        "POST /*", "status 413 is none of this operation's", "bodies are bounded here; Docker reads them into memory"
    ),
)


def departs(operation: str, fault: str) -> bool:
    """Whether a fault is one of those that are listed."""
    return any(departure.covers(operation, fault) for departure in DEPARTURES)
