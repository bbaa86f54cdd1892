"""Imports that take seconds, made in the background while something else is waited for.

Two threads that import parts of one package at once may each find the other's half done. So whoever imports from
transformers calls `wait_for_imports` first.
"""

import threading
from importlib import import_module

NEEDED = ("transformers.models.clip.modeling_clip", "transformers.models.clip.tokenization_clip")  # by text encoders
_running: list[threading.Thread] = []


def import_ahead() -> None:
    """Begin to import what the first text encoder needs; once in a process."""
    if not _running:
        _running.append(threading.Thread(target=_import, name="imports", daemon=True))
        _running[0].start()


def wait_for_imports() -> None:
    """Wait until that is done, if it was begun."""
    for thread in _running:
        thread.join()


def _import() -> None:
    for name in NEEDED:
        try:
            import_module(name)
        except Exception:  # noqa: BLE001 - whoever needs it imports it again, and is told
            return
