"""Which beta: three are tried for a part of the run, and judged by pairs that are not trained on.

A beta that was tuned on other data says nothing of these: too small a one unlearns how calls are written, too large a one
learns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from portico_engine.tune.preference.answers import TokenPair
from portico_engine.tune.preference.losses import Method
from portico_engine.tune.preference.train import PreferenceTrainer
from portico_engine.tune.training.loop import Diverged

DEFAULT_BETA: dict[Method, float] = {"dpo": 0.3, "ipo": 1.0, "kto": 0.3}  # ipo's asks for 1 / (2 beta) nats per token
_SHARE = 0.34  # of the epochs
_LOST = 0.03  # nats per token that a chosen answer may lose: 0.04 came with a twelfth of the right calls (docs/tuning.md)


class TriedBeta(NamedTuple):
    """What a beta came to on the validation pairs. `chosen`: mean log p per token of the better answers."""

    beta: float
    preferred: float
    chosen: float


def sweep(
    trainer: PreferenceTrainer,
    method: Method,
    validation: Sequence[TokenPair],
    around: float,
    say: Callable[[str], None],
) -> tuple[TriedBeta, list[TriedBeta]]:
    """The best of a third of `around`, it and three times it; and all three. Raises Diverged where each of them does."""
    chosen = [pair.chosen for pair in validation]
    before = float(trainer.per_token(chosen).mean())
    tried, failed = [], None
    for beta in (around / 3, around, around * 3):
        try:
            trainer.run(method, beta, epochs=trainer.settings.epochs * _SHARE)
        except Diverged as error:
            say(f"beta {beta:.3g}: {error}")
            failed = error
            continue
        found = TriedBeta(beta, trainer.preferred_share(validation), float(trainer.per_token(chosen).mean()))
        say(f"beta {beta:.3g}: {found.preferred:.1%} of {len(validation)} validation pairs preferred, log p {found.chosen:.3f}")
        tried.append(found)
    if not tried:
        assert failed is not None
        raise failed
    sound = [one for one in tried if one.chosen > before - _LOST] or tried
    return max(sound, key=lambda one: (one.preferred, one.beta)), tried
