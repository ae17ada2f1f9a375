"""Teleport: short-lived, audited access for people and machines. ARCHITECTURE.md is the map."""
