"""Typed decisions: questions about a state, answered with probabilities and without a text being written.

    question.py     Question: what is asked, in no API's words, and how it is put to the model
    calibration.py  from log-probabilities of answers to probabilities that mean what they say
    decide.py       Decider: the state computed once, each question branched behind it, its answers scored
    openai_body.py  the body of POST /v1/decisions
    openai_objects.py  its answer
    system_one.py   body and answer of POST /v1/systemone, as TypeSafe, Ollama and llama.cpp's server have it
    endpoint.py     both paths

A decision is an estimate and never a permission: nothing here, and nothing that is made of it, approves a call.
It knows `generation/` and the shape of OpenAI's errors, and no other API.
"""
