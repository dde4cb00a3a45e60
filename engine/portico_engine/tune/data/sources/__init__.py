"""The published data sets, each read from its own form to `Example`.

seal_tools.py   questions with gold calls, and schemas to ask plain questions about
spoken.py       spoken requests whose slots are marked: Sonos, NLU-Home
intents.py      requests that name no values: CLINC150, MetaTool
rlla.py         turns with several calls: ToolRL's RLLA
tool_lists.py   tools/list of MCP servers
own.py          our own specifications
"""
