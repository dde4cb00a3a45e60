"""The command line.

main.py                the group of commands; errors -> exit codes
exit_codes.py          what the numbers mean
interrupt.py           SIGINT also where the shell ignores it
process_start.py       when this process began
options.py             click options that several commands share
commands/              one module a command, imported when it is used
server_edits.py        which portico.toml is written, and that it counts
trust_prompt.py        how a person is asked whether a workspace's configuration counts
asking.py              a question at the terminal, whichever process answers it
ask_background.py      the same, handed to a process that stays
background_process.py  how such a process answers
background_list.py     which of them there are
screen.py              this process's terminal, or that of a command elsewhere
view.py                how a person watches a question being answered: `portico ask`
chat/                  a conversation at the terminal: `portico chat`
grammar_input.py       what `portico grammar` reads
top_snapshot.py        what `portico top` reads of a running server
top_view.py            how it is shown
models_view.py         models as lines: `portico models`
tokens_view.py         how a text is cut: `portico tokens`
download_line.py       the progress of a download
launch_clients.py      how coding agents are told to use the local model
launch_server.py       the `portico serve` behind a client that is launched
audit_replay.py        a call of the log made again
doctor_check.py        one line of `portico doctor`
doctor_checks.py       what `portico doctor` looks at
doctor_devices.py      the same, of several devices
doctor_places.py       the same, of files, ports and permissions
doctor_kept.py         the same, of what Portico keeps
"""
