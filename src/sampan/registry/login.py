"""Trying a user's credentials at a registry, as `docker login` has the daemon do it (moby's registry/auth.go)."""

from sampan.errors import Unauthorized
from sampan.registry.conversation import Conversation
from sampan.registry.faults import Refused, Untrustworthy, reason
from sampan.registry.host import Host
from sampan.registry.means import Means
from sampan.registry.protocol import Credentials


def login(means: Means, host: Host, credentials: Credentials) -> str:
    """An identity token where the registry gave one, else "".

    Raises Unauthorized where the registry's token service knows the user otherwise, Refused for every other answer than 200,
    Unreachable and Untrustworthy.
    """
    conversation = Conversation(means, host, credentials)
    conversation.connect()
    url = f"{conversation.host.url}/"
    token = ""
    for challenge in conversation.challenges[:1]:
        if challenge.scheme == "bearer":
            try:
                got = means.authorizer.fetch(conversation.host, challenge, (), credentials, offline=True)
            except Refused as error:
                text = f'Get "{url}": {error}'
                if error.code == "UNAUTHORIZED":
                    raise Unauthorized(text) from error
                raise Refused(text, error.status, error.faults) from error
            except Untrustworthy as error:
                raise Untrustworthy(f'Get "{url}": {error}') from error
            token = got.refresh_token or ""
    with conversation.ask("GET", url, ()) as answer:
        if answer.status != 200:
            text = f"login attempt to {url} failed with status: {answer.status} {reason(answer.status)}"
            raise Refused(text, answer.status)
    return token if token.isascii() and token.isprintable() else ""
