import pytest

from sampan.build.planning import Wish, plan
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import BaseImage
from sampan.spec.oci_image import ImageConfig
from tests.golden.rendering import MACHINES


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("RUN echo hi", "RUN /bin/sh -c echo hi # buildkit"),
        ('RUN ["a", "b c"]', "RUN a b c # buildkit"),
        ("ARG X=1", "ARG X=1"),
        ("ARG X", "ARG X"),
        ("ENV A=b C='d e'", "ENV A=b C=d e"),
        ("ENV OLD style value", "ENV OLD=style value"),
        ("LABEL a=b", "LABEL a=b"),
        ("COPY --chown=1:2 --chmod=644 a b /c/", "COPY --chown=1:2 --chmod=644 a b /c/ # buildkit"),
        ("ADD --link a /c/", "ADD --link a /c/ # buildkit"),
        ('CMD ["x", "a \\"b\\""]', 'CMD ["x" "a \\"b\\""]'),
        ("CMD x y", 'CMD ["/bin/sh" "-c" "x y"]'),
        ('ENTRYPOINT ["e"]', 'ENTRYPOINT ["e"]'),
        ('SHELL ["/bin/ash", "-c"]', "SHELL [/bin/ash -c]"),
        ("EXPOSE 80 53/udp", "EXPOSE [53/udp 80/tcp]"),
        ("VOLUME /a /b", "VOLUME [/a /b]"),
        ("USER me", "USER me"),
        ("WORKDIR sub", "WORKDIR /base/sub"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGTERM"),
        ("MAINTAINER somebody", "MAINTAINER somebody"),
        (
            "HEALTHCHECK --interval=90s --timeout=1500ms --retries=3 CMD c",
            'HEALTHCHECK &{["CMD-SHELL" "c"] "1m30s" "1500ms" "0s" "0s" \'\\x03\'}',
        ),
    ],
)
def test_wording(line: str, told: str) -> None:
    graph = plan(parse(f"FROM a\n{line}\n"), Wish(MACHINES), {BaseImage("a"): ImageConfig(working_dir="/base")})
    assert [entry.text for entry in graph.targets[0].history] == [told]


def test_triggers_leave_no_entry() -> None:
    graph = plan(parse("FROM a\nONBUILD RUN x\n"), Wish(MACHINES), {BaseImage("a"): ImageConfig()})
    assert graph.targets[0].history == ()


def test_arguments_are_counted() -> None:
    text = "FROM a\nARG ONE=1\nARG TWO\nARG THREE\nRUN x\n"
    graph = plan(parse(text), Wish(MACHINES, given={"TWO": "2"}), {BaseImage("a"): ImageConfig()})
    assert graph.targets[0].history[-1].text == "RUN |2 ONE=1 TWO=2 /bin/sh -c x # buildkit"


def test_what_changes_files_names_its_vertex() -> None:
    text = "FROM a AS one\nRUN x\nENV A=1\nFROM one\nCOPY f /\nWORKDIR /d\n"
    graph = plan(parse(text), Wish(MACHINES), {BaseImage("a"): ImageConfig()})
    kinds = [
        type(graph.vertices[one.tree].operation).__name__ if one.tree is not None else ""
        for one in graph.targets[0].history
    ]
    assert kinds == ["Run", "", "Copy", "MakeDirectory"]
