"""A model of this machine's own engine, as the loop sees one: its prompts, and its turns under our grammar.

local_model.py       LocalModel: implements `TurnModel`
tool_form.py         how this model is told of tools and writes calls: its template's own way, or ours
prompt_builder.py    turns to a prompt that fits, and how much of it is the same for every question
turn_generation.py   one turn as a request, within what is left of time and tokens
parsed_turn.py       one answer of the model, as it is written: thought, text, calls
"""
