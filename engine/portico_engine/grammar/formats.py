from portico_engine.grammar.ir import Node


def format_language(name: str) -> Node | None:
    return None


def conforms(name: str, value: str) -> bool:
    return True
