import pytest

from sampan.errors import InvalidParameter
from sampan.images.changes import apply_changes
from sampan.spec.oci_image import Empty, Healthcheck, ImageConfig


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('CMD ["a", "b c"]', ImageConfig(cmd=["a", "b c"])),
        ("CMD a b", ImageConfig(cmd=["/bin/sh", "-c", "a b"])),
        ("cmd a", ImageConfig(cmd=["/bin/sh", "-c", "a"])),
        ('ENTRYPOINT ["x"]', ImageConfig(entrypoint=["x"])),
        ("ENV A=b", ImageConfig(env=["A=b"])),
        ("ENV A b c", ImageConfig(env=["A=b c"])),
        ('ENV A="b c" D=e\\ f', ImageConfig(env=["A=b c", "D=e f"])),
        ("ENV A=b\nENV C=$A/${A}x", ImageConfig(env=["A=b", "C=b/bx"])),
        ("ENV A='$B'", ImageConfig(env=["A=$B"])),
        ("ENV A=${B:-default} C=${B:+set}", ImageConfig(env=["A=default", "C="])),
        ("EXPOSE 80 53/udp 8000-8001", ImageConfig(exposed_ports=dict.fromkeys(
            ["80/tcp", "53/udp", "8000/tcp", "8001/tcp"], Empty()))),
        ('LABEL a=b "c d"="e f"', ImageConfig(labels={"a": "b", "c d": "e f"})),
        ("USER nobody:nogroup", ImageConfig(user="nobody:nogroup")),
        ('VOLUME ["/a", "/b"]', ImageConfig(volumes={"/a": Empty(), "/b": Empty()})),
        ("VOLUME /a /b", ImageConfig(volumes={"/a": Empty(), "/b": Empty()})),
        ("WORKDIR /a\nWORKDIR b/../c", ImageConfig(working_dir="/a/c")),
        ("STOPSIGNAL SIGINT", ImageConfig(stop_signal="SIGINT")),
        ("ONBUILD RUN x", ImageConfig(on_build=["RUN x"])),
        ("HEALTHCHECK NONE", ImageConfig(healthcheck=Healthcheck(test=["NONE"]))),
        ("HEALTHCHECK --interval=1m30s --retries=3 CMD test -e /x",
         ImageConfig(healthcheck=Healthcheck(test=["CMD-SHELL", "test -e /x"], interval=90 * 10**9, retries=3))),
        ('HEALTHCHECK CMD ["a"]', ImageConfig(healthcheck=Healthcheck(test=["CMD", "a"]))),
        ("ENV A=${B:-x.tar.gz} \\\n C=1\nENV D=${A%.gz} E=${A%%.*} F=${A/tar/zip}",
         ImageConfig(env=["A=x.tar.gz", "C=1", "D=x.tar", "E=x", "F=x.zip.gz"])),
        ('ENV A "b" c', ImageConfig(env=["A=b c"])),
        ('ENTRYPOINT ["x"]\nCMD ["y"]', ImageConfig(entrypoint=["x"], cmd=["y"])),
        ("# a comment", ImageConfig()),
    ],
)  # fmt: skip
def test_instructions(line: str, expected: ImageConfig) -> None:
    assert apply_changes(ImageConfig(), [line]) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("FROM x", "FROM is not a valid change command"),
        ("CMD", "CMD requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=b C", "can't find = in"),
        ("ENV A='b", "unexpected end of statement"),
        ("ENV A=${B*x}", "unsupported modifier"),
        ('ENV A="${B:?is missing}"', "B: is missing"),
        ("CMD [1]", "arrays must be comprised of strings only"),
        ("ADD", "ADD requires at least two arguments"),
        ("UNKNOWN x", "unknown instruction: UNKNOWN"),
        ("EXPOSE http", "invalid containerPort: http"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE 9-8", "invalid containerPort: 9-8"),
        ("ONBUILD ONBUILD x", "Chaining ONBUILD"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK RUN x", 'Unknown type "RUN" in HEALTHCHECK'),
        ("HEALTHCHECK --colour=red CMD x", "unknown flag: --colour"),
        ("HEALTHCHECK --interval=soon CMD x", "invalid duration"),
        ('VOLUME [""]', "can not be an empty string"),
    ],
)
def test_refused(line: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        apply_changes(ImageConfig(), [line])


def test_an_entrypoint_has_no_arguments_that_were_meant_for_another() -> None:
    base = ImageConfig(entrypoint=["old"], cmd=["argument"])
    assert apply_changes(base, ['ENTRYPOINT ["new"]']).cmd is None
    assert apply_changes(base, ['CMD ["mine"]', 'ENTRYPOINT ["new"]']).cmd == ["mine"]
