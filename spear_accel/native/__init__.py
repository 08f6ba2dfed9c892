"""The native step: C++ builds of a decoder's arithmetic, chosen by what the processor has.

Knows numbers and addresses, no modules: `spear_accel.model.native_backend` tells it what a decoder consists of.
"""

from spear_accel.native.library import (
    AUTO,
    TORCH,
    VARIABLE,
    Choice,
    Kernel,
    available_kernels,
    check_fault,
    choose_kernel,
)

__all__ = ["AUTO", "TORCH", "VARIABLE", "Choice", "Kernel", "available_kernels", "check_fault", "choose_kernel"]
