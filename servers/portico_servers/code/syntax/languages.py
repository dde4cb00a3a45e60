"""Which language a file is in, and what counts as a definition there. It reads no file and knows no index.

Each language has one tree-sitter query. Its captures are named by kind (`@function`, `@class`, ...) over the whole
definition, with `@name` over the name inside it; `@import` marks a line that brings names in. Grammars are loaded on
first use: 20 of them cost 60 ms and some memory, and most projects need three.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from tree_sitter import Language, Query

PYTHON = """
(function_definition name: (_) @name) @function
(class_definition name: (_) @name) @class
(module (expression_statement (assignment left: (identifier) @name) @variable))
(class_definition body: (block (expression_statement (assignment left: (identifier) @name) @variable)))
(type_alias_statement left: (type (identifier) @name)) @type
(import_statement) @import
(import_from_statement) @import
"""

JAVASCRIPT = """
(function_declaration name: (_) @name) @function
(generator_function_declaration name: (_) @name) @function
(class_declaration name: (_) @name) @class
(method_definition name: (_) @name) @method
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression)]) @function
(assignment_expression left: (member_expression property: (_) @name)
  right: [(arrow_function) (function_expression)]) @function
(pair key: (property_identifier) @name value: [(arrow_function) (function_expression)]) @method
(program (lexical_declaration (variable_declarator name: (identifier) @name) @variable))
(program (export_statement declaration: (lexical_declaration (variable_declarator name: (identifier) @name) @variable)))
(import_statement) @import
"""

TYPESCRIPT = (
    JAVASCRIPT
    + """
