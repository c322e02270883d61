"""Every key of Docker 28's daemon.json, its flag, and what Sampan does with it: one table for both, and for the manual.

`docs/daemon.md` is checked against this table. A key that is refused may still be given with the value that Docker has as
its default, so that a file which spells the defaults out is taken.
"""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """How a value is written: in the file as JSON, on the command line as text."""

    TEXT = "text"
    SWITCH = "switch"
    NUMBER = "number"
    SIZE = "size"
    LIST = "list"
    MAP = "map"


class Verdict(StrEnum):
    """What becomes of a key."""

    HONOURED = "honoured"
    REFUSED = "refused"
    MEANINGLESS = "without meaning here"


class Option(msgspec.Struct, frozen=True):
    """One key. `flag` is the command line's name where it differs (`host` for `hosts`), "-" where there is no flag.

    `default` is Docker's: the one value of a refused key that is taken. `note` says why it is refused or has no meaning.
    """

    key: str
    kind: Kind
    verdict: Verdict
    note: str = ""
    flag: str = ""
    short: str = ""
    default: str | bool | int | list[str] | dict[str, str] | None = None

    @property
    def flag_name(self) -> str:
        """The long flag without its dashes; empty where the key exists in the file only."""
        return "" if self.flag == "-" else self.flag or self.key


T, B, N, S, L, M = Kind.TEXT, Kind.SWITCH, Kind.NUMBER, Kind.SIZE, Kind.LIST, Kind.MAP
YES, NO, VOID = Verdict.HONOURED, Verdict.REFUSED, Verdict.MEANINGLESS

_NO_SWARM = "Sampan has no swarm mode"
_NO_CONTAINERD = "no containerd takes part: layers and containers are Sampan's own"

