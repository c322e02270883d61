import pytest

from sampan.dockerfile.arguments import StageScope, global_scope, platform_text
from sampan.dockerfile.faults import DockerfileError
from sampan.dockerfile.instructions import Arg
from sampan.dockerfile.mounts import parse_mount
from sampan.dockerfile.parse import parse
from sampan.dockerfile.stages import BaseImage, link, needed, parse_trigger, target_stage
from sampan.spec.oci_image import ImageConfig, Platform
from tests.golden.rendering import MACHINES


def needs(text: str, target: str = "") -> list[int]:
    dockerfile = parse(text)
    return needed(link(dockerfile, global_scope(dockerfile, {}, MACHINES)), target_stage(dockerfile, target))


def test_only_what_a_target_needs() -> None:
    text = "FROM x AS a\nFROM a AS b\nFROM x AS c\nFROM x AS d\nCOPY --from=b / /\nRUN --mount=from=c,target=/c true\nFROM x AS e"
    assert needs(text) == [4]
    assert needs(text, "d") == [0, 1, 2, 3]
    assert needs(text, "B") == [0, 1]
    assert needs(text, "2") == [2]


def test_an_image_brings_its_triggers() -> None:
    dockerfile = parse("FROM x AS a\nFROM trigger")
    links = link(dockerfile, {}, {BaseImage("trigger"): ["COPY --from=a / /", "RUN true"]})
    assert [instruction.name for instruction in links[1].instructions] == ["COPY", "RUN"]
    assert needed(links, dockerfile.stages[1]) == [0, 1]


@pytest.mark.parametrize("text", ["RUN a\nRUN b", "", "FOO"])
def test_a_trigger_is_one_instruction(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse_trigger(text)


def test_what_is_given_wins_over_defaults_and_platforms() -> None:
    dockerfile = parse("ARG A=1\nARG B=$A\nFROM $A$B$TARGETPLATFORM AS last")
    assert global_scope(dockerfile, {}, MACHINES)["B"] == "1"
    scope = global_scope(dockerfile, {"A": "2", "TARGETARCH": "x", "UNUSED": "y"}, MACHINES)
    assert (scope["A"], scope["B"], scope["TARGETARCH"], scope["TARGETSTAGE"]) == ("2", "2", "x", "last")
    assert "UNUSED" not in scope


def test_the_scope_of_a_stage() -> None:
    scope = StageScope({"OUTER": "o", "TARGETOS": "linux"}, {"GIVEN": "g"}, "\\")
    config = ImageConfig(env=["HIDDEN=env", "NOVALUE"])
    instruction = parse("FROM a\nARG GIVEN=d OUTER DEFAULT=$OUTER-$HIDDEN HIDDEN=arg NONE").stages[0].instructions[0]
    assert isinstance(instruction, Arg)
    assert scope.declare(instruction, config) == set()
    expected = {"GIVEN": "g", "OUTER": "o", "DEFAULT": "o-env", "HIDDEN": "env"}
    assert scope.variables(config) == expected
    assert "NONE" in scope.declared


def test_platforms_as_text() -> None:
    assert platform_text(Platform(os="linux", architecture="arm", variant="v7")) == "linux/arm/v7"


def test_mounts() -> None:
    def upper(text: str) -> str:
        return text.replace("$X", "/x")

    mount = parse_mount("type=cache,target=$X,id=i,sharing=Locked,mode=0750,uid=1,gid=2,from=a,source=b", upper)
    assert (mount.type, mount.target, mount.sharing, mount.mode, mount.uid, mount.gid) == (
        "cache",
        "/x",
        "locked",
        0o750,
        1,
        2,
    )
    assert (mount.origin, mount.source, mount.identity, mount.read_only) == ("a", "b", "i", False)
    assert parse_mount("target=/x", upper).read_only
    assert not parse_mount("target=/x,rw", upper).read_only
    assert not parse_mount("target=/x,ro=false", upper).read_only
    assert parse_mount("type=tmpfs,dst=/x,size=1.5g", upper).size == 3 << 29
    assert parse_mount("type=secret,id=s,env=E,required=true", upper).variable == "E"
