"""The terminals of Lark's `common` library by name, in Lark's own words; one may use others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COMMON: Mapping[str, str] = MappingProxyType(
    {
        "DIGIT": "/[0-9]/",
        "HEXDIGIT": "/[0-9a-fA-F]/",
        "INT": "DIGIT+",
        "SIGNED_INT": '("+" | "-")? INT',
        "DECIMAL": 'INT "." INT? | "." INT',
        "EXPONENT": '("e" | "E") SIGNED_INT',
        "FLOAT": "INT EXPONENT | DECIMAL EXPONENT?",
        "SIGNED_FLOAT": '("+" | "-")? FLOAT',
        "NUMBER": "FLOAT | INT",
        "SIGNED_NUMBER": '("+" | "-")? NUMBER',
        "ESCAPED_STRING": r'/"([^"\\\n]|\\.)*"/',
        "LCASE_LETTER": "/[a-z]/",
        "UCASE_LETTER": "/[A-Z]/",
        "LETTER": "/[a-zA-Z]/",
        "WORD": "LETTER+",
        "CNAME": "/[a-zA-Z_][a-zA-Z_0-9]*/",
        "WS_INLINE": r"/[ \t]+/",
        "WS": r"/[ \t\f\r\n]+/",
        "CR": r"/\r/",
        "LF": r"/\n/",
        "NEWLINE": r"/(\r?\n)+/",
        "SH_COMMENT": r"/#[^\n]*/",
        "CPP_COMMENT": r"/\/\/[^\n]*/",
        "SQL_COMMENT": r"/--[^\n]*/",
        "C_COMMENT": r"/\/\*([^*]|\*+[^*\/])*\*+\//",
    }
)
