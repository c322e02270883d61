"""Probes of the machine around the engine: systemd, another engine's socket, programs, limits."""

import grp
import os
import pwd
import resource
import shutil
import stat

from sampan.host.finding import Lacking, Probe

_DOCKER_SOCKET = "/var/run/docker.sock"
_FEW_DESCRIPTORS = 4096
_FEW_WATCHES = 128


def _root() -> str:
    if os.geteuid() != 0:
        raise Lacking("the engine does not run as root")
    return ""


def _systemd() -> str:
    if not os.path.isdir("/run/systemd/system"):
        raise Lacking("this machine was not booted with systemd")
    return ""


def docker_socket_owner() -> str:
    """Who has Docker's socket: empty where there is none."""
    try:
        found = os.stat(_DOCKER_SOCKET)
    except OSError:
        return ""
    if not stat.S_ISSOCK(found.st_mode):
        return f"{_DOCKER_SOCKET} is not a socket"
    return f"{_name(found.st_uid)}:{_group(found.st_gid)} {stat.S_IMODE(found.st_mode):04o}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _docker_socket() -> str:
    owner = docker_socket_owner()
    if not owner:
        raise Lacking(f"nothing at {_DOCKER_SOCKET}")
    return owner


def _criu() -> str:
    path = shutil.which("criu", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        raise Lacking("there is no program criu")
    return path


def _descriptors() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft} now, at most {hard}"
    if hard != resource.RLIM_INFINITY and hard < _FEW_DESCRIPTORS:
        raise Lacking(text)
    return text


def _inotify() -> str:
    values = {}
    for name in ("max_user_instances", "max_user_watches"):
        with open(f"/proc/sys/fs/inotify/{name}", encoding="ascii") as file:
            values[name] = int(file.read())
    text = f"{values['max_user_instances']} instances, {values['max_user_watches']} watches"
    if values["max_user_instances"] < _FEW_WATCHES:
        raise Lacking(text)
    return text


PROBES = (
    Probe("root", "machine", _root, "start it with sudo", needed=True),
    Probe("systemd", "machine", _systemd, "nothing restarts the daemon by itself"),
    Probe("docker socket", "machine", _docker_socket, "use `sampan setup`, or DOCKER_HOST"),
    Probe("checkpoints", "machine", _criu, "apt install criu"),
    Probe("open files", "machine", _descriptors, "LimitNOFILE= in the unit, or ulimit -n"),
    Probe("inotify", "machine", _inotify, "sysctl fs.inotify.max_user_instances=512, for programs that watch files"),
)
