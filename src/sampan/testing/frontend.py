"""The suite of build front ends."""

from typing import ClassVar

from sampan.dockerfile.parse import parse
from sampan.drivers.frontend import KIND
from sampan.testing.suite import Suite


class FrontEndSuite(Suite):
    """What Sampan relies on in a front end. `sources` are files in its language, `wrong_sources` ones that it refuses."""

    kind: ClassVar[str] = KIND
    sources: ClassVar[tuple[str, ...]] = ()
    wrong_sources: ClassVar[tuple[str, ...]] = ()

    def translated(self, source: str, **arguments: str) -> str:
        """The Dockerfile."""
        return str(self.ask("Translate", Source=source, Arguments=arguments)["Dockerfile"])

    def test_what_comes_out_is_a_dockerfile(self) -> None:
        """That Sampan reads."""
        assert self.sources or self.address, "the suite has no sources: sources = (…)"
        for source in self.sources:
            assert parse(self.translated(source)).stages, source

    def test_the_same_gives_the_same(self) -> None:
        """Builds are cached by it; in another process, too."""
        before = [self.translated(source) for source in self.sources]
        self.begin_anew()
        assert [self.translated(source) for source in self.sources] == before

    def test_what_is_wrong_is_refused_with_a_reason(self) -> None:
        """Whoever wrote it reads that."""
        for source in self.wrong_sources:
            assert len(self.refused("Translate", Source=source, Arguments={})) > 3
