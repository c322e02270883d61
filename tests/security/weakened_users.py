"""Weakened builds that mix up whose something is: users and their ranges, secrets, one container's settings and another's."""

# ruff: noqa: E501 - an edit stays in one piece

from tests.security.edits import Weakening, weak

USERS: tuple[Weakening, ...] = (
    weak(
        "root inside is root",
        "test_root_inside_is_a_subordinate_user_who_owns_its_namespaces test_two_containers_are_strangers",
        ("runtime/users.py", 'f"{first} {host} {count}\\n" for', 'f"{first} {first} {count}\\n" for'),
    ),
    weak(
        "ranges are given out whoever has them",
        "test_two_containers_are_strangers test_ranges_are_kept_and_given_back",
        ("daemon/user_ranges.py", "[*taken, *((host, count) for", "[*((host, count) for"),
    ),
    weak(
        "layers belong to the mapped users",
        "test_layers_lie_on_the_disk_as_the_image_has_them",
        ("runtime/union.py", "    map_mount(tree, users)\n    over", "    over"),
    ),
    weak(
        "binds have the container's maps unasked",
        "test_a_bind_is_the_hosts_and_nobodys_inside",
        (
            "runtime/user_plan.py",
            "    mapped = [[number, *_WORDS[word]] for number, mount in enumerate(binds) for word in mount.options if word in _WORDS]\n",
            "    mapped = [[number, False, False] for number, _ in enumerate(binds)]\n",
        ),
    ),
    weak(
        "who calls is said by nobody",
        "test_keep_id_leaves_files_of_the_caller test_what_cannot_be_is_refused",
        (
            "daemon/users.py",
            "    if caller is None:\n        raise InvalidParameter(\n",
            "    return (1000, 1000)\n    if caller is None:\n        raise InvalidParameter(\n",
        ),
    ),
    weak(
        "an exec keeps the host's users",
        "test_exec_and_copies_are_inside",
        (
            "runtime/plan.py",
            "(Clone.NEWUSER if request.users is not None else Clone(0))",
            "Clone(0)",
        ),
        ("runtime/plan.py", '([["root_inside"]] if request.users is not None else [])', "[]"),
    ),
    # secrets, and what one container says of another
    weak(
        "logins are told to the log",
        "test_sec_cve_2019_13509_nothing_secret_is_logged",
        (
            "registry/authconfig.py",
            "        return _REGISTRIES.read(",
            "        __import__('logging').getLogger('sampan.api').warning('logins %r', _decoded(header, b'-_'))\n        return _REGISTRIES.read(",
        ),
    ),
    weak(
        "a secret is told to the log",
        "test_sec_secrets_are_in_no_layer",
        (
            "build/run_mounts.py",
            "        if mount.variable is not None:\n",
            "        __import__('logging').getLogger('sampan.build').warning('secret %s is %r', name, content)\n        if mount.variable is not None:\n",
        ),
    ),
    weak(
        "a secret that is required may be missing",
        "test_sec_secrets_that_are_missing",
        (
            "build/run_mounts.py",
            '            if mount.required:\n                raise NotFound(f"secret {name}: not found")\n',
            "",
        ),
    ),
    weak(
        "keys of a build know neither bases nor what is run",
        "test_sec_cve_2024_24557_configuration_is_in_the_key",
        (
            "build/keys.py",
            "        value = getattr(operation, name)\n        if isinstance",
            "        value = getattr(operation, name)\n        if name == 'arguments':\n            continue\n        if isinstance",
        ),
        ("build/keys.py", '        found["content"] = content\n', "        pass\n"),
    ),
    weak(
        "a default is shared by all requests",
        "test_sec_cve_2020_14370",
        (
            "daemon/environment.py",
            "def merged_with_image(requested: Sequence[str], image: Sequence[str]) -> tuple[str, ...]:",
            "def merged_with_image(requested: Sequence[str], image: Sequence[str], known: list[str] = []) -> tuple[str, ...]:",
        ),
        (
            "daemon/environment.py",
            "    if not requested:\n        return tuple(image)\n",
            "    known.extend(requested)\n    requested = tuple(known)\n    if not requested:\n        return tuple(image)\n",
        ),
    ),
    weak(
        "lengths of messages have 16 bits",
        "test_sec_cve_2021_43784",
        (
            "runtime/plan.py",
            'steps.append(["find", process.args, process.env])',
            'steps.append(["find", process.args, [entry[:0xFFFF] for entry in process.env]])',
        ),
    ),
    weak(
        "a malformed request ends the daemon",
        "test_sec_cve_2024_23650",
        (
            "api/application.py",
            "            answer = failure(error)\n            if answer.status >= 500",
            "            answer = failure(error)\n            if answer.status == 400:\n                __import__('os')._exit(1)\n            if answer.status >= 500",
        ),
    ),
    weak(
        "names of an end point may be anything",
        "test_sec_injection_by_end_points",
        (
            "daemon/endpoints.py",
            "    return 0 < len(text) <= _NAME_LIMIT and text.isprintable()",
            "    return bool(text)\n    return 0 < len(text) <= _NAME_LIMIT and text.isprintable()",
        ),
    ),
)
