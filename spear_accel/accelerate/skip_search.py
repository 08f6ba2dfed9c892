"""Finds what method "layer-skip" leaves out, by Bayesian optimisation of real tokens per second (Draft & Verify).

A bit for every attention and every feed-forward block; optuna's tree-structured Parzen estimator chooses, the engine's
own clock judges. Knows no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from spear_accel.decoding import DecodeOptions, Engine
from spear_accel.decoding.control.fixed import FixedController
from spear_accel.decoding.draft.layer_skip import LayerSkipDrafter
from spear_accel.decoding.tree import chain
from spear_accel.errors import UserError
from spear_accel.model import SkipSet, TextToSemantic

if TYPE_CHECKING:
    import optuna

__all__ = ["find_skip_set", "tokens_per_second"]


def find_skip_set(
    model: TextToSemantic,
    text_ids: Sequence[Sequence[int]],
    options: DecodeOptions,
    *,
    trials: int = 60,
    draft_length: int = 3,
    seed: int = 0,
) -> tuple[SkipSet, float]:
    """The fastest of `trials` skip sets for decoding `text_ids` (without EOS), and its tokens per second.

    Raises:
        UserError: optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "the search for a skip set needs optuna; install it with: pip install 'spear-accel[train]'"
        ) from error
    # What a trial raises, Ctrl-C too, reaches the caller; a warning would print its traceback before that.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    layers = model.config.decoder_layers

    def judge(trial: optuna.Trial) -> float:
        skip = _suggest(trial, layers)
        if len(skip.attention) == layers:
            raise optuna.TrialPruned
        return tokens_per_second(model, skip, text_ids, options, draft_length)

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(_half(layers))
    study.optimize(judge, n_trials=trials)
    return _suggest(optuna.trial.FixedTrial(study.best_params), layers), float(study.best_value)


def tokens_per_second(
    model: TextToSemantic, skip: SkipSet, text_ids: Sequence[Sequence[int]], options: DecodeOptions, draft_length: int
) -> float:
    """Of decoding `text_ids` with drafts of `draft_length`."""
    drafter = LayerSkipDrafter(model.decoder, skip, draft_length)
    chosen = replace(options, method="layer-skip", loop_retries=0)
    controller = FixedController(chain(draft_length))
    stats = Engine(model, chosen, drafter=drafter, controller=controller).decode(text_ids).stats
    return stats.committed / stats.wall_seconds


def _suggest(trial: optuna.Trial | optuna.trial.FixedTrial, layers: int) -> SkipSet:
    def skipped(kind: str) -> tuple[int, ...]:
        return tuple(n for n in range(layers) if trial.suggest_categorical(f"{kind}_{n}", [False, True]))

    return SkipSet(skipped("attention"), skipped("feed_forward"))


def _half(layers: int) -> dict[str, bool]:
    """Every other layer but the first and the last: a place to start from."""
    return {
        f"{kind}_{layer}": layer % 2 == 1 and layer < layers - 1
        for kind in ("attention", "feed_forward") for layer in range(layers)
    }  # fmt: skip
