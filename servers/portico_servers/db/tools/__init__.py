"""The tools: each a module that defines it. A new one is a module and a line in `registry.py`.

    registry.py          every tool that there is, in order
    definition.py        ToolDefinition, and how a handler runs in a worker thread
    rows.py              `rows`: the structured query
    tables.py            `tables` and `describe`
    query.py             `query`: one SELECT
    explain.py           `explain`: a plan, and where an index may be missing
    canned_queries.py    the owner's queries, a tool each
    write.py             `write`: changes rows, with the user's consent
    statement_result.py  the rows of one statement as an answer
    query_plans.py       advice on indexes from query plans
    render.py            results as text within a bound
    json_schemas.py      fragments of input and output schemas

They run statements through `databases` only, and open none.
"""
