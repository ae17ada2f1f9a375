"""Bots: what stands for them, their instances, joining, renewals, and the certificates of their outputs."""
