"""Carrying out a plan, in the worker process."""
