"""`portico tune`: what of the gateway's goes into training, and the commands' work. The one room that uses the engine's `tune`,
which is imported when a command runs.

prompts.py      what the product says of tools, as rows have to say it
own_tools.py    a user's tools: of the running servers, or of tools/list files
call_log.py     the audit log's calls, with what became of each
log_rows.py     those as rows: kept, put right, refused
masking.py      secrets and personal data in them
data_set.py     `tune data`: rows from all sources into files
judging.py      `tune eval`: before and after, and whether an adapter may be installed
installing.py   an adapter into the user's folder and portico.toml
catalog.py      `tune catalog`: an adapter for one user's tools, from their lists alone
"""
