from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from sampan.build import operations as does
from sampan.build.operations import Graph, Operation
from sampan.build.planning import NamedContext, Wish, missing_images, plan, plan_all
from sampan.build.reporting import titles
from sampan.dockerfile.arguments import Machines
from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import BaseImage
from sampan.spec.oci_image import ImageConfig
from tests.golden.rendering import MACHINES

IMAGES = {BaseImage("a"): ImageConfig(env=["PATH=/bin"]), BaseImage("b"): ImageConfig(working_dir="/w", user="u")}
GOOD = sorted((Path(__file__).parents[2] / "golden" / "good").glob("*.dockerfile"))


def planned(text: str, target: str = "", images: Mapping[BaseImage, ImageConfig] = IMAGES, **given: str) -> Graph:
    return plan(parse(text), Wish(MACHINES, target, given), images)


def operations(graph: Graph) -> list[Operation]:
    return [vertex.operation for vertex in graph.vertices]


T = TypeVar("T", bound=Operation)


def one(graph: Graph, kind: type[T]) -> T:
    (found,) = [operation for operation in operations(graph) if isinstance(operation, kind)]
    return found


def test_a_small_file() -> None:
    graph = planned('FROM a\nENV X=1\nRUN echo\nCOPY f /d/\nCMD ["c"]')
    assert operations(graph) == [
        does.ImageSource(reference="a", platform="linux/arm64"),
        does.Run(
            arguments=("/bin/sh", "-c", "echo"), environment=("PATH=/bin", "X=1"), directory="/", user="",
            network="default", security="sandbox",
        ),
        does.ContextSource(paths=("f",)),
        does.Copy(paths=(("f",),), destination="/d/"),
        does.Metadata(
            config=ImageConfig(env=["PATH=/bin", "X=1"], cmd=["c"]),
            history=("ENV X=1", "RUN /bin/sh -c echo # buildkit", "COPY f /d/ # buildkit", 'CMD ["c"]'),
        ),
    ]  # fmt: skip
    assert [vertex.inputs for vertex in graph.vertices] == [(), (0,), (), (1, 2), (3,)]
    assert graph.targets[0].result == 4
    assert [(step.text, step.tree) for step in graph.targets[0].steps["0"]] == [
        ("FROM a", 0), ("ENV X=1", 0), ("RUN echo", 1), ("COPY f /d/", 3), ('CMD ["c"]', 3),
    ]  # fmt: skip
    assert set(graph.sources) == {0, 2}


def test_stages_that_are_not_needed_are_not_there() -> None:
    text = "FROM a AS one\nRUN 1\nFROM missing AS two\nRUN 2\nFROM b AS three\nCOPY --from=one /x /y\n"
    graph = planned(text)
    assert [vertex.stage for vertex in graph.vertices] == ["one", "one", "three", "three", "three"]
    assert set(graph.targets[0].steps) == {"one", "three"}
    assert missing_images(parse(text), Wish(MACHINES), {}) == [BaseImage("a"), BaseImage("b")]
    assert missing_images(parse(text), Wish(MACHINES, "two"), IMAGES) == [BaseImage("missing")]


def test_what_two_stages_share_is_there_once() -> None:
    graph = planned(
        "FROM a AS x\nRUN 1\nFROM a AS y\nRUN 1\nRUN 2\nFROM scratch\nCOPY --from=x /1 /\nCOPY --from=y /2 /"
    )
    runs = [operation for operation in operations(graph) if isinstance(operation, does.Run)]
    assert [run.arguments[-1] for run in runs] == ["1", "2"]


def test_labels_change_no_tree() -> None:
    before, after = (planned(f"FROM a\nLABEL x={value}\nRUN 1") for value in (1, 2))
    assert before.vertices[1] == after.vertices[1]
    assert before.vertices[-1] != after.vertices[-1]


def test_bases() -> None:
    assert isinstance(operations(planned("FROM scratch"))[0], does.EmptySource)
    assert isinstance(operations(planned("FROM host"))[0], does.HostSource)
    images = {BaseImage("a", "linux/amd64"): ImageConfig()}
    assert operations(planned("FROM --platform=$BUILDPLATFORM a", images=images))[0] == does.ImageSource(
        reference="a", platform="linux/amd64"
    )
    assert missing_images(parse("FROM scratch\nFROM host"), Wish(MACHINES), {}) == []


def test_the_triggers_of_an_image_come_first_and_may_need_more() -> None:
    text = "FROM missing AS extra\nFROM t\nRUN mine"
    images = {BaseImage("t"): ImageConfig(on_build=["RUN its", "COPY --from=extra / /"])}
    assert missing_images(parse(text), Wish(MACHINES), {}) == [BaseImage("t")]
    assert missing_images(parse(text), Wish(MACHINES), images) == [BaseImage("missing")]
    graph = planned(text, images={**images, BaseImage("missing"): ImageConfig()})
    assert [step.text for step in graph.targets[0].steps["1"]] == [
        "FROM t",
        "RUN its",
        "COPY --from=extra / /",
        "RUN mine",
    ]
    assert one(graph, does.Metadata).config.on_build is None


