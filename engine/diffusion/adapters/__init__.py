"""Adapters: what is put on a network's weights, and taken off again by reading the original bytes."""
