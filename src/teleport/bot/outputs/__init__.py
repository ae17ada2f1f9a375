"""Outputs: what a bot writes into destinations, one file for each type."""
