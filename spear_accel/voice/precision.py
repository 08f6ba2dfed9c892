"""The precision in which a voice decodes: its name, what parameters are kept in, what the native step reads."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spear_accel.errors import UserError
from spear_accel.native import TORCH, choose_kernel
from spear_accel.native.weights import Precision

__all__ = ["AUTO", "PRECISIONS", "ModelPrecision", "choose_precision"]

AUTO = "auto"
PRECISIONS = (AUTO, "float32", "bfloat16", "float16", "int8")
_PARAMETERS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class ModelPrecision:
    """How a text-to-semantic model computes."""

    parameters: torch.dtype
    """Of encoder and heads, and of whatever PyTorch computes."""
    step: Precision | None = None
    """Of the decoder's linear maps in the native step; None: that of the parameters."""

    @property
    def name(self) -> str:
        """As `choose_precision` takes it."""
        return self.step or str(self.parameters).removeprefix("torch.")


def choose_precision(dtype: str | torch.dtype, device: str | torch.device) -> ModelPrecision:
    """What `Voice.load` is asked for.

    Args:
        dtype: One of `PRECISIONS` or a torch dtype; "auto" is int8 where the native step computes, else float32.
        device: Where the model is.

    Raises:
        UserError: There is no such precision, or int8 where the native step does not compute.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in PRECISIONS:
        raise UserError(f"dtype {name!r} is none that a voice decodes in; choose one of {', '.join(PRECISIONS)}")
    if name in _PARAMETERS:
        return ModelPrecision(_PARAMETERS[name])
    choice = choose_kernel()
    native = torch.device(device).type == "cpu" and choice.kernel is not None
    if name == "int8" and not native:
        why = choice.reason if choice.name == TORCH else f"it does not run on {device}"
        raise UserError(f"int8 needs the native step on a CPU ({why}); choose float32 or bfloat16")
    return ModelPrecision(torch.float32, "int8" if native else None)
