"""The guard: a small process between a notebook and a program, so that no program outlives its notebook.

It starts the program and writes its process id, and later its exit status, a line each, to its own stderr. It
obeys commands of one byte on its stdin, and when that ends, for whatever reason, it kills the program. Nothing
but the standard library is used, so that it starts at once: ``python -IS program_guard.py PROGRAM ARGUMENT ...``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

__all__ = ["KILL", "STOP", "main"]

#: The commands.
KILL, STOP = b"k", b"s"

_SIGNALS = {KILL: signal.SIGKILL, STOP: signal.SIGTERM}
_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> None:
    """Run a program to its end."""
    guard = os.getpid()

    def tie() -> None:
        # Linux kills the program with its guard, should somebody kill that. It may be gone by now.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)

    program = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        preexec_fn=tie if sys.platform == "linux" else None,  # safe: there is no second thread yet
    )
    _tell(program.pid)
    threading.Thread(target=_obey, args=(program,), daemon=True).start()
    _tell(program.wait())
    os._exit(0)  # the other thread still reads


def _obey(program: subprocess.Popen[bytes]) -> None:
    while command := os.read(0, 1):
        program.send_signal(_SIGNALS[command])
    program.kill()  # whoever held the other end is gone


def _tell(number: int) -> None:
    os.write(2, f"{number}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
