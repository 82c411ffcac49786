"""`Pump`: one connection's I/O, kept going whatever the learner's code does.

Two threads share one pika I/O loop, and a lock, the *baton*, says which of them owns it. The main thread
polls the socket and, between polls, lays the baton down and does the work: a callback, or the next task of
an iterable. Work that is quick costs no thread switch at all. When it takes longer than a few milliseconds
the helper thread picks the baton up and polls in its place, so heartbeats, acknowledgments and new
deliveries go on; when the work is done, the main thread asks for the baton back.

Handing every message to another thread would be simpler, but two thread switches a message cost a quarter
of the throughput at prefetch count 1 (``make bench`` compares them with plain pika).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Protocol, TypeVar

from pika.adapters.select_connection import IOLoop

__all__ = ["Job", "Pump"]

#: How long work may keep the connection unattended before the helper thread takes over.
TAKEOVER_SECONDS = 0.005

#: After so many looks at an idle pump the helper thread goes to sleep until the next work.
_QUIET_LOOKS = 20


#: How long a thread that asks for something waits before it looks whether there is somebody left to do it.
_LOOK_SECONDS = 0.05

T = TypeVar("T")


class Job(Protocol):
    """What a pump does on behalf of its owner."""

    def connect(self, loop: IOLoop) -> None:
        """Begin to connect; called once, by the owner of the loop."""

    def after_poll(self) -> None:
        """Do what has come up on the connection; called by the owner of the loop, and quick."""

    def has_work(self) -> bool:
        """Whether there is something to do that may take long."""

    def do_work(self) -> None:
        """Do that work, without touching the connection."""

    def failed(self, error: BaseException) -> None:
        """Learn that something raised that must not, and see to the end; called by the owner of the loop."""

    def over(self) -> None:
        """Learn that the pump has ended, whatever the reason; called once, last of all."""


class Pump:
    """Runs a job's connection in the background."""

    def __init__(self, name: str, job: Job) -> None:
        self._job = job
        self._loop = IOLoop()
        self._baton = threading.Lock()
        self._owner: int | None = None  # the thread that has the baton
        self._over = self._ended = self._failed = False
        self._working = False
        self._turns = 0
        self._wanted = False
        self._helper_owns = False
        self._helper_sleeps = True
        self._hurried = False
        self._wake_helper = threading.Event()
        self._helper = threading.Thread(target=self._help, name=f"{name} (I/O)", daemon=True)
        self._main = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def main_thread(self) -> threading.Thread:
        """The thread that does the work."""
        return self._main

    def in_main_thread(self) -> bool:
        """Whether the caller is the thread that does the work."""
        # Cheaper than current_thread(), and asked twice a message.
        return threading.get_ident() == self._main.ident

    @property
    def is_polled(self) -> bool:
        """Whether the helper polls while the main thread works."""
        return self._helper_owns

    def start(self) -> None:
        """Start the main thread, which begins by connecting."""
        self._main.start()

    def call(self, function: Callable[[], None]) -> None:
        """Have the owner of the loop call `function` soon; from any thread."""
        self._loop.add_callback_threadsafe(function)
        if self._working and not self._helper_owns:
            # Nobody polls: the helper need not wait to see that the work is slow.
            self._hurried = True
            self._wake_helper.set()

    def run(self, function: Callable[[], T]) -> T:
        """Call `function` as the owner of the loop, before anything else happens, and return what it returns.

        Any thread may call this; what the function raises comes out here.
        """
        me = threading.get_ident()
        if me == self._owner:
            return function()
        if me == self._main.ident and self._working:
            self._take_baton()
            try:
                return function()
            finally:
                self._lay_baton_down()
        return self._ask_owner(function)

    def poll_until(self, condition: Callable[[], bool]) -> None:
        """Keep I/O going until `condition` holds or the pump ends; only the owner of the loop calls this."""
        while not condition() and not self._over:
            self._poll()

    def _ask_owner(self, function: Callable[[], T]) -> T:
        answer: futures.Future[T] = futures.Future()

        def do() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(function())
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
                    answer.set_exception(error)

        self.call(do)
        while not futures.wait([answer], _LOOK_SECONDS).done:
            if self._ended and answer.cancel():
                return function()  # nobody owns the loop any more, so nothing can come between
        return answer.result()

    def _take_baton(self) -> None:
        if not self._baton.acquire(blocking=False):
            self._wanted = True
            self.call(_nothing)
            self._baton.acquire()
            self._wanted = False
        self._owner = threading.get_ident()

    def _lay_baton_down(self) -> None:
        self._owner = None
        self._baton.release()

    def nudge(self) -> None:
        """See to it that `after_poll` runs soon.

        From the main thread at work there is nothing to do unless the helper polls: the main thread comes
        back to the loop by itself.
        """
        if self._helper_owns or not self.in_main_thread():
            self.call(_nothing)

    def finish(self) -> None:
        """End both threads after the current turn; only the owner of the loop calls this."""
        self._over = True
        self._wake_helper.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for both threads to end.

        Args:
            timeout: Seconds to wait at most; ``None`` for as long as it takes.

        Returns:
            Whether they have ended. Work that never returns can't be ended from outside.
        """
        self._main.join(timeout)
        return not self._main.is_alive()

    def _run(self) -> None:
        self._take_baton()
        self._helper.start()
        try:
            self._loop.activate_poller()
            self._guarded(lambda: self._job.connect(self._loop))
            while not self._over:
                self._poll()
                if not self._over and self._job.has_work():
                    self._work_without_baton()
                    self._guarded(self._job.after_poll)
                    if self._job.has_work():
                        # The helper brought more just now: the next poll must look, not wait.
                        self.call(_nothing)
        except BaseException as error:  # noqa: BLE001 - as for `_guarded`
            self._fail(error)
        finally:
            self._over = True
            self._lay_baton_down()
            self._wake_helper.set()
            self._helper.join()
            self._loop.close()
            self._ended = True
            with contextlib.suppress(BaseException):
                self._job.over()

    def _poll(self) -> None:
        self._guarded(self._poll_once)

    def _poll_once(self) -> None:
        self._loop.poll()
        self._loop.process_timeouts()
        self._job.after_poll()

    def _guarded(self, function: Callable[[], None]) -> None:
        """Call `function`; a thread that died of what it raises would leave its job looking alive."""
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the job ends by it and says so
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Have the job see to its end, which may take a few turns; what fails at that ends here."""
        if self._failed:
            self.finish()
            return
        self._failed = True
        try:
            self._job.failed(error)
        except BaseException:  # noqa: BLE001 - nothing is left to be told
            self.finish()

    def _work_without_baton(self) -> None:
        self._turns += 1
        self._working = True
        if self._helper_sleeps:
            self._wake_helper.set()
        self._lay_baton_down()
        try:
            self._job.do_work()
        finally:
            self._working = False
            self._take_baton()

    def _help(self) -> None:
        while not self._over:
            self._helper_sleeps = True
            # Work that began before the main thread could see that we sleep must not go unwatched.
            if not self._working:
                self._wake_helper.wait()
            self._wake_helper.clear()
            self._helper_sleeps = False
            self._watch()

    def _watch(self) -> None:
        """Look at the main thread every few milliseconds, and poll for it while its work is slow."""
        quiet_looks, last_turn = 0, -1
        while quiet_looks < _QUIET_LOOKS and not self._over:
            if self._hurried and self._working:
                self._hurried = False
                self._poll_for_main()
            if self._wake_helper.wait(TAKEOVER_SECONDS):
                return
            if self._turns != last_turn:
                quiet_looks, last_turn = 0, self._turns
            elif self._working:
                self._poll_for_main()
            else:
                quiet_looks += 1

    def _poll_for_main(self) -> None:
        if not self._baton.acquire(blocking=False):
            return
        self._owner = threading.get_ident()
        self._helper_owns = True
        try:
            # What the main thread left before it could see that the helper owns the loop.
            self._guarded(self._job.after_poll)
            while self._working and not self._wanted and not self._over:
                self._poll()
        finally:
            self._helper_owns = False
            self._lay_baton_down()


def _nothing() -> None:
    """Wake a loop."""
