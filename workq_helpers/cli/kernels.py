"""`LessonKernels`: the kernels that `make lab` offers; `python3` is this environment's, whatever is installed."""

from __future__ import annotations

from typing import Any

import zmq
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from workq_helpers.broker.ports import LOOPBACK

__all__ = ["START", "LessonKernels", "of_the_manager"]

#: Runs a module as ``-m`` does. There Python looks beside the notebook for all that it imports on the way, and an
#: ``enum.py`` ends a kernel before anything of the course runs. IPython adds that folder later, behind Python's own.
START = (
    "import sys; sys.path = list(filter(None, sys.path)); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__')"
)


class LessonKernels(KernelSpecManager):
    """Jupyter's own way to find kernels, but for the lessons' one.

    Every lesson asks for ``python3``. Jupyter looks for that name in JUPYTER_PATH and in the user's folders first, and
    there may be another environment's, or one that is long gone.
    """

    def find_kernel_specs(self) -> dict[str, str]:
        """Return the folders of all kernels, by name."""
        found: dict[str, str] = super().find_kernel_specs()
        return found | {NATIVE_KERNEL_NAME: self._of_the_lessons().resource_dir}

    def get_kernel_spec(self, kernel_name: str) -> Any:
        """Return one kernel, by name."""
        return self._of_the_lessons() if kernel_name == NATIVE_KERNEL_NAME else super().get_kernel_spec(kernel_name)

    def _of_the_lessons(self) -> KernelSpec:
        kernel = get_kernel_dict()
        kernel["argv"][1:2] = ["-c", START]
        kernel["env"] = {"MPLBACKEND": ""}  # the shell's is for windows, and may be none that is here
        return self.kernel_spec_class(resource_dir=str(RESOURCES), **kernel)


def of_the_manager() -> dict[str, str]:
    """Return the settings of what starts a kernel, whatever the user's are: here, where nothing but this machine is.

    It encrypts, where Jupyter is new enough and was built to. Else anybody on the machine may read what a kernel
    answers: its ports take all comers, and only sign.
    """
    here = {"transport": "tcp", "ip": LOOPBACK}
    can_encrypt = KernelManager.class_traits().get("transport_encryption") and zmq.has("curve")
    return here | ({"transport_encryption": "auto"} if can_encrypt else {})
