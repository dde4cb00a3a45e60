"""Regular languages: automata, numbers, strings, formats."""
