"""Weakened builds that take paths for text: joined, resolved twice, or from a root that is not the container's."""

# ruff: noqa: E501 - an edit stays in one piece

from tests.security.edits import Weakening, weak

_ROOTFS = "runtime/rootfs.py"
_ROOT_LATE = (
    (
        "runtime/launcher_root.py",
        '(HOST_ROOT, _copy("/", MountAttr.RDONLY))',
        '(HOST_ROOT, _copy("/", MountAttr(0)))',
    ),
    (
        _ROOTFS,
        "    descriptor = os.open(NEW_ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)\n    move_mount(context.root, descriptor)\n",
        "    os.chroot('/.sampan-host-root')\n    os.chdir('/')\n    descriptor = os.open(b'/mnt', os.O_PATH | os.O_DIRECTORY)\n    move_mount(context.root, descriptor)\n    try:\n        os.symlink('/proc/self/fd', '/mnt/dev/fd')\n    except OSError:\n        pass\n    return\n",
    ),
    (
        _ROOTFS,
        "    encoded = os.fsencode(path)\n    try:\n        return openat2(root, encoded, os.O_PATH, _INSIDE)\n",
        "    encoded = os.fsencode(path)\n    if encoded.startswith(b'/'):\n        joined = b'/mnt' + encoded\n        os.makedirs(joined if directory else os.path.dirname(joined), exist_ok=True)\n        if not directory:\n            os.close(os.open(joined, os.O_CREAT | os.O_WRONLY, 0o755))\n        return os.open(joined, os.O_PATH)\n    try:\n        return openat2(root, encoded, os.O_PATH, _INSIDE)\n",
    ),
    (
        "runtime/execute.py",
        "    from_root = os.fsencode(path)\n",
        "    try:\n        os.makedirs('/mnt' + path, exist_ok=True)\n    except OSError:\n        pass\n    os.chroot('/mnt')\n    os.chdir('/')\n    return\n    from_root = os.fsencode(path)\n",
    ),
)
"""Init stands in the machine's own root, to which it joins the paths of the image, and enters the container's when all is made."""

_FROM_OUTSIDE = (
    (
        "transfer/process.py",
        "        setns(descriptors[0], Clone.NEWNS)\n",
        "        home = os.open('/proc/self/ns/mnt', os.O_RDONLY)\n        setns(descriptors[0], Clone.NEWNS)\n",
    ),
    (
        "transfer/process.py",
        "    become_root(root)\n",
        "    if order['running']:\n        setns(home, Clone.NEWNS)\n        isolate()\n    move_mount(root, os.open('/mnt', os.O_PATH | os.O_DIRECTORY))\n",
    ),
    ("transfer/process.py", "            _uncover(place)\n", "            pass\n"),
    (
        "transfer/process.py",
        '    top = os.open("/", os.O_PATH | os.O_DIRECTORY)\n',
        '    top = os.open("/mnt", os.O_PATH | os.O_DIRECTORY)\n',
    ),
    (
        "transfer/process.py",
        '    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)\n',
        '    top = os.open("/mnt", os.O_RDONLY | os.O_DIRECTORY)\n',
    ),
    ("transfer/places.py", "_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS", "_INSIDE = Resolve(0)"),
    (
        "files/root.py",
        "_IN_ROOT = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS",
        "_IN_ROOT = Resolve(0)",
    ),
)
"""A porter that stays in the machine's root and walks the container's paths from there."""

