"""What came with a build beside its context: named contexts and secrets, each apart from all else.

layout=named     body ─▶ context/          ─▶ the context
                         contexts/NAME/    ─▶ `input:NAME`
                         secrets/NUMBER    ─▶ the secret of that number, which no context holds
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from sampan.build.git_address import git_address
from sampan.build.planning import NamedContext
from sampan.build.request import SECRET_LIMIT
from sampan.build.tree.context import Context
from sampan.errors import InvalidParameter, NotImplementedHere
from sampan.spec.builds import BuildOptions

_OWN = "context"
_IMAGE, _INPUT = "docker-image://", "input:"


@dataclass(frozen=True, slots=True)
class Arrived:
    """`contexts` by name, the build's own called `context`; `named` tells the plan what the other names mean."""

    contexts: Mapping[str, Context]
    named: Mapping[str, NamedContext]
    secrets: Mapping[str, bytes]

    @property
    def context(self) -> Context:
        """The build's own."""
        return self.contexts[_OWN]


@contextmanager
def arrived(options: BuildOptions, whole: Context, directory: Callable[[str], int]) -> Iterator[Arrived]:
    """What `whole` holds, taken apart; all of it is closed at the end. `directory` makes an empty one of a name.

    Raises InvalidParameter for a name that means nothing, NotImplementedHere.
    """
    with ExitStack() as stack:
        stack.enter_context(closing(whole))
        named = {name.lower(): _meaning(name, text) for name, text in options.contexts.items()}
        if options.layout != "named":
            if any(text.startswith(_INPUT) for text in options.contexts.values()):
                raise InvalidParameter("a context of the request's own (input:NAME) needs layout=named")
            yield Arrived({_OWN: whole}, named, _given(options, options.secrets))
            return
        secrets = {**options.secrets, **dict(_sent(options, whole))}
        contexts = {}
        for number, (name, path) in enumerate(_parts(options)):
            contexts[name] = stack.enter_context(closing(whole.apart(path, directory(f"context-{number}"))))
        yield Arrived(contexts, named, _given(options, secrets))


def _parts(options: BuildOptions) -> Iterator[tuple[str, str]]:
    yield _OWN, "context"
    for name, text in options.contexts.items():
        if text.startswith(_INPUT):
            yield name.lower(), f"contexts/{text.removeprefix(_INPUT)}"


def _meaning(name: str, text: str) -> NamedContext:
    if not name or name.lower() == _OWN:
        raise InvalidParameter(f"invalid context name {name!r}")
    if text.startswith(_IMAGE):
        return NamedContext(image=text.removeprefix(_IMAGE))
    if text.startswith(_INPUT):
        place = text.removeprefix(_INPUT)
        if not place or "/" in place or place in (".", ".."):
            raise InvalidParameter(f"invalid context {name}: {text}")
        return NamedContext()
    if git_address(text) is not None:
        return NamedContext(repository=text)
    raise NotImplementedHere(f"not implemented by Sampan yet: the context {name} from {text[:200]}")


def _sent(options: BuildOptions, whole: Context) -> Iterator[tuple[str, bytes]]:
    """The secrets that the body holds."""
    for number, name in enumerate(options.secret_names):
        if name not in options.secrets:
            try:
                yield name, whole.read(f"secrets/{number}", SECRET_LIMIT)
            except OSError as error:
                raise InvalidParameter(f"the secret {name} was not sent: {error.strerror}") from error


def _given(options: BuildOptions, secrets: Mapping[str, bytes]) -> Mapping[str, bytes]:
    missing = [name for name in options.secret_names if name not in secrets]
    if missing:
        raise InvalidParameter(
            f"the secret {missing[0]} was not sent: it is neither in X-Build-Secrets nor in the body"
        )
    large = [name for name, value in secrets.items() if len(value) > SECRET_LIMIT]
    if large:
        raise InvalidParameter(f"invalid secret {large[0]}: larger than {SECRET_LIMIT} bytes")
    return secrets
