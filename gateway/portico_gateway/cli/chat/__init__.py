"""`portico chat`: the loop as a conversation at a terminal.

loop.py             the conversation: a line read, a question asked or a command run, until the end
session.py          what a conversation has: its session of servers and model, its exchanges, its figures
slash_commands.py   /tools /model /adapter /good /bad /stats /save /help /quit
view.py             a question's events as a person reads them: calls as they are decoded, Markdown as it streams
markdown_stream.py  Markdown whose finished blocks are printed while the last one is still written
consent.py          a call approved, denied, edited in place or remembered
line_editor.py      the line that a person writes, with history and completion
transcript.py       a conversation as a Markdown file
"""
