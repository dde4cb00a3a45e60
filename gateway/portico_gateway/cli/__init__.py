"""The command line.

main.py           the group of commands; errors -> exit codes
exit_codes.py     what the numbers mean
interrupt.py      SIGINT also where the shell ignores it
options.py        click options that several commands share
commands/         one module a command, imported when it is used
trust_prompt.py   how a person is asked whether a workspace's configuration counts
view.py           how a person watches a question being answered: `portico ask`
grammar_input.py  what `portico grammar` reads
doctor_checks.py  what `portico doctor` looks at
"""
