"""Events of people: signing in, accounts, passwords."""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import CallerEvent, Level, Public, Sensitive, event


@event("T1000I", "T1000W")
class UserLogin(CallerEvent, frozen=True, kw_only=True, tag="user.login"):
    """Somebody signed in, or failed to."""

    success: Annotated[bool, Level.PUBLIC]
    method: Public = "local"
    error: Sensitive = ""
    """Why it failed; never anything that was typed."""
    message: Sensitive = ""


@event("T1005I")
class UserPasswordChange(CallerEvent, frozen=True, kw_only=True, tag="user.password_change"):
    """A user has a new password."""


@event("T6000I")
class ResetPasswordTokenCreate(CallerEvent, frozen=True, kw_only=True, tag="reset_password_token.create"):
    """A link to set a password was made, for a new user or one who is to start again. The link is not here."""

    name: Sensitive
    """The user whom the link is for."""
    ttl: Public = ""
    """How long the link is good, for example `1h0m0s`."""


class MFADeviceChange(CallerEvent, frozen=True, kw_only=True):
    """A change of what a user proves possession of when signing in. `user` is who made it."""

    mfa_device_name: Sensitive = ""
    mfa_device_uuid: Public = ""
    mfa_device_type: Public = ""


@event("T1006I")
class MFADeviceAdd(MFADeviceChange, frozen=True, kw_only=True, tag="mfa.add"):
    """A user has a new device."""


@event("T1007I")
class MFADeviceDelete(MFADeviceChange, frozen=True, kw_only=True, tag="mfa.delete"):
    """A device of a user was removed."""

    owner: Sensitive = ""
    """Whose device it was."""
