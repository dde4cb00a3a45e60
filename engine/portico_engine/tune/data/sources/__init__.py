"""Data sets as examples. Each module names its set, its paper and its licence.

own.py             our own tools and questions
own_servers/       our three servers over workspaces, with all of their tools
seal_tools.py      Seal-Tools
intents.py         CLINC150 and MetaTool: which tool, and whether any
rlla.py            ToolRL's RLLA
spoken.py          Sonos NLU and NLU-Evaluation-Data: requests with slots
tool_lists.py      `tools/list` of real MCP servers
compressed.py      files under xz
"""
