"""The structures of `csrc/step.h`, field by field. Change both together."""

from __future__ import annotations

import ctypes
from ctypes import c_float, c_int32, c_int64, c_void_p

__all__ = ["Block", "Draw", "Layer", "Linear", "Model", "Norm", "Reading", "Recurrent", "Text"]


class Linear(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("weights", "bias", "scale", "sums")),
        *((name, c_int32) for name in ("inputs", "outputs", "precision", "reserved")),
    ]


class Norm(ctypes.Structure):
    _fields_ = [("gain", c_void_p), ("bias", c_void_p), ("eps", c_float), ("kind", c_int32)]


class Layer(ctypes.Structure):
    _fields_ = [
        *((name, Norm) for name in ("attention_norm", "cross_norm", "feed_forward_norm")),
        *((name, Linear) for name in ("qkv", "out", "query", "cross_out", "expand", "gate", "contract")),
    ]


class Model(ctypes.Structure):
    _fields_ = [
        ("layers", ctypes.POINTER(Layer)),
        *((name, c_void_p) for name in ("embedding", "rotary", "times", "learned", "relative")),
        *((name, Norm) for name in ("final_norm", "embedding_norm")),
        ("output", Linear),
        ("embedding_scale", c_float),
        *(
            (name, c_int32)
            for name in (
                "layer_count", "dim", "heads", "kv_heads", "cross_kv_heads", "head_dim", "inner", "vocab", "positions",
                "null_slots", "post_norm", "activation",
            )
        ),
    ]  # fmt: skip


class Block(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("ids", "hidden", "left", "added", "cache", "cross")),
        *((name, c_void_p) for name in ("lengths", "text", "depths", "visible")),
        *((name, c_void_p) for name in ("skip_attention", "skip_feed", "collected")),
        *((name, c_int32) for name in ("rows", "count", "first", "last")),
        *((name, c_int32) for name in ("cache_rows", "cache_slots", "cross_rows", "cross_slots", "collected_slots")),
        *((name, c_int32) for name in ("cache_precision", "threads", "reserved")),
    ]


class Text(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("embedded", "cross")),
        ("projections", ctypes.POINTER(Linear)),
        ("null", c_void_p),
        *((name, c_int32) for name in ("count", "causal", "layers", "cross_kv_heads", "precision", "threads")),
    ]


class Recurrent(ctypes.Structure):
    _fields_ = [
        *((name, Norm) for name in ("state_norm", "norm")),
        *((name, Linear) for name in ("state", "enter", "leave", "say")),
        ("token", c_void_p),
        *(
            (name, c_int32)
            for name in ("dim", "heads", "groups", "head_dim", "inner", "vocab", "tokens", "reserved")
        ),
    ]  # fmt: skip


class Reading(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("ids", "places", "before", "after", "logits", "keys", "values", "text")),
        *((name, c_int32) for name in ("rows", "count", "before_count", "cross_rows", "cross_slots")),
        *((name, c_int32) for name in ("cache_precision", "threads", "reserved")),
    ]


class Draw(ctypes.Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("logits", "noise", "factors", "places", "banned", "scores", "tokens")),
        *((name, c_int64) for name in ("noise_row", "noise_place", "banned_token")),
        *((name, c_int32) for name in ("rows", "count", "vocab", "best")),
    ]
