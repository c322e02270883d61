"""Dockerfiles of COPY, ADD and WORKDIR, a line each, and what differs between BuildKit's trees and ours."""

import gzip

from tests.unit.build.tree.archives import Content, packed

_TAR = packed({"d": None, "d/x": b"x", "link": "d/x"}).getvalue()

CONTEXT: dict[str, Content] = {
    "a.txt": b"a",
    "b.txt": b"b",
    "c.log": b"c",
    "dir": None,
    "dir/x.txt": b"x",
    "dir/sub": None,
    "dir/sub/y.log": b"y",
    "dir/empty": None,
    "dir/.hidden": b"h",
    "dir/up": "../a.txt",
    "link.txt": "a.txt",
    "linkdir": "dir",
    "rooted": "/dir/x.txt",
    "we [i]rd*": b"w",
    "arch.tar": _TAR,
    "arch.tgz": gzip.compress(_TAR),
    "deep/er/est/f": b"f",
    "x.d": None,
    "x.d/k": b"k",
    "zero": b"",
}

DOCUMENTS = {"passwd": "app:x:7:8::/:/bin/sh", "group": "web:x:9:"}
"""What heredocs of these names hold; others hold their name."""

SAME = r"""
COPY a.txt /
COPY a.txt /new
COPY a.txt /new/.
COPY a.txt b.txt /new/
COPY a.txt //x//y
COPY a.txt ../../x
COPY a.txt /d/./e/../f
COPY dir /
COPY dir /new
COPY dir/. /new
COPY dir/* /new/
COPY linkdir /new
COPY linkdir/x.txt /new
COPY link.txt /new/
COPY rooted /new/
COPY *.txt /new/
COPY [ab].txt /new/
COPY d*/*.txt /new/
COPY */sub /new/
COPY x.* /new/
COPY . /new
COPY nothing* /new/
COPY nothing /new/
COPY ../a.txt /new/
COPY a.txt/x /new/
COPY a.txt/ /new/
COPY ["we [[]i]rd*", "/new/"]
COPY --exclude=*.txt . /new
COPY --exclude=**/*.txt . /new
COPY --exclude=*.txt *.txt /new/
COPY --exclude=* dir* /new/
COPY --exclude=dir --exclude=!dir/sub/y.log . /new
COPY --exclude=*.log --exclude=x.txt dir x.d a.txt /new/
COPY --chmod=600 dir /new/
COPY --chmod=1777 dir /new/
COPY --chmod=4755 a.txt /one/two/
COPY --chmod=u=rwX,go=rX dir /new/
COPY --chmod=g=u,o-r a.txt /one/two
COPY --chmod=go-rwx,u+s dir /one/two
COPY --chmod=ug+s,o+t dir /all
COPY --chmod=+t dir /all
COPY --chmod==rw,+X dir /all
COPY --chmod=u+x+r-w dir /all
COPY --chmod=go=u-w dir /all
COPY --chmod=u=g+w dir /all
COPY --chmod=rwx dir /one/two
COPY --chmod=888 dir /one/two
COPY --chmod=77777 dir /one/two
COPY --chown=5:6 dir /one/two/
COPY --chown=5 dir link.txt /one/two/
COPY --chown=root a.txt /one/
COPY <<passwd <<group /etc/;COPY --chown=app a.txt /one/
COPY <<passwd <<group /etc/;COPY --chown=app:web a.txt /one/
COPY <<passwd <<group /etc/;USER app;WORKDIR /w
COPY --link dir /one
ADD arch.tar /new
ADD arch.tgz a.txt /new/
ADD --chown=5:6 arch.tar /new
ADD --chmod=700 arch.tar /new
ADD --unpack=false arch.tar /new
ADD *.t* /new/
ADD arch.tar /
COPY arch.tar /new
WORKDIR /a/b
WORKDIR /a;WORKDIR b;COPY a.txt .
WORKDIR /a;COPY dir ./x/
USER 5:6;WORKDIR /a/b
COPY a.txt /etc/passwd;USER nobody;WORKDIR /a/b
COPY a.txt /f;WORKDIR /f
COPY a.txt /f;COPY dir /f
COPY a.txt /f;COPY b.txt /f/
COPY dir /f;COPY a.txt /f/sub
COPY dir /f/x.txt/;COPY dir /f
COPY . /all;COPY a.txt /all/linkdir
COPY . /all;COPY x.d /all/linkdir
COPY . /all;COPY b.txt /all/link.txt
COPY . /all;COPY deep /all/link.txt
COPY . /all;COPY . /all
COPY . /;COPY x.d /linkdir/;WORKDIR /linkdir/w
COPY <<one <<two /new/
COPY --chmod=755 --chown=3:4 <<one /new
FROM scratch AS s;COPY --chown=7:8 . /t;FROM scratch;COPY --from=s /t /u
FROM scratch AS s;COPY --chown=7:8 . /t;FROM scratch;COPY --from=s --chown=0 / /
FROM scratch AS s;COPY . /;FROM scratch;COPY --from=s /rooted /u/
FROM scratch AS s;COPY . /t;FROM scratch;COPY --from=s t/nothing /u
"""
"""Lines of a Dockerfile with semicolons between; `FROM scratch` stands in front where no FROM does."""

DIFFERENT = {
    # Docker's reference says that it fails, and the classic builder does; BuildKit makes the files root's.
    "COPY a.txt /etc/passwd;COPY --chown=nobody a.txt /one/": "no such user: nobody",
    "COPY a.txt /etc/passwd;COPY --chown=5:nogroup a.txt /one/": "no such group: nogroup",
}
"""What BuildKit builds and we refuse, and why."""
