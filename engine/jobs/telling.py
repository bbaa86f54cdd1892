"""What is told of one worker's jobs, in order: what follows the end of a job waits until that is on disk.

The worker is heard meanwhile, so that the ends of several small jobs go to disk together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

Written = asyncio.Future[Any]


class Telling:
    """Actions in order. fault: given what an action raises that had to wait."""

    def __init__(self, fault: Callable[[Exception], None]) -> None:
        self._fault = fault
        self._owed: deque[tuple[Written | None, Callable[..., Written | None]]] = deque()  # the first one is awaited

    def __len__(self) -> int:
        """How many actions wait."""
        return len(self._owed)

    def then(self, action: Callable[[], None]) -> None:
        """Do something after what waits; at once if nothing does."""
        if self._owed:
            self._owed.append((None, action))
        else:
            action()

    def when(self, written: Written, action: Callable[[Written], Written | None]) -> None:
        """The same when something is written, which the action is given; it gives what else is to be awaited first."""
        self._owed.append((written, action))
        if len(self._owed) == 1:
            self._go_on()

    async def settled(self) -> None:
        """Wait until nothing waits."""
        while self._owed and (written := self._owed[0][0]) is not None:
            await asyncio.wait([written])

    def _go_on(self, _: object = None) -> None:
        try:
            while self._owed:
                written, action = self._owed[0]
                if written is None:
                    action()
                elif not written.done():
                    written.add_done_callback(self._go_on)
                    return
                elif (further := action(written)) is not None:
                    self._owed[0] = (further, action)
                    continue
                self._owed.popleft()
        except Exception as error:  # noqa: BLE001 - it is the fault's to say
            self._owed.clear()
            self._fault(error)
