"""Measurements. Nothing here is a test; claims of speed in the documents come from these commands."""