PATHS: tuple[Weakening, ...] = (
    weak(
        "paths of an image are joined to the root's, which is entered last",
        "test_sec_cve_2015_3627 test_sec_cve_2015_3629_restart test_sec_cve_2019_18837 test_sec_cve_2024_9341 test_sec_cve_2025_9566 test_sec_cve_2026_41579 test_sec_cve_2026_55686",
        *_ROOT_LATE,
    ),
    weak(
        "a mount's place is looked up again when it is mounted",
        "test_sec_cve_2021_30465_paused",
        (
            _ROOTFS,
            "        move_mount(tree, target)\n    except OSError as error:\n",
            "        move_mount(tree, os.open(destination, os.O_PATH))\n    except OSError as error:\n",
        ),
    ),
    weak(
        "where /proc of an image is a link ours stands elsewhere",
        "test_sec_cve_2019_19921",
        (
            _ROOTFS,
            '            message = f"{destination} in the image is not a directory (a symbolic link is refused)"\n            raise StepFailed("bad-mount", message, error.errno or 0) from error\n',
            '            return make_place(context.root, "/elsewhere", directory=True)\n',
        ),
    ),
    weak(
        "the working directory was opened before the pivot",
        "test_sec_cve_2024_21626_the_working_directory_is_inside",
        (
            _ROOTFS,
            "    os.fchdir(context.root)\n",
            "    os.dup2(os.open('/', os.O_RDONLY | os.O_DIRECTORY), 63)\n    os.fchdir(context.root)\n",
        ),
        ("runtime/execute.py", "        os.fchdir(descriptor)\n", "        os.fchdir(63)\n"),
        ("runtime/execute.py", '    if not os.getcwdb().startswith(b"/"):\n', "    if False:\n"),
    ),
    weak(
        "an exec finds its directory when it is inside, through links of /proc, with descriptors of ours",
        "test_sec_cve_2024_21626_exec",
        (
            "runtime/init.py",
            '        _take(journal, context, plan["enter"])\n        _cross(channel)\n',
            '        _cross(channel)\n        _take(journal, context, plan["enter"])\n',
        ),
        (
            "runtime/execute.py",
            "Resolve.IN_ROOT | Resolve.NO_MAGICLINKS)\n        os.fchdir",
            "Resolve(0))\n        os.fchdir",
        ),
        (
            "runtime/execute.py",
            '    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)\n    try:\n        flags',
            '    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)\n    for number in range(3, 24):\n        try:\n            os.fstat(number)\n        except OSError:\n            os.dup2(root, number)\n    try:\n        flags',
        ),
    ),
    weak(
        "an exec holds a directory of the host on its way in",
        "test_sec_cve_2016_9962_with_ptrace_nothing_of_the_host_is_held",
        (
            "runtime/init.py",
            "        context.stdio = stdio\n",
            "        context.stdio = stdio\n        os.open('/.sampan-host-root/etc', os.O_RDONLY | os.O_DIRECTORY)\n",
        ),
        (
            "runtime/init.py",
            "        _cross(channel)\n        _become_the_program(channel, context, False)\n",
            "        _cross(channel)\n        __import__('time').sleep(1)\n        _become_the_program(channel, context, False)\n",
        ),
    ),
    # files into and out of containers
    weak(
        "a porter stays outside and follows the container's links",
        "test_sec_cve_2018_15664_out test_sec_cve_2018_15664_in test_sec_cve_2021_41089 test_sec_cve_2026_42306",
        *_FROM_OUTSIDE,
    ),
    weak(
        "a porter looks a path up twice",
        "test_sec_cve_2018_15664_paused",
        (
            "transfer/process.py",
            "    top = _opened(parent, name)\n    status = os.fstat(top)",
            "    parent, name = open_parent(root, place)\n    top = _opened(parent, name)\n    status = os.fstat(top)",
        ),
    ),
    weak(
        "a porter runs the image's own program to unpack",
        "test_sec_cve_2019_14271_nothing_of_the_container_is_loaded test_sec_cve_2026_41567",
        (
            "transfer/process.py",
            "    give_up(means, _LIMIT)\n",
            "    os.system('/usr/bin/xz')\n    give_up(means, _LIMIT)\n",
        ),
    ),
    weak(
        "a walk follows links",
        "test_sec_cve_2023_0778",
        (
            "files/walk.py",
            "_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW",
            "_READABLE = os.O_RDONLY | os.O_DIRECTORY",
        ),
        ("files/walk.py", "_ACROSS = Resolve.BENEATH | Resolve.NO_SYMLINKS", "_ACROSS = Resolve(0)"),
        ("files/walk.py", "_PLAIN = _ACROSS | Resolve.NO_XDEV", "_PLAIN = _ACROSS"),
        ("files/walk.py", "dir_fd=current, follow_symlinks=False)", "dir_fd=current)"),
        (
            "snapshots/difference.py",
            "    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)",
            "    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=parent)",
        ),
    ),
    # builds
    weak(
        "sources of mounts are looked for from the machine's root",
        "test_sec_cve_2024_1753",
        (
            "files/root.py",
            'return openat2(self.fd, raw or b".", flags, _IN_ROOT, mode)',
            'return openat2(self.fd, raw or b".", flags, Resolve(0), mode)',
        ),
    ),
    weak(
        "places for mounts are removed by their paths",
        "test_sec_cve_2024_23652",
        (
            "snapshots/drafts.py",
            "        status = lstat(upper, path)\n        if status is not None and",
            "        try:\n            os.rmdir(os.path.join(os.fsencode(f'/proc/self/fd/{upper}'), path))\n        except OSError:\n            pass\n        status = lstat(upper, path)\n        if status is not None and",
        ),
    ),
    weak(
        "a context's links are the machine's",
        "test_sec_cve_2026_44517 test_sec_cve_2026_44517_links_of_a_context",
        (
            "build/tree/context.py",
            "        node = self._index.find(os.fsencode(path))\n        if node.children",
            "        link = self._index.find(os.fsencode(path), follow=False)\n        if link.kind == tar.SYMLINK:\n            return open(link.link, 'rb').read()\n        node = self._index.find(os.fsencode(path))\n        if node.children",
        ),
        ("build/tree/from_directory.py", "_INSIDE = Resolve.IN_ROOT | Resolve.NO_MAGICLINKS", "_INSIDE = Resolve(0)"),
    ),
)
