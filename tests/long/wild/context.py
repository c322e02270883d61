"""The directory that all Dockerfiles beside this are built from: what a project has lying about, the same bytes each time."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

from tests.archives import busybox_rootfs

_EPOCH = 1_700_000_000
"""Every file's time: what a compiler or an archive takes from one is the same in each build."""
_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""`security.capability`: cap_net_bind_service, effective and permitted (linux/capability.h, revision 2)."""

FILES = {
    ".dockerignore": "**/node_modules\n*.md\n!README.md\n.git\n**/*.pyc\n/secrets\n",
    ".git/HEAD": "ref: refs/heads/main\n",
    "README.md": "# Wild\n",
    "NOTES.md": "not sent\n",
    "secrets/key": "not sent\n",
    "requirements.txt": "django==4.2\ngunicorn==21.2\n",
    "manage.py": "import app.main\n",
    "app/__init__.py": "",
    "app/main.py": "print('hello')\n",
    "app/main.pyc": "not sent\n",
    "app/tests/test_main.py": "import app.main\n",
    "web/package.json": '{\n  "name": "web",\n  "dependencies": {\n    "left": "1",\n    "pad": "2"\n  }\n}\n',
    "web/package-lock.json": '{"lockfileVersion": 3}\n',
    "web/src/index.js": "require('./lib/util')\n",
    "web/src/lib/util.js": "module.exports = 1\n",
    "web/public/index.html": "<h1>it</h1>\n",
    "web/public/css/site.css": "body { color: red }\n",
    "web/node_modules/left/index.js": "not sent\n",
    "cmd/go.mod": "module example.com/hello\n\ngo 1.21\n",
    "cmd/go.sum": "",
    "cmd/main.c": '#include <stdio.h>\n#include "greet.h"\n#ifndef VERSION\n#define VERSION "dev"\n#endif\n'
    'int main(void) { printf("%s %s\\n", greet(), VERSION); return 0; }\n',
    "cmd/internal/greet.c": '#include "greet.h"\nconst char *greet(void) { return "hello"; }\n',
    "cmd/internal/greet.h": "const char *greet(void);\n",
    "conf/nginx.conf": "worker_processes auto;\n",
    "conf/default.conf": "server { listen 80; }\n",
    "conf/my.cnf": "[mysqld]\nskip-name-resolve\n",
    "conf/crontab": "0 3 * * * /usr/local/bin/backup\n",
    "conf/supervisord.conf": "[supervisord]\nnodaemon=true\n",
    "conf/capable": "#!/bin/true\n",
    "scripts/docker-entrypoint.sh": '#!/bin/sh\nset -e\nif [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi\nexec "$@"\n',
    "scripts/install.sh": "#!/bin/sh\necho install\n",
    "data/seed.sql": "CREATE TABLE t (id int);\n",
    "data/one": "the same file twice\n",
    "with space.txt": "spaces\n",
    "ünïcode.txt": "ünïcode\n",
}
_EXECUTABLE = ("scripts/docker-entrypoint.sh", "scripts/install.sh", "conf/capable", "manage.py")


def make(root: Path) -> None:
    """Fill the directory `root`."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o755 if name in _EXECUTABLE else 0o644)
    (root / "app" / "empty").mkdir()
    (root / "app" / "empty").chmod(0o700)
    (root / "data" / "two").hardlink_to(root / "data" / "one")
    (root / "current").symlink_to("app")
    (root / "link-to-file").symlink_to("app/main.py")
    (root / "app" / "dangling").symlink_to("/nowhere/at/all")
    (root / "conf" / "my.cnf").chmod(0o640)
    (root / "scripts" / "setuid").write_text("#!/bin/true\n")
    (root / "scripts" / "setuid").chmod(0o4755)
    _archives(root / "data")
    _package(root / "data" / "wild-tool.deb", root.parent / "package")
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (_EPOCH, _EPOCH), follow_symlinks=False)
    os.setxattr(root / "conf" / "capable", "security.capability", _CAPABILITY)


def _archives(data: Path) -> None:
    plain = _archive()
    (data / "archive.tar").write_bytes(plain)
    (data / "archive.tar.gz").write_bytes(gzip.compress(plain, mtime=0))
    (data / "archive.tar.bz2").write_bytes(bz2.compress(plain))
    (data / "archive.tar.xz").write_bytes(lzma.compress(plain))
    (data / "plain.gz").write_bytes(gzip.compress(b"no archive\n" * 100, mtime=0))
    (data / "rootfs.tar.gz").write_bytes(gzip.compress(busybox_rootfs(), 1, mtime=0))


def _archive() -> bytes:
    """Directories, owners, links, an executable: what a release has in it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **more: object) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.mtime, entry.mode = kind, len(content), _EPOCH, 0o644
            for member, value in more.items():
                setattr(entry, member, value)
            archive.addfile(entry, io.BytesIO(content))

        add("pkg", tarfile.DIRTYPE, mode=0o750)
        add("pkg/lib", tarfile.DIRTYPE, mode=0o755, uid=1000, gid=1001)
        add("pkg/lib/a.so", content=b"library", uid=1000, gid=1001)
        add("pkg/bin", content=b"#!/bin/true\n", mode=0o4755)
        add("pkg/again", tarfile.LNKTYPE, linkname="pkg/bin", mode=0o4755)
        add("pkg/link", tarfile.SYMTYPE, linkname="lib/a.so")
        add("made/for/it", content=b"its directories are not in the archive")
    return target.getvalue()


def _package(target: Path, tree: Path) -> None:
    """A Debian package with a program in it."""
    for name, text, mode in (
        ("DEBIAN/control", ("Package: wild-tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.com>\n"
         "Description: a tool\n"), 0o644),
        ("usr/bin/wild-tool", "#!/bin/sh\necho wild\n", 0o755),
    ):  # fmt: skip
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(mode)
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (_EPOCH, _EPOCH))
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(target)],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH)},
    )
