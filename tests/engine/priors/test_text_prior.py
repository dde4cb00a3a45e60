from __future__ import annotations

import numpy as np

from portico_engine import TextPrior
from portico_engine.priors.token_texts import TokenTexts


def test_among_whole_texts_a_token_gets_the_best_text_that_it_still_leads_to() -> None:
    prior = TextPrior({"blue sky": 2.0, "blue": 1.0, "red": -1.0}).bind(TokenTexts(["blue", "red", " sky", "<end>"]))
    first, then = prior.bias("", np.array([0, 1])), prior.bias("blue", np.array([2, 3]))
    assert first is not None
    assert then is not None
    assert first.tolist() == [0.0, -3.0]
    assert then.tolist() == [0.0, -1.0]
    assert prior.bias("green", np.array([0])) is None