def test_arguments_are_in_the_environment_of_what_runs_and_not_of_the_image() -> None:
    graph = planned("ARG G=g\nFROM a\nARG G N=n\nRUN x", N="given")
    assert one(graph, does.Run).environment == ("G=g", "N=given", "PATH=/bin")
    assert one(graph, does.Metadata).config.env == ["PATH=/bin"]


def test_labels_of_the_wish_go_on_the_target() -> None:
    wish = Wish(MACHINES, labels={"l": "wish", "m": "1"})
    graph = plan(parse("FROM a\nLABEL l=file"), wish, IMAGES)
    assert one(graph, does.Metadata).config.labels == {"l": "wish", "m": "1"}


def test_heredocs() -> None:
    run = one(planned("FROM a\nRUN <<EOF\necho $X\nEOF"), does.Run)
    assert (run.arguments, run.script) == (("/bin/sh", "-c", "echo $X\n"), None)
    run = one(planned("FROM a\nRUN cat <<A <<B\na\nA\nb\nB"), does.Run)
    assert run.arguments[-1] == "cat <<A <<B\na\nA\nb\nB"
    run = one(planned("FROM a\nRUN <<-P\n\t#!/bin/x\n\ty\n\tP"), does.Run)
    assert run.arguments[-1] == "#!/bin/x\ny\n"
    run = one(planned("FROM a\nRUN <<P\n#!/bin/x\ny\nP"), does.Run)
    assert (run.arguments[-1], run.script) == ("/dev/pipes/P", ("P", "#!/bin/x\ny\n"))
    graph = planned("FROM b\nARG V=v\nCOPY f <<x <<'y' ./\n$V\nx\n$V\ny")
    assert one(graph, does.DocumentSource).files == (("x", "v\n"), ("y", "$V\n"))
    assert one(graph, does.Copy) == does.Copy(paths=(("f",), ("x", "y")), destination="/w/")


def test_what_is_added() -> None:
    graph = planned("FROM a\nADD --checksum=sha256:" + "0" * 64 + " https://x/y /z\nADD --unpack=false a.tar /")
    assert one(graph, does.UrlSource) == does.UrlSource(url="https://x/y", checksum="sha256:" + "0" * 64)
    copies = [operation for operation in operations(graph) if isinstance(operation, does.Copy)]
    assert [(copy.paths, copy.unpack) for copy in copies] == [(((".",),), None), ((("a.tar",),), False)]
    graph = planned("FROM a\nADD --keep-git-dir https://x/r.git#main:sub git@h:r.git f /z/")
    repositories = [operation for operation in operations(graph) if isinstance(operation, does.GitSource)]
    assert repositories == [
        does.GitSource(repository="https://x/r.git", reference="main", directory="sub", keep_git_dir=True),
        does.GitSource(repository="git@h:r.git", keep_git_dir=True),
    ]


def test_work_directories_are_made_by_whom_steps_run_as() -> None:
    graph = planned("FROM a\nUSER u\nWORKDIR /x\nWORKDIR y\nWORKDIR /")
    made = [operation for operation in operations(graph) if isinstance(operation, does.MakeDirectory)]
    assert made == [does.MakeDirectory(path="/x", user="u"), does.MakeDirectory(path="/x/y", user="u")]


