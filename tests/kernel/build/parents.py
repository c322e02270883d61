"""`COPY --parents` as BuildKit carries it out, over the context of `tests.long.copies`.

Docker 28 does not know the flag without a front end of its own, so BuildKit was built of its source (of August 2026) and asked
once: trees, modes, owners, links, bytes and times were the same. What is kept here is which names came of each.
"""

TREES: dict[str, str | None] = {
    "COPY --parents a.txt /": "a.txt",
    "COPY --parents a.txt /new/": "new new/a.txt",
    "COPY --parents dir/x.txt /new/": "new new/dir new/dir/x.txt",
    "COPY --parents dir/sub/y.log dir/x.txt /new/": "new new/dir new/dir/sub new/dir/sub/y.log new/dir/x.txt",
    "COPY --parents dir /new/": (
        "new new/dir new/dir/.hidden new/dir/empty new/dir/sub new/dir/sub/y.log new/dir/up new/dir/x.txt"
    ),
    "COPY --parents dir/ /new/": (
        "new new/dir new/dir/.hidden new/dir/empty new/dir/sub new/dir/sub/y.log new/dir/up new/dir/x.txt"
    ),
    "COPY --parents dir/. /new/": (
        "new new/dir new/dir/.hidden new/dir/empty new/dir/sub new/dir/sub/y.log new/dir/up new/dir/x.txt"
    ),
    "COPY --parents dir/./sub /new/": "new new/sub new/sub/y.log",
    "COPY --parents dir/./sub/y.log /new/": "new new/sub new/sub/y.log",
    "COPY --parents ./dir/x.txt /new/": "new new/dir new/dir/x.txt",
    "COPY --parents dir/*.txt /new/": "new new/dir new/dir/x.txt",
    "COPY --parents **/*.txt /new/": "new new/a.txt new/b.txt new/dir new/dir/x.txt new/link.txt",
    "COPY --parents **/*.log /new/": "new new/c.log new/dir new/dir/sub new/dir/sub/y.log",
    "COPY --parents d*/*.txt /new/": "new new/dir new/dir/x.txt",
    "COPY --parents */sub /new/": "new new/dir new/dir/sub new/dir/sub/y.log",
    "COPY --parents deep/**/f /new/": "new new/deep new/deep/er new/deep/er/est new/deep/er/est/f",
    "COPY --parents deep/er/./est/f /new/": "new new/est new/est/f",
    "COPY --parents deep/er/./est /new/": "new new/est new/est/f",
    "COPY --parents deep/./**/f /new/": "new new/er new/er/est new/er/est/f",
    "COPY --parents --exclude=*.txt dir /new/": (
        "new new/dir new/dir/.hidden new/dir/empty new/dir/sub new/dir/sub/y.log new/dir/up new/dir/x.txt"
    ),
    "COPY --parents --chmod=700 dir/sub/y.log /new/": "new new/dir new/dir/sub new/dir/sub/y.log",
    "COPY --parents --chown=5:6 dir/sub/y.log /new/": "new new/dir new/dir/sub new/dir/sub/y.log",
    "COPY --parents linkdir/x.txt /new/": None,
    "COPY --parents linkdir /new/": "new new/linkdir",
    "COPY --parents link.txt /new/": "new new/link.txt",
    "COPY --parents rooted /new/": "new new/rooted",
    "COPY --parents dir/up /new/": "new new/dir new/dir/up",
    "COPY --parents nothing /new/": None,
    "COPY --parents nothing* /new/": "new",
    "COPY --parents dir/./nothing /new/": None,
    "COPY --parents ../a.txt /new/": "new new/a.txt",
    "COPY --parents dir/x.txt /new": "new new/dir new/dir/x.txt",
    "COPY --parents dir/x.txt x.d/k /one/two/": "one one/two one/two/dir one/two/dir/x.txt one/two/x.d one/two/x.d/k",
    "COPY --parents dir/x.txt ./": "dir dir/x.txt",
    "WORKDIR /w;COPY --parents dir/x.txt .": "w w/dir w/dir/x.txt",
    "COPY dir /new/dir;COPY --parents dir/sub/y.log /new/": (
        "new new/dir new/dir/.hidden new/dir/empty new/dir/sub new/dir/sub/y.log new/dir/up new/dir/x.txt"
    ),
    "COPY a.txt /new/dir;COPY --parents dir/sub/y.log /new/": None,
    "FROM scratch AS s;COPY . /t;FROM scratch;COPY --parents --from=s t/dir/x.txt /u/": "u u/t u/t/dir u/t/dir/x.txt",
    "FROM scratch AS s;COPY . /t;FROM scratch;COPY --parents --from=s /t/dir/x.txt /u/": "u u/t u/t/dir u/t/dir/x.txt",
    "FROM scratch AS s;COPY . /t;FROM scratch;COPY --parents --from=s /t/./dir/x.txt /u/": "u u/dir u/dir/x.txt",
    "FROM scratch AS s;COPY . /t;FROM scratch;COPY --parents --from=s /t/dir/./sub /t/**/k /u/": (
        "u u/sub u/sub/y.log u/t u/t/x.d u/t/x.d/k"
    ),
    "FROM scratch AS s;COPY . /t;FROM scratch;COPY --parents --from=s t/nothing /u/": None,
}
"""The names of the tree by the Dockerfile (semicolons between its lines); None: it is refused."""

OURS_ALONE = (
    "COPY --parents . /new/",
    "COPY --parents ./ /new/",
    "COPY --parents --exclude=**/*.txt . /new/",
    "COPY --parents --exclude=dir/sub . /new/",
)
"""The whole context: BuildKit does not find it (`"/": not found`), here it is what it says."""
