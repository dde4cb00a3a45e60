"""Guidance: what helps a small model choose a tool and its arguments. It moves logits, and narrows a schema to what is said.

    stemming.py                content words and stems
    question.py                a question, read once: tokens, and the values that it spells out
    languages/                 questions in other languages, by the words that are known in English
    schema_views.py            JSON Schemas without references, and every word that a definition says
    description_convention.py  what descriptions say to the local model (docs/tool-descriptions.md), and their one reader
    weights.py                 Weights: every number that the rest weighs by
    catalog_search.py          which few of very many tools fit
    tool_retrieval.py          which tool fits a question
    slots.py                   an object's alternatives, as slots to fill
    word_coverage.py           which words of a question are accounted for; phrases and names among them
    conditions.py              which name each value goes with
    alternatives.py            which alternative a question speaks for, and what it says about each
    definition_similarity.py   how near a question is to a tool's definition, whatever its server
    change_verbs.py            does a question ask for a change, does a tool make one
    copying/                   the copy grammar: arguments that only repeat what a question says
    tool_nearness.py           which tools of a request are near, where no server is known
    tool_choice.py             which tool, once it is known what each could be called with
    question_readings.py       how a tool's own server reads a question
    question_evidence.py       what readings say of which tool knows
    read_calls.py              a guided call with what the servers themselves say
    guided_call.py             what a call is generated under
    call_guide.py              CallGuide: all of it for one call, for the agent and the HTTP APIs
    argument_readings.py       a tool's arguments, read once: keys, values, alternatives
    argument_priors.py         ArgumentPriors: all of it as a prior over one tool's arguments

It knows tools as names, descriptions and JSON Schemas, and of the engine its root API alone: no server, no prompt, no model.
"""
