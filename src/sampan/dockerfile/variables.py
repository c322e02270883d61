"""Variables put into the words of one instruction after the other."""

from collections.abc import Mapping

from sampan.dockerfile.faults import DockerfileError, Range
from sampan.dockerfile.heredocs import Heredoc
from sampan.dockerfile.instructions import Word
from sampan.dockerfile.words import Expansion, Quotes, Rules, expand


class Expander:
    """Expands with the variables of one moment. `unset` gathers the names that were asked for in vain.

    Every method raises DockerfileError with the place of the word.
    """

    def __init__(self, variables: Mapping[str, str], escape: str = "\\", at: Range | None = None) -> None:
        self._variables = variables
        self._rules = Rules(escape=escape)
        self._at = at
        self.unset: set[str] = set()

    def text(self, text: str, at: Range | None = None) -> str:
        """`text` as one word, its spaces kept."""
        return self._expand(text, self._rules, at).text

    def word(self, word: Word) -> str:
        """An argument as one word."""
        return self.text(word.text, word.at)

    def words(self, word: Word) -> list[str]:
        """An argument, cut at the spaces that came out of variables."""
        return self._expand(word.text, self._rules, word.at).words

    def document(self, heredoc: Heredoc) -> str:
        """A heredoc's content, in which quotes mean nothing."""
        if not heredoc.mark.expand:
            return heredoc.content
        return self._expand(heredoc.content, Rules(quotes=Quotes.PLAIN), heredoc.at).text

    def _expand(self, text: str, rules: Rules, at: Range | None) -> Expansion:
        try:
            expansion = expand(text, self._variables, rules)
        except DockerfileError as error:
            raise DockerfileError(error.message, at or self._at) from None
        self.unset |= expansion.unset
        return expansion
