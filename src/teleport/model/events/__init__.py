"""Audit events: what happened, with every field classed public, sensitive or secret."""
