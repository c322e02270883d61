"""`--security-opt sampan=hardened`: settings that a container could have been given one by one, and that inspect shows as such.

Pure. What it leaves as it is, because too many images need it: the user, a writable root, the network.
"""

from collections.abc import Collection

import msgspec

from sampan.errors import InvalidParameter
from sampan.runtime.profile_options import UNCONFINED, SecurityOptions, parse
from sampan.spec.host_config import HostConfig

DROPPED = ("AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "SETPCAP")
"""Of Docker's fourteen capabilities those that programs in production seldom need; `--cap-add` brings one back."""
PIDS_LIMIT = 2048


def applied(host: HostConfig, available: Collection[str]) -> HostConfig:
    """`host` with what the option asks for, where it is among its security options. Raises InvalidParameter for contradictions.

    `available`: the capabilities that the host can give; another needs no dropping.
    """
    options = parse(host.security_opt or ())
    if not options.hardened:
        return host
    _refuse_contradictions(host, options)
    changes: dict[str, object] = {}
    kept = {name.upper().removeprefix("CAP_") for name in (*(host.cap_add or ()), *(host.cap_drop or ()))}
    if not kept & {"ALL"}:
        dropped = tuple(name for name in DROPPED if name not in kept and f"CAP_{name}" in available)
        changes["cap_drop"] = (*(host.cap_drop or ()), *dropped)
    if not options.no_new_privileges:
        changes["security_opt"] = (*(host.security_opt or ()), "no-new-privileges")
    if host.pids_limit is None:
        changes["pids_limit"] = PIDS_LIMIT
    if not host.cgroupns_mode:
        changes["cgroupns_mode"] = "private"
    return msgspec.structs.replace(host, **changes)


def _refuse_contradictions(host: HostConfig, options: SecurityOptions) -> None:
    contradictions = {
        "--privileged": host.privileged,
        "--cap-add ALL": any(name.upper() == "ALL" for name in host.cap_add or ()),
        "--pid host": host.pid_mode == "host",
        "--ipc host": host.ipc_mode == "host",
        "seccomp=unconfined": options.seccomp == UNCONFINED,
        "apparmor=unconfined": options.apparmor == UNCONFINED,
        "writable-cgroups": bool(options.writable_cgroups),
        "systempaths=unconfined": host.masked_paths == () or host.readonly_paths == (),
    }
    for what, asked in contradictions.items():
        if asked:
            raise InvalidParameter(f"security option sampan=hardened excludes {what}: leave one of them out")
