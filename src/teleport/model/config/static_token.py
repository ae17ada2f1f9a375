"""`auth_service.tokens`: tokens that never end, `node,proxy:the-secret`, or a path in place of the secret."""

from __future__ import annotations

from typing import NamedTuple

from teleport.base.errors import BadParameter
from teleport.model.kinds.token import CONFIG_FILE, ORIGIN, Token
from teleport.model.resource import load


class StaticToken(NamedTuple):
    """One entry."""

    roles: tuple[str, ...]
    value: str
    """The secret, or the absolute path of a file with it."""

    @property
    def is_path(self) -> bool:
        """Whether the secret has to be read."""
        return self.value.startswith("/")

    def token(self, secret: str) -> Token:
        """Return the token of that name. Raises BadParameter (KIND-*, CONFIG-STATIC-TOKEN)."""
        if not secret or "/" in secret:
            raise BadParameter("CONFIG-STATIC-TOKEN", problem="the secret is empty, or has a slash in it")
        metadata = {"name": secret, "labels": {ORIGIN: CONFIG_FILE}}
        made = load({"kind": "token", "version": "v2", "metadata": metadata, "spec": {"roles": list(self.roles)}})
        assert isinstance(made, Token)  # noqa: S101 - what a document of that kind becomes
        if "Bot" in made.spec.roles:
            raise BadParameter("CONFIG-STATIC-TOKEN", problem="bots do not join with static tokens")
        return made


def parse(entry: str) -> StaticToken:
    """Read an entry. Raises BadParameter (CONFIG-STATIC-TOKEN, KIND-TOKEN-ROLE); the secret is in no error."""
    roles, colon, value = entry.partition(":")
    words = tuple(word.strip() for word in roles.split(",") if word.strip())
    value = value.strip()
    if not colon or not words or not value:
        raise BadParameter("CONFIG-STATIC-TOKEN", problem="roles and a secret are separated by a colon")
    found = StaticToken(words, value)
    found.token("a-name" if found.is_path else value)
    return found
