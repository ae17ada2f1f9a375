"""The version of this build, as shown by every command and sent to every peer."""

VERSION = "0.1.0"
