"""What of this machine a container of the image `host` must not see. docs/host-image.md says the same to users.

Allowed by default; hidden are the places listed here, what ordinary users of the machine may not read in /etc, /var, /opt,
/srv and /usr/local/etc (root in the container could), and every mount point. Hidden directories appear empty and can be used.
"""

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

DIRECTORIES = (
    # homes and work of others
    "home", "root", "tmp", "var/tmp", "mnt", "media", "lost+found",
    # the kernel's and boot
    "proc", "sys", "dev", "boot", "efi",
    # sockets, pid files, credentials of services
    "run", "var/run", "var/lock",
    # engines
    "var/lib/docker", "var/lib/containerd", "var/lib/containers", "var/lib/sampan", "var/lib/buildkit", "var/lib/crio",
    "var/lib/kubelet", "var/lib/rancher", "var/lib/etcd", "var/lib/cni", "var/lib/lxc", "var/lib/lxd", "var/lib/lxcfs",
    "var/lib/incus", "var/lib/libvirt", "var/lib/machines", "var/lib/nspawn", "var/snap", "snap",
    "etc/docker", "etc/sampan", "etc/containerd", "etc/crio", "etc/kubernetes", "etc/rancher", "etc/cni",
    # what machines are set up with
    "var/lib/cloud", "etc/cloud", "var/lib/waagent", "var/lib/private", "var/lib/systemd/coredump", "var/lib/NetworkManager",
    "etc/NetworkManager/system-connections", "etc/netplan", "etc/wpa_supplicant", "var/lib/iwd", "var/lib/bluetooth",
    # keys
    "etc/ssl/private", "etc/pki/tls/private", "etc/pki/private", "etc/letsencrypt", "etc/wireguard", "etc/openvpn",
    "etc/ipsec.d/private", "etc/swanctl", "etc/strongswan.d", "etc/credstore", "etc/credstore.encrypted",
    "etc/cryptsetup-keys.d", "etc/luks", "etc/keys", "etc/apt/auth.conf.d", "etc/sasldb", "var/lib/samba/private",
    "var/lib/sss", "var/lib/acme", "var/lib/vault", "var/lib/tpm", "var/lib/tpm2-tss",
    # what is told to others: logs, mail, jobs, copies
    "var/log", "var/spool", "var/mail", "var/backups", "var/crash", "var/lib/mysql", "var/lib/postgresql",
    "var/lib/mongodb", "var/lib/redis", "var/lib/ldap", "var/lib/krb5kdc", "var/lib/jenkins", "var/lib/gitlab-runner",
)  # fmt: skip
"""Directories that are empty in the container."""

FILES = (
    "etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-", "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_ecdsa_key", "etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_dsa_key", "etc/machine-id",
    "var/lib/dbus/machine-id", "etc/.pwd.lock", "etc/security/opasswd", "etc/security/opasswd.old", "etc/krb5.keytab",
    "etc/ipsec.secrets", "etc/crypttab", "etc/apt/auth.conf", "etc/sasldb2", "etc/netrc", "etc/msmtprc",
    "etc/mysql/debian.cnf", "etc/exim4/passwd.client", "etc/ppp/chap-secrets", "etc/ppp/pap-secrets", "etc/rndc.key",
    "etc/bind/rndc.key", "etc/smbcredentials", "swapfile", "swap.img", "swap", "var/swap", "var/swapfile",
    "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "var/cache/debconf/passwords.dat",
)  # fmt: skip
"""Files that are not there in the container. These names and those of DIRECTORIES are taken out even where they do not exist
yet: what the machine makes while a container runs would show in it."""

PATTERNS = (
    ("etc", "shadow*"), ("etc", "gshadow*"), ("etc", "subuid-"), ("etc", "subgid-"), ("etc/ssh", "ssh_host_*"),
    ("etc/postfix", "*passwd*"), ("etc/samba", "*passwd*"), ("etc/openvpn", "*.key"), ("", "*.core"), ("", "core"),
)  # fmt: skip
"""(directory, names): files that are not there in the container."""

REPLACED = ("etc/hosts", "etc/hostname", "etc/resolv.conf")
"""Empty files in the container, whatever they are here: the engine mounts its own over them, and a link into /run (as
systemd-resolved makes it) would dangle."""

