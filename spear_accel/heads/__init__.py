"""Draft heads: small modules with weights that guess how a decoder will go on. They hold no policy of drafting."""

from spear_accel.heads.early_exit import EarlyExit, EarlyExitConfig
from spear_accel.heads.medusa import Medusa, MedusaConfig
from spear_accel.heads.parallel import ParallelHead
from spear_accel.heads.prophet import Prophet, ProphetConfig
from spear_accel.heads.prophet_linear import ProphetLinear, ProphetLinearConfig
from spear_accel.heads.recurrent import Recurrent, RecurrentConfig
from spear_accel.heads.registry import build_head, find_head, head_config, head_kinds
from spear_accel.heads.spec import DraftHead, HeadSpec
from spear_accel.heads.trunk import Trunk, trunk_pass

__all__ = [
    "DraftHead", "EarlyExit", "EarlyExitConfig", "HeadSpec", "Medusa", "MedusaConfig", "ParallelHead", "Prophet",
    "ProphetConfig", "ProphetLinear", "ProphetLinearConfig", "Recurrent", "RecurrentConfig", "Trunk", "build_head",
    "find_head", "head_config", "head_kinds", "trunk_pass",
]  # fmt: skip
