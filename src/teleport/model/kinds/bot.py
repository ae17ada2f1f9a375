"""bot: a program with a name of its own.

It stands on a user and a role, both called `bot-<name>`, which the Auth Service writes and removes with it. The role
lets the bot have certificates with the roles that it was given, and nothing else; what a bot does elsewhere, it does
with those.
"""

from __future__ import annotations

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct
from teleport.model.identity import Traits
from teleport.model.kinds.role import Role
from teleport.model.kinds.user import User, UserSpec
from teleport.model.login import is_login
from teleport.model.naming import check_name, check_names, check_text
from teleport.model.resource import Column, Metadata, Resource, kind
from teleport.model.role_spec import Impersonate, RoleConditions, RoleOptions, RoleSpec, Rule

LABEL = "teleport.internal/bot"
"""Label of the user and the role of a bot: its name."""
GENERATION_LABEL = "teleport.internal/bot-generation"
"""Label of the user, for clients of long ago: always 0, instances have the counters."""
DEFAULT_TTL, LONGEST_TTL = Duration(12 * 3600), Duration(168 * 3600)
LOCK_SCOPES = ("user", "instance")


class Trait(Struct, frozen=True, kw_only=True):
    """An attribute of the bot's user."""

    name: str = ""
    values: tuple[str, ...] = ()


class BotSpec(Struct, frozen=True, kw_only=True):
    """What a bot may become."""

    roles: tuple[str, ...] = ()
    """What its certificates may carry: names of roles, or patterns of names."""
    traits: tuple[Trait, ...] = ()
    max_session_ttl: Duration | None = None
    """The longest life of its own certificates."""
    lock_scope: str = "user"
    """Whom a stolen certificate locks: `user`, with every instance of the bot, or the `instance` alone."""


class BotStatus(Struct, frozen=True, kw_only=True):
    """What stands for the bot; written by the Auth Service."""

    user_name: str = ""
    role_name: str = ""


@kind(
    key="bots",
    versions=("v1",),
    aliases=("bots",),
    columns=(
        Column("Bot", lambda bot: str(bot.name)),
        Column("User", lambda bot: bot_user(bot.name)),
        Column("Roles", lambda bot: ",".join(bot.spec.roles)),
    ),
    events={"create": ("bot.create", "TB001I"), "update": ("bot.update", "TB002I"), "delete": ("bot.delete", "TB003I")},
)
class Bot(Resource[BotSpec], frozen=True, kw_only=True, tag="bot"):
    """A bot."""

    spec: BotSpec = BotSpec()
    status: BotStatus | None = None

    def check(self) -> None:
        """Raise BadParameter (KIND-BOT, KIND-LOGIN, KIND-*) for values out of grammar."""
        check_name("bot", bot_user(self.name))
        check_names("role", self.spec.roles)
        for trait in self.spec.traits:
            check_name("trait", trait.name)
            for value in trait.values:
                check_text("bot", f"spec.traits.{trait.name}", value)
        for login in self.traits.get("logins", ()):
            if not is_login(login):
                raise BadParameter("KIND-LOGIN", kind="bot", login=ascii(login[:80]))
        if self.spec.lock_scope not in LOCK_SCOPES:
            raise BadParameter("KIND-BOT", problem=f"spec.lock_scope is one of {', '.join(LOCK_SCOPES)}")
        longest = self.spec.max_session_ttl
        if longest is not None and not 0 < longest <= LONGEST_TTL:
            raise BadParameter("KIND-BOT", problem=f"spec.max_session_ttl is more than 0 and at most {LONGEST_TTL}")

    @property
    def traits(self) -> Traits:
        """The attributes of its user; values of one name that stands twice are joined."""
        found: dict[str, tuple[str, ...]] = {}
        for trait in self.spec.traits:
            found[trait.name] = (*found.get(trait.name, ()), *trait.values)
        return found

    def user(self) -> User:
        """Return the user that stands for the bot."""
        name = bot_user(self.name)
        labels = {LABEL: self.name, GENERATION_LABEL: "0"}
        return User(
            version="v2", metadata=Metadata(name=name, labels=labels),
            spec=UserSpec(roles=(name,), traits=self.traits),
        )  # fmt: skip

    def role(self) -> Role:
        """Return the role that the bot holds."""
        return Role(
            version="v7",
            metadata=Metadata(
                name=bot_user(self.name), labels={LABEL: self.name},
                description=f"Automatically generated role for bot {self.name}",
            ),
            spec=RoleSpec(
                options=RoleOptions(max_session_ttl=self.spec.max_session_ttl or DEFAULT_TTL),
                allow=RoleConditions(
                    rules=(Rule(resources=("cert_authority",), verbs=("readnosecrets",)),),
                    impersonate=Impersonate(roles=self.spec.roles) if self.spec.roles else None,
                ),
            ),
        )  # fmt: skip


def bot_user(name: str) -> str:
    """Return the name of the user and of the role of a bot."""
    return f"bot-{name.replace(' ', '-')}"