_JUDGED = ("etc", "var", "opt", "srv", "usr/local/etc")
_ENTRIES = 200_000
"""Entries that are looked at; directories beyond it are hidden whole."""


@dataclass(frozen=True, slots=True, order=True)
class Hidden:
    """A path below the root, without a leading slash. A directory becomes empty, anything else goes."""

    path: str
    directory: bool


@dataclass(slots=True)
class Survey:
    """What is to be hidden, and the state of every directory that was looked at: while it holds, so does the answer."""

    hidden: tuple[Hidden, ...]
    stamps: dict[str, tuple[int, int]]

    def holds(self, root: str) -> bool:
        """Whether no directory has changed since (names came, went, or its mode changed)."""
        try:
            return all(_stamp(os.path.join(root, path)) == stamp for path, stamp in self.stamps.items())
        except OSError:
            return False


def survey(root: str, private: Iterable[str] = (), mount_points: Iterable[str] = ()) -> Survey:
    """Look at the machine whose root is `root`. `private` (Sampan's own directories) and `mount_points` are absolute paths."""
    found: dict[str, bool] = {}
    stamps: dict[str, tuple[int, int]] = {}
    places = [path.strip("/") for path in (*private, *mount_points)]
    for path in (*DIRECTORIES, *(place for place in places if place)):
        kind = _kind(root, path)
        if kind is not None:
            found[path] = kind
        elif _is_free(root, path):
            found[path] = False
    for path in FILES:
        if _kind(root, path) is False or _is_free(root, path):
            found[path] = False
    for directory, pattern in PATTERNS:
        for name in _names(root, directory, stamps):
            path = f"{directory}/{name}".lstrip("/")
            if fnmatch.fnmatchcase(name, pattern) and _kind(root, path) is False:
                found[path] = False
    for entry in _unreadable(root, found, stamps):
        found[entry.path] = entry.directory
    closed = {path for path, directory in found.items() if directory}
    outermost = (Hidden(path, directory) for path, directory in found.items() if not _inside(path, closed))
    return Survey(tuple(sorted(outermost)), stamps)


def _kind(root: str, path: str) -> bool | None:
    """True for a directory, False for anything else but a link, None for links and what is not there."""
    try:
        # Through no link: /var/run is one, and what it leads to is hidden at its own place.
        mode = os.stat(os.path.join(root, path), follow_symlinks=False).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISLNK(mode) else stat.S_ISDIR(mode)


def _is_free(root: str, path: str) -> bool:
    """Whether nothing has the name, and something could get it."""
    place = os.path.join(root, path)
    return not os.path.lexists(place) and os.path.isdir(os.path.dirname(place))


def _inside(path: str, closed: set[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:end]) in closed for end in range(1, len(parts)))


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path, follow_symlinks=False)
    return status.st_mtime_ns, status.st_mode


def _names(root: str, directory: str, stamps: dict[str, tuple[int, int]]) -> list[str]:
    place = os.path.join(root, directory)
    try:
        # Before it is read: what comes meanwhile makes the stamp stale.
        stamps[directory] = _stamp(place)
        return os.listdir(place)
    except (FileNotFoundError, NotADirectoryError):
        stamps.pop(directory, None)
        return []


def _unreadable(root: str, found: dict[str, bool], stamps: dict[str, tuple[int, int]]) -> Iterator[Hidden]:
    """What others may not read: directories at the top, everything in the places where the machine keeps its settings."""
    for name in _names(root, "", stamps):
        status = os.stat(os.path.join(root, name), follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) and status.st_mode & 0o005 != 0o005:
            yield Hidden(name, directory=True)
    left = _ENTRIES
    pending = [path for path in _JUDGED if _kind(root, path)]
    while pending:
        path = pending.pop()
        if found.get(path):
            continue
        if left <= 0:
            yield Hidden(path, directory=True)
            continue
        for name in _names(root, path, stamps):
            left -= 1
            inside = f"{path}/{name}"
            try:
                status = os.stat(os.path.join(root, inside), follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(status.st_mode):
                if status.st_mode & 0o005 != 0o005:
                    yield Hidden(inside, directory=True)
                else:
                    pending.append(inside)
            elif stat.S_ISSOCK(status.st_mode) or (stat.S_ISREG(status.st_mode) and not status.st_mode & 0o004):
                yield Hidden(inside, directory=False)
