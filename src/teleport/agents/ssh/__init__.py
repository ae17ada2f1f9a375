"""The SSH Service."""
