"""What OpenAI's APIs have in common, for the rooms of each.

    body.py      turns with their calls, and the forms of an answer, as both bodies hold them
    objects.py   objects that both answers hold: log-probabilities
    errors.py    the shape of an error
    models.py    GET /v1/models

It imports neither of those rooms.
"""
