"""`python -m portico_gateway` is the `portico` command."""

from portico_gateway.cli.main import main

main()
