"""Addresses of git repositories: fragments, queries, and what is none."""

import pytest

from sampan.build.git_address import BadAddress, git_address
from sampan.build.operations import GitSource
from sampan.errors import NotImplementedHere


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/x.git", GitSource(repository="https://h/x.git")),
        ("https://h/x.git#main:a/b", GitSource(repository="https://h/x.git", reference="main", directory="a/b")),
        ("git@h:x#v1", GitSource(repository="git@h:x", reference="v1")),
        ("ssh://git@h/x", GitSource(repository="ssh://git@h/x")),
        ("https://h/x.git?ref=v1&subdir=a", GitSource(repository="https://h/x.git", reference="v1", directory="a")),
        ("https://h/x.git?tag=v1", GitSource(repository="https://h/x.git", reference="refs/tags/v1")),
        ("https://h/x.git?branch=b", GitSource(repository="https://h/x.git", reference="refs/heads/b")),
        ("https://h/x.git?checksum=abcdef1", GitSource(repository="https://h/x.git", checksum="abcdef1")),
        (
            "https://h/x.git?keep-git-dir&submodules=false",
            GitSource(repository="https://h/x.git", keep_git_dir=True, submodules=False),
        ),
        ("https://h/x.git?ref=v1#v1:a", GitSource(repository="https://h/x.git", reference="v1", directory="a")),
        ("https://h/x", None),
        ("https://h/x.git/info?y=.git", None),
        ("./x.git", None),
        ("", None),
    ],
)
def test_what_is_asked_for(text: str, expected: GitSource | None) -> None:
    assert git_address(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://h/x.git#--upload-pack=x", "invalid git reference"),
        ("https://h/x.git?ref=--upload-pack", "invalid git reference"),
        ("https://h/x.git#main:../../etc", "invalid git reference"),
        ("https://h/x.git?subdir=a/../../b", "invalid git reference"),
        ("https://h/x.git?ref=a#b", "ref conflicts"),
        ("https://h/x.git?tag=a&branch=b", "branch conflicts with tag"),
        ("https://h/x.git?ref=a&ref=b", "multiple values"),
        ("https://h/x.git?ref=", "has no value"),
        ("https://h/x.git?wonder=1", "unexpected query"),
        ("https://h/x.git?submodules=perhaps", "invalid submodules value"),
    ],
)
def test_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(BadAddress, match=words):
        git_address(text)


def test_times_of_the_checkout_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedHere, match="mtime=checkout"):
        git_address("https://h/x.git?mtime=checkout")
