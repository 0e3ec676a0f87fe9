"""A request to stop: the first Ctrl-C or SIGTERM."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_Handler = Callable[[int, FrameType | None], object] | int | None


class Stop:
    """Records the first Ctrl-C or SIGTERM in ``asked`` instead of interrupting; the second one interrupts.

    Work that looks at ``asked`` between two tasks ends with everything saved. Outside the main thread, which alone
    receives signals, nothing is recorded.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, _Handler] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
