"""A generation and its answer, whichever API asks for it.

    request.py     GenerationRequest: what is asked, in no API's words, and what of it does not fit together
    terms.py       Terms: what one caller's generation is held to
    prepare.py     PreparedRequest: the engine's own request, with its grammar, guided where the model needs it
    prompt.py      the prompt's tokens: turns and tools in the model's template, or the tools as text
    answer.py      GeneratedAnswer: text, thoughts, calls and log-probabilities, and the pieces of a stream
    answer_ids.py  AnswerIds: which answers were given to whom
    text_calls.py  the text of a call whose tool takes one text, whole or as it grows
    unheeded.py    what another server's answer shows of a grammar that it did not keep to
    stream.py      from a prepared request to the answer, whole (collect) or piece by piece (start_stream)
    choices.py     several answers to one prompt, or to several
    scores.py      CallerScores: log-probabilities of given continuations
    service.py     GenerationService: the model behind the APIs, waited for, and work that ends where the client hangs up

This room knows the engine and imports no API; the APIs turn their bodies into requests and answers into their objects.
"""
