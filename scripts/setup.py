"""Checks that this Python is new enough, then makes .venv. Written so that any Python 3 can read it."""

import os
import pathlib
import shutil
import signal
import sys

# Python is started isolated, so that no file of the user's is imported in the place of one of its own.
sys.path.append(str(pathlib.Path(__file__).resolve().parent))


def too_old(version):
    """Say why this version of Python can't be used and which one can, or return None."""
    if version >= (3, 11):
        return None
    newer = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
    cure = "name it" if newer else "install one and name it"
    return "Python {}.{} ({}) is too old, the course needs 3.11 or newer; {}: make lab PYTHON={}".format(
        version[0], version[1], sys.executable, cure, newer[0] if newer else "python3.12"
    )


def main():
    """Return the exit status."""
    why_not = too_old(sys.version_info[:2])
    if why_not:
        sys.stderr.write("make setup: " + why_not + "\n")
        return 1
    import environment  # noqa: PLC0415 - only now: it is written for the Pythons the course supports

    return environment.main()


def open_what_is_closed():
    """Give this process the streams that a program expects: who calls it may have closed them."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if number > 2:
            os.close(number)
            break
        os.set_inheritable(number, True)  # for what is started
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - one for as long as this runs
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    open_what_is_closed()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no more, as `head` after some lines, wants no word of it
    try:
        status = main()
    except KeyboardInterrupt:
        sys.stderr.write("\nmake setup: interrupted; run it again, and it goes on from here\n")
        status = 130
    sys.exit(status)
