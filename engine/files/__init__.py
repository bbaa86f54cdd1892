"""Folders, containment of user-given paths, and artefacts. Imports no torch."""