OPTIONS: tuple[Option, ...] = (
    # where things are
    Option("data-root", T, YES, "default /var/lib/sampan"),
    Option("exec-root", T, YES, "default /run/sampan"),
    Option("pidfile", T, YES, "default: sampand.pid in the exec root", short="p"),
    Option("hosts", L, YES, "unix://, tcp:// and fd://; TCP off loopback needs tlsverify", flag="host", short="H"),
    Option(
        "group", T, YES, "owner group of unix sockets; default sampan, root's where there is no such group", short="G"
    ),
    # what is said
    Option("debug", B, YES, short="D"),
    Option("log-level", T, YES, "debug, info, warn, error, fatal", short="l"),
    Option("log-format", T, YES, "text or json"),
    Option("raw-logs", B, VOID, "the daemon's log has no colours"),
    # transport security
    Option("tls", B, YES),
    Option("tlsverify", B, YES),
    Option("tlscacert", T, YES, "default /etc/sampan/ca.pem"),
    Option("tlscert", T, YES, "default /etc/sampan/cert.pem"),
    Option("tlskey", T, YES, "default /etc/sampan/key.pem"),
    Option("min-api-version", T, YES, "1.24 to 1.51", flag="-"),
    Option("authorization-plugins", L, YES, "asked in this order: docs/plugins.md", flag="authorization-plugin"),
    # containers' defaults
    Option("live-restore", B, YES, "containers outlive the daemon unless this is false: then SIGTERM stops them first"),
    Option("shutdown-timeout", N, YES, "seconds that a stop at SIGTERM may take where a container names none"),
    Option("default-stop-timeout", N, YES, "seconds"),
    Option("default-shm-size", S, YES),
    Option(
        "default-ulimits", M, YES, "name=soft[:hard]; in the file {name: {Name, Soft, Hard}}", flag="default-ulimit"
    ),
    Option("default-ipc-mode", T, YES, "private or shareable"),
    Option("default-cgroupns-mode", T, YES, "host or private"),
    Option("no-new-privileges", B, YES),
    Option("seccomp-profile", T, YES, "builtin, unconfined or a file"),
    Option("init", B, YES),
    Option("init-path", T, NO, "the reaper is Sampan's own; other runtimes get the host's docker-init"),
    Option(
        "log-driver",
        T,
        YES,
        "default for containers: json-file, local, none, fluentd, gelf, journald, syslog or a plugin",
    ),
    Option("log-opts", M, YES, flag="log-opt"),
    Option("labels", L, YES, flag="label"),
    Option("cgroup-parent", T, YES),
    Option("runtimes", M, YES, "NAME=PATH; in the file {name: {path, runtimeArgs}}: docs/oci.md", flag="add-runtime"),
    Option("default-runtime", T, YES, "runc is Sampan's own"),
    Option("exec-opts", L, YES, "native.cgroupdriver=cgroupfs or systemd: docs/cgroups.md", flag="exec-opt"),
    Option("selinux-enabled", B, NO, "SELinux labels are not written", default=False),
    Option(
        "userns-remap",
        T,
        YES,
        "default, or user[:group]: containers have its subordinate users; docs/user-namespaces.md",
    ),
    Option(
        "userns-pool",
        T,
        YES,
        "Sampan's own: whose subordinate users `--userns auto` hands out, or FIRST:COUNT; containers",
    ),
    Option("cpu-rt-period", N, YES, "microseconds, of the groups above containers with real-time limits; v1 alone"),
    Option("cpu-rt-runtime", N, YES, "as cpu-rt-period"),
    Option("cdi-spec-dirs", L, YES, "default /etc/cdi and /var/run/cdi; files in JSON", flag="cdi-spec-dir"),
    Option(
        "plugin-dirs",
        L,
        YES,
        "Sampan's own: where plugins are looked for instead of Docker's directories: docs/plugins.md",
        flag="plugin-dir",
    ),
    Option("nri-opts", M, NO, "the node resource interface is containerd's"),
    Option(
        "rootless",
        B,
        YES,
        "an ordinary user's daemon, in a user namespace: `sampan rootless` gives it (docs/rootless.md)",
    ),
    # layers
    Option("storage-driver", T, YES, "overlay2, overlay, fuse-overlayfs, btrfs or vfs", short="s"),
    Option("storage-opts", L, NO, "the drivers have no options", flag="storage-opt"),
    # networks
    Option("bip", T, YES),
    Option(
        "default-address-pools", L, YES, "base=CIDR,size=BITS; in the file {base, size}", flag="default-address-pool"
    ),
    Option("bridge", T, YES, '"none" switches the default bridge off; a bridge of the host\'s is refused', short="b"),
    Option("dns", L, YES),
    Option("dns-opts", L, YES, flag="dns-opt"),
    Option("dns-search", L, YES),
    Option("mtu", N, YES),
    Option("icc", B, YES),
    Option("ip", T, YES, "host address of ports published without one"),
    Option("host-gateway-ips", L, YES, flag="host-gateway-ip"),
    Option("host-gateway-ip", T, YES, "older name of host-gateway-ips", flag="-"),
    Option("ip-forward", B, YES),
    Option("ip-forward-no-drop", B, VOID, "the policy of the host's forward chain is never changed"),
    Option("ip-masq", B, YES),
    Option("iptables", B, NO, "the bridge needs its table of rules", default=True),
    Option("ip6tables", B, YES, "whether there is a table of rules for IPv6"),
    Option("userland-proxy", B, YES, "callers by IPv6 are proxied where no rule can send them on"),
    Option("userland-proxy-path", T, NO, "there is no proxy binary", default=""),
    Option("firewall-backend", T, NO, "rules are always written with nftables", default="nftables"),
    Option("bip6", T, YES),
    Option("ipv6", B, YES, "IPv6 on the default bridge"),
    Option("fixed-cidr", T, YES, "what of the bridge's network containers get addresses from"),
    Option("fixed-cidr-v6", T, YES, "the same for IPv6"),
    Option("default-gateway", T, YES, "what containers are told instead of the bridge's address"),
    Option("default-gateway-v6", T, YES, "the same for IPv6"),
    Option("allow-direct-routing", B, YES, "published ports are open at containers' own addresses, too"),
    Option(
        "published-ports",
        T,
        YES,
        "judged by the host's own firewall, or open as in Docker: docs/networking.md",
    ),
    Option("bridge-accept-fwmark", T, YES, "MARK or MARK/MASK: what is marked so reaches every port of a container"),
    Option(
        "default-network-opts",
        M,
        YES,
        "DRIVER=KEY=VALUE; in the file {driver: {key: value}}",
        flag="default-network-opt",
    ),
    Option("network-control-plane-mtu", N, NO, _NO_SWARM, default=1500),
    Option("network-diagnostic-port", N, NO, _NO_SWARM, default=0),
    # registries, builder
    Option("registry-mirrors", L, YES, "URLs, asked before docker.io", flag="registry-mirror"),
    Option("insecure-registries", L, YES, "host[:port] or a network as CIDR", flag="insecure-registry"),
    Option("allow-nondistributable-artifacts", L, VOID, "no longer read by Docker either", flag="-"),
    Option("max-concurrent-downloads", N, YES, "layers that are pulled at once; 3"),
    Option("max-concurrent-uploads", N, YES, "layers that are pushed at once; 5"),
    Option("max-download-attempts", N, YES, "times that a layer is asked for; 5"),
    Option("http-proxy", T, YES, "to reach registries; default: the environment's HTTP_PROXY"),
    Option("https-proxy", T, YES, "default: the environment's HTTPS_PROXY"),
    Option("no-proxy", T, YES, "default: the environment's NO_PROXY"),
    Option(
        "builder",
        M,
        YES,
        "gc (docs/build-cache.md), entitlements (docs/build.md)",
        flag="-",
    ),
    Option("features", M, VOID, "switches of Docker's own parts (buildkit, containerd-snapshotter)", flag="feature"),
    Option("experimental", B, YES, "checkpoints: docs/checkpoints.md"),
    # Docker's own parts
    Option("containerd", T, NO, _NO_CONTAINERD, default=""),
    Option("cri-containerd", B, NO, _NO_CONTAINERD, default=False),
    Option("containerd-namespace", T, VOID, _NO_CONTAINERD),
    Option("containerd-plugin-namespace", T, VOID, _NO_CONTAINERD, flag="containerd-plugins-namespace"),
    Option("metrics-addr", T, YES, "HOST:PORT of Prometheus metrics: docs/metrics.md"),
    Option("swarm-default-advertise-addr", T, NO, _NO_SWARM, default=""),
    Option("swarm-raft-heartbeat-tick", N, NO, _NO_SWARM, flag="-", default=0),
    Option("swarm-raft-election-tick", N, NO, _NO_SWARM, flag="-", default=0),
    Option("node-generic-resources", L, NO, _NO_SWARM, flag="node-generic-resource"),
    Option("deprecated-key-path", T, VOID, "no longer read by Docker either", flag="-"),
)

BY_KEY = {option.key: option for option in OPTIONS}
BY_FLAG = {option.flag_name: option for option in OPTIONS if option.flag_name}
BY_SHORT = {option.short: option for option in OPTIONS if option.short}
