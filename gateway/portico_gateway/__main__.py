"""`python -m portico_gateway` is the `portico` command. Where the working directory isn't trusted: `python -P -m`."""

from portico_gateway.cli.main import main

main()
