"""What a caller believes about an answer, as weights on the tokens that a grammar allows.

    protocol.py         the seam: `Prior`, plain data, and `TokenPrior`, one answer's in a vocabulary
    token_texts.py      a vocabulary as priors see it
    text_prior.py       beliefs about a few whole texts
    call_prior.py       beliefs about keys and values of one call, looked up where a JSON text stands
    tool_call_prior.py  beliefs about tools and their calls, as potentials over JSON prefixes

It knows text and weights: neither schemas and retrieval (which the caller has made weights of), nor logits.
"""
