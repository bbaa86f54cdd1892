"""Devices: what there is, what fits, and moving weights."""
