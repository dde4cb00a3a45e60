"""llguidance, the matcher that enforces grammars: everything that it alone needs. Nothing but backend.py imports this room.

expansions.py         a grammar's rules in lexemes: the values between cutting and printing
lexing_json.py        lexemes along JSON's own tokens, where a grammar's texts are JSON
lexing.py             lexemes of any other grammar, so that greedy lexing leaves its language as it is
lexing_conflicts.py   the places where it would not
lexeme_forms.py       ways of writing a lexeme that llguidance answers from its cache
lazy_lexemes.py       free text up to a marker, known again by its form
compile_order.py      rules in an order in which its compiler fills no stack
lark.py               IR -> its Lark dialect: the text that is enforced
replicas.py           a grammar compiled for one vocabulary, as often as masks are filled at once
end_tokens.py         the model's end token, where a grammar names it
matcher.py            one request's state
factory.py            the factory of matchers for one vocabulary, and the filling of many masks

It knows no JSON Schema, no GBNF and no tool calls.
"""
