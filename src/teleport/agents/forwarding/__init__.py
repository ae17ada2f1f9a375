"""The SSH Service in front of other servers: the proxy ends a user's connection and goes on in their name."""
