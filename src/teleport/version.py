"""The version of this build, as shown by every command and sent to every peer."""

VERSION = "0.1.0"
GIT_REF = ""
"""The reference of version control that this build was made from; empty in a build that was not stamped."""