def test_mounts() -> None:
    text = (
        "FROM a AS s\nFROM b\nARG T=t\nRUN --mount=from=s,source=/x,target=$T --mount=type=cache,target=/c "
        "--mount=target=/ctx,source=d --mount=type=secret,id=i --mount=type=tmpfs,target=/t x"
    )
    graph = planned(text)
    run = one(graph, does.Run)
    assert [(mount.type, mount.target, mount.input) for mount in run.mounts] == [
        ("bind", "/w/t", 1), ("cache", "/c", -1), ("bind", "/ctx", 2), ("secret", "", -1), ("tmpfs", "/t", -1),
    ]  # fmt: skip
    assert one(graph, does.ContextSource).paths == ("d",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN --mount=type=cache,target=/ x", 'invalid mount target "/"'),
        ("RUN --mount=type=cache,target=a/.. x", 'invalid mount target "a/.."'),
        ("RUN --mount=type=tmpfs x", 'invalid mount target ""'),
        ("COPY a b /c", "the destination must be a directory and end with a /"),
        ("ADD --checksum=sha256:x a /", "checksum can't be specified for local sources"),
        ("ADD --checksum=sha256:x http://a/b http://a/c /d/", "checksum can't be specified for multiple sources"),
        ("ADD --checksum=sha256:x http://a/b /", 'invalid checksum "sha256:x"'),
        ("ADD https://a/b.git#--upload-pack=x /", "invalid git reference"),
        ("ADD https://a/b.git#main:../../etc /", "invalid git reference"),
    ],
)
def test_refused(line: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        planned(f"FROM a\n{line}")
    assert message in caught.value.message
    assert caught.value.at is not None
    assert caught.value.at.start.line == 2


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_the_corpus_can_be_planned(file: Path) -> None:
    dockerfile = parse(file.read_bytes().decode())
    images: dict[BaseImage, ImageConfig] = {}
    while missing := missing_images(dockerfile, Wish(MACHINES), images):
        images |= dict.fromkeys(missing, ImageConfig())
    graph = plan(dockerfile, Wish(MACHINES), images)
    assert all(place < number for number, vertex in enumerate(graph.vertices) for place in vertex.inputs)
    assert isinstance(graph.vertices[graph.targets[0].result].operation, does.Metadata)


def test_a_secret_does_not_come_from_the_plan() -> None:
    graph = planned("FROM a\nRUN --mount=type=secret,id=token,env=TOKEN x", TOKEN="a value that nobody declared")
    assert one(graph, does.Run).mounts[0].variable == "TOKEN"
    assert "nobody declared" not in repr(graph)


def with_contexts(text: str, **contexts: NamedContext) -> Graph:
    return plan(parse(text), Wish(MACHINES, contexts=contexts), IMAGES)


def test_a_named_context_stands_for_an_image() -> None:
    wish = Wish(MACHINES, contexts={"other": NamedContext(image="b"), "files": NamedContext()})
    text = "FROM Other\nCOPY --from=files x /\nCOPY --from=files x /"
    assert missing_images(parse(text), wish, {}) == [BaseImage("b")]
    graph = plan(parse(text), wish, IMAGES)
    assert one(graph, does.ImageSource).reference == "b"
    assert one(graph, does.Metadata).config.user == "u"
    assert one(graph, does.ContextSource) == does.ContextSource(paths=(".",), name="files")


def test_a_named_context_stands_for_a_stage() -> None:
    graph = with_contexts("FROM a AS base\nRUN false\nFROM base\nCOPY --from=base x /", base=NamedContext(image="b"))
    assert one(graph, does.ImageSource).reference == "b"
    assert not [operation for operation in operations(graph) if isinstance(operation, does.Run)]


def test_files_that_came_along_are_a_base() -> None:
    graph = with_contexts("FROM root", root=NamedContext())
    assert operations(graph)[:3] == [
        does.ContextSource(paths=(".",), name="root"),
        does.EmptySource(),
        does.Copy(paths=((".",),), destination="/"),
    ]
    assert graph.vertices[2].inputs == (1, 0)


def test_a_repository_is_a_context() -> None:
    graph = with_contexts("FROM a\nCOPY --from=src x /", src=NamedContext(repository="https://x/y.git#main:sub"))
    assert one(graph, does.GitSource).directory == "sub"


HOME = Machines(MACHINES.build, MACHINES.build)


def both(text: str, images: Mapping[BaseImage, ImageConfig] = IMAGES) -> Graph:
    return plan_all(parse(text), [(Wish(HOME), images), (Wish(MACHINES), images)])


def test_what_two_platforms_have_in_common_is_there_once() -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM a AS tool\nRUN tool\n"
        "FROM --platform=$BUILDPLATFORM a AS cross\nARG TARGETARCH\nRUN cross\n"
        "FROM scratch\nCOPY --from=tool /t /\nCOPY --from=cross /c /\n"
    )
    graph = both(text, {**IMAGES, BaseImage("a", "linux/amd64"): ImageConfig()})
    runs = [vertex.operation for vertex in graph.vertices if isinstance(vertex.operation, does.Run)]
    assert [run.arguments[-1] for run in runs] == ["tool", "cross", "cross"]
    assert [run.environment[-1] for run in runs[1:]] == ["TARGETARCH=amd64", "TARGETARCH=arm64"]
    first, second = graph.targets
    assert (first.platform, second.platform) == (HOME.target, MACHINES.target)
    shared = set(graph.below(first.result)) & set(graph.below(second.result))
    assert runs[0] in [graph.vertices[place].operation for place in shared]
    assert titles(graph)[1:3] == ["[tool 2/2] RUN tool", "[linux/amd64 cross 2/2] RUN cross"]


def test_a_base_is_that_of_its_platform() -> None:
    graph = both("FROM a\nFROM --platform=linux/386 b", {**IMAGES, BaseImage("b", "linux/386"): ImageConfig()})
    found = {v.operation.platform for v in graph.vertices if isinstance(v.operation, does.ImageSource)}
    assert found == {"linux/386"}
    (place,) = {target.result for target in graph.targets}
    assert isinstance(graph.bottom(place), does.ImageSource)
    text = "FROM --platform=$BUILDPLATFORM x\nFROM --platform=$TARGETPLATFORM x\nCOPY --from=0 / /"
    assert missing_images(parse(text), Wish(MACHINES), {}) == [
        BaseImage("x", "linux/amd64"),
        BaseImage("x", "linux/arm64"),
    ]