(abstract_class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(type_alias_declaration name: (_) @name) @type
(enum_declaration name: (_) @name) @enum
(internal_module name: (_) @name) @module
(module name: (_) @name) @module
(function_signature name: (_) @name) @function
(method_signature name: (_) @name) @method
(abstract_method_signature name: (_) @name) @method
(public_field_definition name: (_) @name value: (arrow_function)) @method
"""
)

C = """
(function_definition declarator: (_) @declarator) @function
(declaration declarator: (function_declarator) @declarator) @function
(struct_specifier name: (_) @name body: (_)) @struct
(union_specifier name: (_) @name body: (_)) @struct
(enum_specifier name: (_) @name body: (_)) @enum
(type_definition declarator: (type_identifier) @name) @type
(preproc_def name: (_) @name) @macro
(preproc_function_def name: (_) @name) @macro
(translation_unit (declaration declarator: (init_declarator declarator: (identifier) @name)) @variable)
(preproc_include) @import
"""

CPP = (
    C
    + """
(class_specifier name: (_) @name body: (_)) @class
(namespace_definition name: (_) @name) @module
(alias_declaration name: (_) @name) @type
(concept_definition name: (_) @name) @type
(field_declaration declarator: (function_declarator) @declarator) @method
(using_declaration) @import
"""
)


@dataclass(frozen=True, slots=True)
class LanguageSpec:
    """`package` is the tree-sitter wheel's module, `entry` its function that gives the grammar."""

    name: str
    package: str
    query: str
    extensions: tuple[str, ...]
    filenames: tuple[str, ...] = ()
    entry: str = "language"


LANGUAGES: tuple[LanguageSpec, ...] = (
    LanguageSpec("python", "tree_sitter_python", PYTHON, (".py", ".pyi", ".pyw"), ("SConstruct", "SConscript")),
    LanguageSpec("javascript", "tree_sitter_javascript", JAVASCRIPT, (".js", ".mjs", ".cjs", ".jsx")),
    LanguageSpec("typescript", "tree_sitter_typescript", TYPESCRIPT, (".ts", ".mts", ".cts"), entry="language_typescript"),
    LanguageSpec("tsx", "tree_sitter_typescript", TYPESCRIPT, (".tsx",), entry="language_tsx"),
    LanguageSpec(
        "go",
        "tree_sitter_go",
        """
(function_declaration name: (_) @name) @function
(method_declaration name: (_) @name) @method
(type_spec name: (_) @name type: (struct_type)) @struct
(type_spec name: (_) @name type: (interface_type)) @interface
(type_spec name: (_) @name type: [(type_identifier) (function_type) (map_type)
  (slice_type) (qualified_type) (pointer_type)]) @type
(type_alias name: (_) @name) @type
(source_file (const_declaration (const_spec name: (_) @name) @constant))
(source_file (var_declaration (var_spec name: (_) @name) @variable))
(import_declaration) @import
""",
        (".go",),
    ),
    LanguageSpec(
        "rust",
        "tree_sitter_rust",
        """
(function_item name: (_) @name) @function
(function_signature_item name: (_) @name) @function
(struct_item name: (_) @name) @struct
(union_item name: (_) @name) @struct
(enum_item name: (_) @name) @enum
(trait_item name: (_) @name) @trait
(impl_item type: (_) @name) @impl
(mod_item name: (_) @name body: (_)) @module
(const_item name: (_) @name) @constant
(static_item name: (_) @name) @variable
(type_item name: (_) @name) @type
(macro_definition name: (_) @name) @macro
(use_declaration) @import
""",
        (".rs",),
    ),
    LanguageSpec(
        "java",
        "tree_sitter_java",
        """
(class_declaration name: (_) @name) @class
(record_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(annotation_type_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(method_declaration name: (_) @name) @method
(constructor_declaration name: (_) @name) @method
(import_declaration) @import
""",
        (".java",),
    ),
    LanguageSpec("c", "tree_sitter_c", C, (".c", ".h")),
    # A .h is parsed as C++, which has nearly all of C: read as C, a C++ header is one long error, and slow.
    LanguageSpec(
        "cpp", "tree_sitter_cpp", CPP, (".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".cu", ".cuh", ".inl", ".ipp")
    ),
    LanguageSpec(
        "csharp",
        "tree_sitter_c_sharp",
        """
(class_declaration name: (_) @name) @class
(record_declaration name: (_) @name) @class
(struct_declaration name: (_) @name) @struct
(interface_declaration name: (_) @name) @interface
(enum_declaration name: (_) @name) @enum
(delegate_declaration name: (_) @name) @type
(method_declaration name: (_) @name) @method
(constructor_declaration name: (_) @name) @method
(property_declaration name: (_) @name) @property
(namespace_declaration name: (_) @name) @module
(using_directive) @import
""",
        (".cs",),
    ),
    LanguageSpec(
        "ruby",
        "tree_sitter_ruby",
        """
(module name: (_) @name) @module
(class name: (_) @name) @class
(method name: (_) @name) @method
(singleton_method name: (_) @name) @method
(assignment left: (constant) @name) @constant
(call method: (identifier) @_m (#any-of? @_m "require" "require_relative")) @import
""",
        (".rb", ".rake", ".gemspec"),
        ("Rakefile", "Gemfile"),
    ),
    LanguageSpec(
        "php",
        "tree_sitter_php",
        """
(function_definition name: (_) @name) @function
(class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(trait_declaration name: (_) @name) @trait
(enum_declaration name: (_) @name) @enum
(method_declaration name: (_) @name) @method
(namespace_definition name: (_) @name) @module
(const_declaration (const_element (name) @name)) @constant
(namespace_use_declaration) @import
""",
        (".php",),
        entry="language_php",
    ),
    LanguageSpec(
        "bash",
        "tree_sitter_bash",
        """
(function_definition name: (_) @name) @function
(program (variable_assignment name: (_) @name) @variable)
""",
        (".sh", ".bash", ".zsh", ".bats"),
        (".bashrc", ".profile"),
    ),
    LanguageSpec(
        "sql",
        "tree_sitter_sql",
        """
(create_table (object_reference name: (_) @name)) @table
(create_view (object_reference name: (_) @name)) @view
(create_materialized_view (object_reference name: (_) @name)) @view
(create_function (object_reference name: (_) @name)) @function
(create_index column: (_) @name) @index
(create_type (object_reference name: (_) @name)) @type
""",
        (".sql",),
    ),
    LanguageSpec(
        "json",
        "tree_sitter_json",
        "(document (object (pair key: (string (string_content) @name)) @key))",
        (".json", ".jsonc", ".webmanifest"),
    ),
    LanguageSpec(
        "yaml",
        "tree_sitter_yaml",
        "(document (block_node (block_mapping (block_mapping_pair key: (_) @name) @key)))",
        (".yaml", ".yml"),
    ),
    LanguageSpec(
        "toml",
        "tree_sitter_toml",
        """
(table [(bare_key) (dotted_key) (quoted_key)] @name) @section
(table_array_element [(bare_key) (dotted_key) (quoted_key)] @name) @section
(document (pair [(bare_key) (dotted_key) (quoted_key)] @name) @key)
""",
        (".toml",),
        ("Cargo.lock", "poetry.lock", "uv.lock"),
    ),
    LanguageSpec(
        "markdown",
        "tree_sitter_markdown",
        """
(section (atx_heading heading_content: (_) @name)) @section
(section (setext_heading heading_content: (_) @name)) @section
""",
        (".md", ".markdown", ".mdx"),
    ),
    LanguageSpec(
        "html",
        "tree_sitter_html",
        """
(element (start_tag (attribute (attribute_name) @_a (quoted_attribute_value (attribute_value) @name)) (#eq? @_a "id"))) @element
(element (start_tag (tag_name) @_t) (text) @name (#any-of? @_t "title" "h1" "h2" "h3")) @section
""",
        (".html", ".htm", ".xhtml"),
    ),
    LanguageSpec(
        "css",
        "tree_sitter_css",
        """
(rule_set (selectors) @name) @rule
(keyframes_statement (keyframes_name) @name) @rule
(import_statement) @import
""",
        (".css",),
    ),
)

BY_NAME = {spec.name: spec for spec in LANGUAGES}
_BY_EXTENSION = {extension: spec.name for spec in LANGUAGES for extension in spec.extensions}
_BY_FILENAME = {name: spec.name for spec in LANGUAGES for name in spec.filenames}
# Words that people and models use for a language, to the names above.
ALIASES = {
    "py": "python", "js": "javascript", "jsx": "javascript", "ts": "typescript", "golang": "go", "rs": "rust", "c++": "cpp",
    "c#": "csharp", "cs": "csharp", "rb": "ruby", "sh": "bash", "shell": "bash", "yml": "yaml", "md": "markdown", "htm": "html",
}  # fmt: skip
KINDS = (
    "function", "method", "class", "interface", "struct", "enum", "trait", "impl", "module", "type", "constant", "variable",
    "property", "macro", "table", "view", "index", "section", "key", "element", "rule",
)  # fmt: skip


class UnknownLanguage(ValueError):
    """A language that no file here can be in."""

    def __init__(self, given: str) -> None:
        super().__init__(f"unknown language {given[:40]!r}: use one of {', '.join(sorted(BY_NAME))}, text")


def language_of(path: str) -> str:
    """The language of a file by its name: a key of `BY_NAME`, or `text`."""
    pure = PurePosixPath(path)
    return _BY_FILENAME.get(pure.name) or _BY_EXTENSION.get(pure.suffix.lower(), "text")


def may_be(path: str, language: str) -> bool:
    """Whether a file of that name can be in that language: a .h is a header of C and of C++."""
    spec = BY_NAME.get(language)
    if spec is None:
        return language_of(path) == language
    pure = PurePosixPath(path)
    return pure.suffix.lower() in spec.extensions or pure.name in spec.filenames


def normalize(name: str) -> str:
    """The language that a user's word means. Raises `UnknownLanguage`."""
    word = name.strip().lower().lstrip(".")
    word = ALIASES.get(word, word)
    if word not in BY_NAME and word != "text":
        raise UnknownLanguage(name)
    return word


@functools.cache
def grammar(name: str) -> tuple[Language, Query]:
    """The grammar and the definitions query of a language in `BY_NAME`: both may be shared between threads."""
    spec = BY_NAME[name]
    language = Language(getattr(importlib.import_module(spec.package), spec.entry)())
    return language, Query(language, spec.query)
