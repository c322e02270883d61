"""Deliberately weakened builds: each takes one defence out of a copy of the source, and names the tests that must then be red.

A test that stays green without its defence proves nothing. The product has no switch for any of this: a weakening is an edit of
a copy, made for one run (tests/long/test_controls.py), and an edit that no longer fits its source fails in
tests/unit/test_weakenings.py. None may hurt the machine: what it lets through is the canary's, a container's or nobody's.
"""

# ruff: noqa: E501 - an edit stays in one piece

from tests.security.edits import Weakening, weak
from tests.security.weakened_paths import PATHS
from tests.security.weakened_users import USERS

_IN_ROOT = "Resolve.IN_ROOT | Resolve.NO_MAGICLINKS"

WEAKENINGS: tuple[Weakening, ...] = (
    # the runtime's own processes
    weak(
        "whoever enters a container may be looked into",
        "test_sec_cve_2016_9962",
        ("runtime/launcher.py", "prctl(Prctl.SET_DUMPABLE, 0)", "prctl(Prctl.SET_DUMPABLE, 1)"),
        (
            "runtime/init.py",
            "def _shut_the_doors() -> None:",
            "def _shut_the_doors() -> None:\n    prctl(Prctl.SET_DUMPABLE, 1)",
        ),
    ),
    weak(
        "the interpreter of what enters can be written to",
        "test_sec_cve_2019_5736_watch",
        ("runtime/spawn.py", "add_seals(copy, ALL_SEALS)", "os.fchmod(copy, 0o666)"),
        ("runtime/launcher.py", "prctl(Prctl.SET_DUMPABLE, 0)", "prctl(Prctl.SET_DUMPABLE, 1)"),
        (
            "runtime/init.py",
            '    _take(journal, context, setup["enter"])',
            "    _take(journal, context, setup[\"enter\"])\n    prctl(Prctl.SET_DUMPABLE, 1); __import__('time').sleep(1)",
        ),
    ),
    weak(
        "the interpreter may be executed again",
        "test_sec_cve_2019_5736_entrypoint",
        ("runtime/spawn.py", "        os.fchmod(copy, 0)\n", ""),
    ),
    weak(
        "a directory is open while the program is looked up",
        "test_sec_cve_2024_21626_program",
        (
            "runtime/execute.py",
            "    name = arguments[0]\n    context.environment",
            "    name = arguments[0]\n    os.dup2(os.open('/', os.O_RDONLY), 7)\n    context.environment",
        ),
        ("runtime/init.py", "    kept = channel.fileno()\n", "    return\n    kept = channel.fileno()\n"),
    ),
    weak(
        "a working directory may be a magic link",
        "test_sec_cve_2024_21626_run test_sec_cve_2024_21626_work_directories",
        ("runtime/execute.py", f"{_IN_ROOT})\n        os.fchdir", "Resolve(0))\n        os.fchdir"),
        (
            "runtime/execute.py",
            '    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)\n    try:\n        flags',
            '    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)\n    for number in range(3, 64):\n        if number != root:\n            try:\n                os.fstat(number)\n            except OSError:\n                os.dup2(root, number)\n    try:\n        flags',
        ),
    ),
    weak(
        "descriptors are inherited",
        "test_sec_cve_2024_21626_descriptors",
        (
            "runtime/init.py",
            "    kept = channel.fileno()\n",
            "    kept = channel.fileno()\n    os.set_inheritable(os.open('/', os.O_RDONLY), True)\n    return\n",
        ),
    ),
    weak(
        "monitors listen at abstract addresses",
        "test_sec_cve_2020_15257 test_sec_cve_2021_4024",
        (
            "runtime/record.py",
            "    listener.listen(4)\n",
            "    listener.listen(4)\n    global _abstract\n    _abstract = socket.socket(socket.AF_UNIX)\n    _abstract.bind('\\0' + directory)\n    _abstract.listen()\n",
        ),
    ),
    weak(
        "the API's socket is everybody's",
        "test_sec_cve_2020_15257_modes test_sec_cve_2014_3499",
        ("daemon/listeners.py", "_MODE = 0o660", "_MODE = 0o666"),
        ("runtime/launcher.py", "os.chmod(path, 0o600)", "os.chmod(path, 0o666)"),
    ),
    weak(
        "a module that runs what it reads",
        "test_sec_cve_2022_42919_no_module_that_runs_what_it_reads",
        ("daemon/journal.py", "import logging\n", "import logging\nimport pickle  # noqa\n"),
    ),
    weak(
        "the API listens on the bridge",
        "test_sec_cve_2025_9074",
        (
            "daemon_main.py",
            "    await server.listen([Listening(listener.sock, listener.tls) for listener in opened])\n",
            "    await server.listen([Listening(listener.sock, listener.tls) for listener in opened])\n    await server.listen([Listening(socket.create_server(('', 2375)))])\n",
        ),
    ),
    # procfs, masks, mount targets
    weak(
        "nothing is masked",
        "test_sec_cve_2017_16539_masked test_sec_cve_2025_31133_image",
        ("runtime/masks.py", "    _later_if_detached(context, _mask, paths)", "    return"),
    ),
    weak(
        "nothing is read-only",
        "test_sec_cve_2015_3630_read_only test_sec_cve_2025_31133_image",
        ("runtime/masks.py", "    _later_if_detached(context, _make_readonly, paths)", "    return"),
    ),
    weak(
        "inspect shows a shorter list",
        "test_sec_ghsa_6fw5_inspect_shows_at_least_dockers_lists",
        ("runtime/profile_files.py", "    return (*MASKED, *thermal)", "    return MASKED[1:]"),
    ),
    weak(
        "mounts over /proc are taken",
        "test_sec_cve_2019_16884 test_sec_cve_2025_52881_race",
        ("runtime/rootfs.py", '    proc = context.mounts.get("/proc", -1)\n', "    proc = -1\n"),
    ),
    weak(
        "whatever /dev/null is covers what is masked",
        "test_sec_cve_2025_52565_volume",
        (
            "runtime/masks.py",
            "    if not stat.S_ISCHR(seen.st_mode) or seen.st_rdev != os.makedev(1, 3):",
            "    if False:",
        ),
        ("runtime/masks.py", "os.O_PATH | os.O_NOFOLLOW, _INSIDE | Resolve.NO_SYMLINKS)", "os.O_PATH, _INSIDE)"),
    ),
    weak(
        "the filter is gone, and capabilities are whole",
        "test_sec_cve_2022_0492 test_sec_cve_2026_31431_and_abi_holes test_sec_cve_2022_24769_run test_sec_cve_2014_6408 test_sec_cve_2024_23653",
        (
            "runtime/seccomp_document.py",
            '    if privileged and setting in ("", BUILTIN):',
            '    if setting in ("", BUILTIN):',
        ),
        (
            "runtime/profile_capabilities.py",
            "    if privileged:\n        return tuple(available)",
            "    if True:\n        return tuple(available)",
        ),
    ),
    weak(
        "control groups can be written to",
        "test_sec_cve_2023_25809 test_sec_cve_2023_25809_rootless",
        ("runtime/profile_files.py", '"cgroup", "cgroup", ("ro", "nosuid"', '"cgroup", "cgroup", ("nosuid"'),
    ),
    weak(
        "a rootless engine's way out leads to the machine's loopback",
        "test_sec_loopback_of_the_machine",
        ("rootless/uplink.py", '"--no-map-gw", ', ""),
    ),
    weak(
        "a rootless engine's sockets are open to whoever comes near",
        "test_sec_nobody_else_speaks_to_it",
        ("daemon/listeners.py", "mode = _MODE & ~0o077 if config.rootless else _MODE", "mode = 0o666"),
    ),
    weak(
        "paths of images are the host's",
        "test_sec_cve_2022_23648",
        (
            "files/root.py",
            'return openat2(self.fd, raw or b".", flags, _IN_ROOT, mode)',
            "return os.open(raw.lstrip(b'/') or b'.', flags, mode, dir_fd=self.fd)",
        ),
    ),
    weak(
        "volumes are filled again and again",
        "test_sec_cve_2020_1726",
        ("volumes/population.py", "    if not _is_empty(volume, _DATA):\n        return False\n", ""),
        ("volumes/population.py", "                if in_use:\n", "                if True:\n"),
    ),
    weak(
        "names may be anything",
        "test_sec_cve_2025_0750",
        ("spec/ids.py", "    return _NAME.fullmatch(text) is not None", "    return bool(text)"),
    ),
    # users and capabilities
    weak(
        "capabilities are inheritable",
        "test_sec_cve_2022_24769_run test_sec_cve_2022_29162_exec test_sec_no_inheritable_whatever_is_added test_sec_cve_2024_23653",
        (
            "runtime/credentials.py",
            '    inheritable = mask(capabilities.get("inheritable", []))',
            '    inheritable = mask(capabilities.get("permitted", []))',
        ),
    ),
    weak(
        "capabilities are kept by every user",
        "test_sec_cve_2016_8867",
        (
            "runtime/credentials.py",
            '    ambient = mask(capabilities.get("ambient", []))',
            '    ambient = inheritable = mask(capabilities.get("permitted", []))',
        ),
    ),
    weak(
        "a number may be a name",
        "test_sec_cve_2016_3697",
        (
            "runtime/credentials.py",
            "(fields[0] != user if uid is None else found != uid)",
            "(fields[0] != user and (uid is None or found != uid))",
        ),
    ),
    weak(
        "numbers are cut to 32 bits",
        "test_sec_cve_2024_40635 test_sec_cve_2016_3697",
        (
            "runtime/credentials.py",
            '    if digits is not text or len(text) > 10 or int(text) > _ID_LIMIT:\n        raise StepFailed("bad-user", f"uids and gids must be in range 0-{_ID_LIMIT}", errno.EINVAL)\n    return int(text)',
            "    return int(text[:4000]) & 0x7FFFFFFF",
        ),
    ),
    weak(
        "one digit is no number",
        "test_sec_cve_2026_30892",
        ("runtime/credentials.py", "    return int(text)\n", "    return int(text) if len(text) > 1 else 0\n"),
    ),
    weak(
        "groups are the engine's",
        "test_sec_cve_2022_36109",
        (
            "runtime/credentials.py",
            "        os.setgroups(identity.groups)\n",
            "        identity.groups = [0, 4]\n        os.setgroups(identity.groups)\n",
        ),
    ),
    weak(
        "the primary group is forgotten",
        "test_sec_cve_2022_36109 test_sec_cve_2022_36109_a_group_that_is_denied_stays_denied",
        (
            "runtime/credentials.py",
            "    return Identity(uid, gid, sorted({gid, *groups}), home)",
            "    return Identity(uid, gid or uid, sorted(set(groups) - {gid}), home)",
        ),
    ),
    weak(
        "user databases are read whatever they are",
        "test_sec_cve_2026_47262",
        ("runtime/credentials.py", "os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY", "os.O_RDONLY"),
        ("runtime/credentials.py", "    if not stat.S_ISREG(os.fstat(descriptor).st_mode):", "    if False:"),
    ),
    weak(
        "names may start lines",
        "test_sec_cve_2022_4318",
        (
            "network/hosts.py",
            '    return 0 < len(text) <= 255 and text.isprintable() and not any(sign in text for sign in " #\\u00a0")',
            "    return True",
        ),
        ("daemon/verify.py", '    if not colon or not name or "\\n" in name:', "    if not colon:"),
    ),
    weak(
        "the host's name is a container's to set",
        "test_sec_cve_2022_0811",
        (
            "runtime/profile_sysctl.py",
            '    elif key == "kernel.hostname" and own_uts:\n        raise BadSysctl(f\'sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field\')',
            '    elif key == "kernel.hostname" and own_uts:\n        return key',
        ),
    ),
    weak(
        "sysctls of shared namespaces pass",
        "test_sec_sysctls_of_shared_namespaces",
        (
            "runtime/profile_sysctl.py",
            "            raise BadSysctl(f'sysctl \"{key}\" not allowed in host network namespace')",
            '            return "kernel.domainname"',
        ),
    ),
    weak(
        "data and run time are open to look into",
        "test_sec_cve_2021_41091 test_sec_cve_2021_41103_modes test_sec_cve_2014_3499 test_who_it_is_outside_reaches_nothing_of_the_engine_s",
        ("daemon_main.py", '"data root", 0o710)', '"data root", 0o755)'),
    ),
    weak(
        "AF_ALG passes",
        "test_sec_cve_2026_31431_and_abi_holes",
        (
            "runtime/seccomp_default.py",
            'oci.SeccompArg(0, _AF_ALG, op="SCMP_CMP_LT")',
            'oci.SeccompArg(0, _AF_VSOCK, op="SCMP_CMP_LT")',
        ),
    ),
    weak(
        "the processes of a container are listed by its own program",
        "test_sec_cve_2022_1227",
        (
            "daemon/top.py",
            "    moment = process.Moment.current()\n",
            "    import subprocess\n\n    for pid in engine.runtime.pids(container):\n        subprocess.run(['nsenter', '-t', str(pid), '-a', 'ps'], check=False)\n    moment = process.Moment.current()\n",
        ),
    ),
    # files into and out of containers
    weak(
        "the command believes the archive's names",
        "test_sec_cve_2026_17106_out_of_a_container",
        (
            "cli/copy/unpacking.py",
            "        super()._apply(entry, reader)",
            "        open(os.path.join(os.fsencode(os.path.realpath(f'/proc/self/fd/{self._root.fd}')), entry.name), 'wb').close()",
        ),
    ),
    # images
    weak(
        "an image's environment may name the host's",
        "test_sec_cve_2026_57231",
        ("spec/oci_image.py", '        if not equals or not name or "\\0" in entry:', "        if False:"),
    ),
    # builds
    weak(
        "a build may ask for everything",
        "test_sec_cve_2024_23653",
        ("build/entitlements.py", '        if run.security == "insecure" and', "        if False and"),
    ),
    weak(
        "references may be options",
        "test_sec_cve_2019_13139",
        ("build/tree/git.py", '        if text.startswith("-") or', "        if"),
    ),
    weak(
        "servers name files as they like",
        "test_sec_cve_2026_33747_names_that_servers_give",
        (
            "build/tree/remote.py",
            '    name = path.rpartition("/")[2]\n',
            '    return path\n    name = path.rpartition("/")[2]\n',
        ),
    ),
    # networks
    weak(
        "links hear router advertisements",
        "test_sec_cve_2020_13401",
        (
            "network/attach.py",
            '                _write(proc, f"{conf}/{setting}", b"0")',
            '                _write(proc, f"{conf}/{setting}", b"2" if setting == "accept_ra" else b"0")',
        ),
    ),
    weak(
        "nobody looks whether the rules are still there",
        "test_sec_cve_2025_54388",
        ("daemon/rules_watch.py", "        self._networks.restore()", "        return"),
    ),
    weak(
        "an overlay without encryption is called encrypted",
        "test_sec_cve_2023_28840",
        ("network/creation.py", '    if request.driver == "overlay":\n        raise Forbidden(_NO_SWARM)\n', ""),
    ),
    # requests
    weak(
        "lists of processors have no end",
        "test_sec_cve_2018_20699",
        ("daemon/verify_resources.py", "    if not (host.cpuset_cpus or host.cpuset_mems):", "    if True:"),
    ),
    *PATHS,
    *USERS,
)
"""Each defence by itself."""

WITHOUT = {
    "test_sec_cve_2021_30465_race": "a race may be lost by chance: its form without any, test_sec_cve_2021_30465_paused, goes red",
    "test_sec_cve_2025_23266": "no helper is executed for a container, so none has an environment",
    "test_sec_cve_2014_9358": "behind the look-up every digest is computed again: a foreign file is no layer of any image",
    "test_sec_cve_2024_21626_magic_links": "a build that follows such a link writes into this machine's own root, and none may hurt the machine",
    "test_sec_cve_2026_17106_added_archives": "an archive is unpacked in a jail, by a reader that checks; test_archives runs its matrix without the one and without the other, in turn",
    "test_sec_cve_2024_24557_history_is_no_proof": "nothing reads an image's history for the cache: there is no look-up that could be weakened",
}
"""Tests for which there is no weakened build, and why."""
