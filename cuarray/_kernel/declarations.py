"""Reads what a C++ source declares at namespace scope: kernels, variables, and the names that other sources may use.

Only declarations are read, never bodies, and no types are understood. Template deduction, overloads and conversions
are left to the compiler, which is asked through the functions that deducers.py writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from cuarray._kernel.scanner import Scanner

_NOT_NAMES = {
    "const", "volatile", "unsigned", "signed", "int", "long", "short", "char", "float", "double", "bool", "void",
    "auto", "struct", "class", "enum", "typename", "__restrict__", "__restrict", "wchar_t", "size_t",
}  # fmt: skip
_NUMBER_WORDS = {"const", "unsigned", "signed", "int", "long", "short", "char", "float", "double", "bool", "size_t"}
_TYPE_WORDS = {"struct", "class", "union", "enum"}
_MEMORY_WORDS = {"__device__", "__constant__", "__managed__"}
# Before a function's parameters there can be other brackets: of attributes and of these.
_BRACKETED_WORDS = {"alignas", "decltype", "noexcept", "requires", "explicit"}


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter: its name, and its type and default argument as they were written."""

    name: str
    type: str
    pack: bool = False
    default: str = ""

    @property
    def is_pointer(self) -> bool:
        """Whether it is written as a pointer; a template parameter may turn out to be one."""
        return self.type.rstrip().removesuffix("__restrict__").removesuffix("__restrict").rstrip().endswith("*")

    @property
    def is_number(self) -> bool:
        """Whether it is written as one of C++'s own numbers."""
        return all(word in _NUMBER_WORDS for word in self.type.split())

    def __str__(self) -> str:
        return f"{self.type} {'...' if self.pack else ''}{self.name}{f' = {self.default}' if self.default else ''}"


@dataclass(frozen=True)
class Declaration:
    """One `__global__` function, or function template."""

    name: str
    namespaces: tuple[str, ...]
    template: str  # "template <class T, int N>", or "" for a plain function
    template_arguments: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    doc: str
    line: int
    # How host_text.py rewrote it for the CPU: the mode of its ca::host::Here, None if it has none; if it is guarded.
    mode: int | None = None
    guarded: bool = False

    def __str__(self) -> str:
        return f"{self.template + ' ' if self.template else ''}void {self.name}({', '.join(map(str, self.parameters))})"

    def takes(self, count: int) -> bool:
        """Whether a call with this many arguments can mean this declaration."""
        required = sum(not p.default and not p.pack for p in self.parameters)
        return count >= required and (count <= len(self.parameters) or any(p.pack for p in self.parameters))


@dataclass(frozen=True)
class Variable:
    """A `__device__`, `__constant__` or `__managed__` variable."""

    name: str
    namespaces: tuple[str, ...]
    constant: bool


@dataclass(frozen=True)
class Function:
    """A `__device__` function or function template, or a class or class template whose objects are called like one."""

    name: str
    namespaces: tuple[str, ...]
    is_type: bool


@dataclass
class Contents:
    """What a source declares."""

    kernels: list[Declaration] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    # What later sources may use, with namespaces: types, functions, templates, constants.
    declared: set[str] = field(default_factory=set)
    types: list[str] = field(default_factory=list)  # classes and enums, with their namespaces: "ns::Particle"
    macros: dict[str, str] = field(default_factory=dict)  # unconditional ones: name to directive

    @property
    def names(self) -> set[str]:
        """What is declared at the source's outermost scope."""
        return {name for name in self.declared if "::" not in name}

    @property
    def namespaces(self) -> set[str]:
        """The namespaces at the source's outermost scope."""
        return {name.split("::")[0] for name in self.declared if "::" in name}


class Piece(NamedTuple):
    """One declaration of namespace scope, as indices of tokens."""

    start: int
    end: int
    declarator: int  # after `template <...>`
    opening: int  # the bracket before a function's parameters; `end` if it is none
    function: str  # the name of a function that only its name reaches; "" for anything else
    kernel: int | None  # which of Contents.kernels this is


def read(source: str) -> Contents:
    """What `source` declares at namespace scope, in order."""
    return read_pieces(source)[0]


def read_pieces(source: str) -> tuple[Contents, Scanner, list[Piece]]:
    """What `source` declares at namespace scope, and where."""
    scan = Scanner(source)
    contents = Contents(macros=_macros(source))
    pieces: list[Piece] = []
    scopes: list[str] = []  # the namespaces that are open; "" for extern "C" {
    at = 0
    while at < len(scan):
        token = scan.text(at)
        if token == "}":
            if scopes:
                scopes.pop()
            at += 1
        elif token in (";", "inline") and (token == ";" or scan.text(at + 1) == "namespace"):
            at += 1
        elif token == "namespace":
            at = _namespace(scan, at, scopes, contents)
        elif token == "extern" and scan.text(at + 1) == "{":  # its "C" is a string and was blanked out
            scopes.append("")
            at += 2
        elif token == "using" and scan.text(at + 1) == "namespace":
            at = _end(scan, at)
        else:
            end = _end(scan, at)
            namespaces = tuple(s for s in scopes if s)
            kernels = len(contents.kernels)
            names = _declaration(scan, at, end, namespaces, contents)
            contents.declared.update("::".join((*namespaces, name)) for name in names)
            pieces.append(_piece(scan, at, end, names, kernels if len(contents.kernels) > kernels else None))
            at = max(end, at + 1)
    return contents, scan, pieces


def _piece(scan: Scanner, start: int, end: int, names: list[str], kernel: int | None) -> Piece:
    at = start
    while scan.text(at) == "template" and scan.text(at + 1) == "<":
        at = scan.closing(at + 1) + 1
    opening = None if scan.text(at) in (*_TYPE_WORDS, "using", "concept", "typedef") else _parameters(scan, at, end)
    is_function = opening is not None and len(names) == 1 and scan.text(opening - 1) == names[0]
    return Piece(start, end, at, end if opening is None else opening, names[0] if is_function else "", kernel)


def find_kernels(source: str) -> list[Declaration]:
    """Every kernel that `source` defines at namespace scope, in order."""
    return read(source).kernels


def _namespace(scan: Scanner, at: int, scopes: list[str], contents: Contents) -> int:
    name = ""
    at += 1
    while scan.text(at) not in ("{", ";", "=", ""):
        name += scan.text(at) if scan.text(at) != "inline" else ""
        at += 1
    if scan.text(at) == "{":
        scopes.append(name)
        return at + 1
    return _end(scan, at)


def _end(scan: Scanner, start: int) -> int:
    """The index after the declaration that begins at `start`."""
    at = start
    if scan.text(at) == "template" and scan.text(at + 1) == "<":
        at = scan.closing(at + 1) + 1
    is_function = has_value = False
    is_type = scan.text(at) in (*_TYPE_WORDS, "typedef")
    while at < len(scan):
        token = scan.text(at)
        if token == ";":
            return at + 1
        if token == "}":  # of the enclosing namespace: what was here is no declaration
            return at
        if token == "=":
            has_value = True
        if token in "([{":
            end = scan.closing(at)
            if token == "(" and not has_value:
                is_function = True
            if token == "{" and is_function and not has_value and not is_type:
                return end + 1
            at = end
        at += 1
    return at


def _declaration(scan: Scanner, start: int, end: int, namespaces: tuple[str, ...], contents: Contents) -> list[str]:
    """Notes kernels, variables and types; returns the names that others may use."""
    at = start
    template: list[int] = []
    while scan.text(at) == "template":
        if scan.text(at + 1) != "<":
            return []  # an explicit instantiation
        closing = scan.closing(at + 1)
        template, at = list(range(at, closing + 1)), closing + 1
    first = scan.text(at)
    if first in _TYPE_WORDS:
        name = _type_name(scan, at, end)
        if name and not template:
            contents.types.append("::".join((*namespaces, name)))
        if name and _has_call_operator(scan, at, end):
            contents.functions.append(Function(name, namespaces, True))
        names = [name] if name else []
        if first == "enum" and scan.text(at + 1) not in ("class", "struct"):
            opening = next((k for k in range(at, end) if scan.text(k) == "{"), end)
            names += [scan.text(part[0]) for part in scan.slices(opening + 1, scan.closing(opening))]
        return names
    if first in ("using", "concept"):
        before = next((k for k in range(at, end) if scan.text(k) in ("=", ";")), end)
        return [scan.text(before - 1)] if scan.is_name(before - 1) else []
    if first == "typedef":
        return [scan.text(end - 2)] if scan.is_name(end - 2) else []
    opening_bracket = _parameters(scan, at, end)
    if opening_bracket is None:
        return _variables(scan, at, end, namespaces, contents)
    name = scan.text(opening_bracket - 1)
    if not scan.is_name(opening_bracket - 1) or name == "operator" or scan.text(opening_bracket - 2) == "::":
        return []  # a specialisation, a member, or an operator: found through its arguments
    specifiers = {scan.text(k) for k in range(at, opening_bracket)}
    if "__global__" not in specifiers:
        if "__device__" in specifiers:
            # A lambda of namespace scope was made by a function (see with_named_lambdas).
            function = Function(name.removeprefix(_LAMBDA_PREFIX), namespaces, False)
            if function not in contents.functions:  # overloads are one function
                contents.functions.append(function)
        return [name]
    if scan.text(end - 1) == "}":
        contents.kernels.append(_kernel(scan, start, template, opening_bracket, namespaces))
    return []


def _parameters(scan: Scanner, at: int, end: int) -> int | None:
    """The index of the bracket that opens a function's parameters; None if this declares no function."""
    while at < end:
        token = scan.text(at)
        if token in ("=", "{", ";"):
            return None
        if token == "(":
            before = scan.text(at - 1)
            attribute = before in _BRACKETED_WORDS or (before.startswith("__") and before.endswith("__"))
            if not attribute:
                return at
            at = scan.closing(at)
        elif token == "[" and scan.text(at + 1) == "[":
            at = scan.closing(at)
        at += 1
    return None


def _type_name(scan: Scanner, at: int, end: int) -> str:
    """The name of a class or enum; "" for a specialisation."""
    at += 1
    while at < end:
        token = scan.text(at)
        if token in ("class", "struct", "final"):
            at += 1
        elif token == "(" or (token == "[" and scan.text(at + 1) == "["):
            at = scan.closing(at) + 1
        elif token in _BRACKETED_WORDS or (token.startswith("__") and scan.text(at + 1) == "("):
            at += 1
        else:
            return token if scan.is_name(at) and scan.text(at + 1) != "<" else ""
    return ""


def _has_call_operator(scan: Scanner, at: int, end: int) -> bool:
    """Whether the body of a class has a `__device__ ... operator()(`."""
    since: set[str] = set()  # the tokens of a member's declaration so far
    while at < end:
        token = scan.text(at)
        if token == "operator" and [scan.text(at + k) for k in (1, 2, 3)] == ["(", ")", "("] and "__device__" in since:
            return True
        since = set() if token in (";", "{", "}") else since | {token}
        at += 1
    return False


def _variables(scan: Scanner, at: int, end: int, namespaces: tuple[str, ...], contents: Contents) -> list[str]:
    words = [scan.text(k) for k in range(at, end)]
    until = next((k for k, word in enumerate(words) if word in ("=", "[", "{", ";")), len(words))
    specifiers = set(words[:until])
    if "extern" in specifiers:
        return []
    usable = []
    for number, part in enumerate(scan.slices(at, end - 1 if scan.text(end - 1) == ";" else end)):
        stop = next((k for k, index in enumerate(part) if scan.text(index) in ("=", "[", "{")), len(part))
        if stop == 0 or not scan.is_name(part[stop - 1]) or (number == 0 and stop == 1):
            continue
        name = scan.text(part[stop - 1])
        if specifiers & _MEMORY_WORDS and "constexpr" not in specifiers:
            contents.variables.append(Variable(name, namespaces, "__constant__" in specifiers))
        if specifiers & {"const", "constexpr", "auto", "__constant__"}:
            usable.append(name)
    return usable


def _kernel(scan: Scanner, start: int, template: list[int], opening: int, namespaces: tuple[str, ...]) -> Declaration:
    arguments = (
        [_template_argument(scan, part) for part in scan.slices(template[0] + 2, template[-1])] if template else []
    )
    parts = scan.slices(opening + 1, scan.closing(opening))
    if len(parts) == 1 and scan.spell(parts[0]) == "void":
        parts = []
    return Declaration(
        scan.text(opening - 1),
        namespaces,
        scan.spell(template),
        tuple(arguments),
        tuple(_parameter(scan, part, k) for k, part in enumerate(parts)),
        scan.comment_before(start),
        scan.line(opening - 1),
    )


def _before_default(scan: Scanner, part: list[int]) -> int:
    return next((k for k, at in enumerate(part) if scan.text(at) == "="), len(part))


def _template_argument(scan: Scanner, part: list[int]) -> str:
    declared = part[: _before_default(scan, part)]
    name = scan.text(declared[-1])
    return f"{name}..." if "..." in [scan.text(at) for at in declared] else name


def _parameter(scan: Scanner, part: list[int], number: int) -> Parameter:
    stop = _before_default(scan, part)
    default = scan.between(part[stop], part[-1] + 1) if stop < len(part) else ""
    part = part[:stop]
    texts = [scan.text(at) for at in part]
    pack = "..." in texts
    if pack:
        part = [at for at in part if scan.text(at) != "..."]
        texts = [scan.text(at) for at in part]
    last = texts[-1]
    named = (
        len(texts) > 1
        and re.match(r"[A-Za-z_]\w*$", last) is not None
        and last not in _NOT_NAMES
        and texts[-2] not in ("::", "struct", "class", "enum", "typename")
        and not all(text in ("const", "volatile") for text in texts[:-1])
    )
    if named:
        return Parameter(last, scan.spell(part[:-1]), pack, default)
    return Parameter(f"argument_{number + 1}", scan.spell(part), pack, default)


_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(?P<word>\w+)[ \t]*(?P<name>\w*)(?:\\\n|[^\n])*", re.MULTILINE)


def _macros(source: str) -> dict[str, str]:
    """The macros that a source defines outside conditions, and still has at its end."""
    found: dict[str, str] = {}
    directives = list(_DIRECTIVE.finditer(source))
    # An include guard around a whole header is no condition.
    guarded = (
        len(directives) > 2
        and directives[0]["word"] == "ifndef"
        and directives[1]["word"] == "define"
        and directives[0]["name"] == directives[1]["name"]
        and directives[-1]["word"] == "endif"
    )
    depth = -1 if guarded else 0
    for match in directives:
        word, name = match["word"], match["name"]
        if word in ("if", "ifdef", "ifndef"):
            depth += 1
        elif word == "endif":
            depth -= 1
        elif word == "define" and depth == 0:
            found[name] = match.group()
        elif word == "undef":
            found.pop(name, None)
    return found


def without_c_linkage(source: str) -> str:
    """`source` with kernels in C++ linkage: every module has its namespace, and C linkage would reach through it."""
    source = re.sub(r'extern\s+"C"\s*\{', "inline namespace extern_c {", source)
    return re.sub(r'extern\s+"C"(?=\s+(?:\w+\s+)*?(?:__global__|__device__|__constant__|__host__)\b)', "", source)


_LAMBDA_PREFIX = "ca_lambda_"
_LAMBDA = re.compile(
    r"(?P<before>(?:\b(?:static|inline|const|constexpr|__device__)\s+)*)\bauto\s+(?P<name>[A-Za-z_]\w*)\s*=\s*(?=\[\s*\])"
)


def with_named_lambdas(source: str) -> str:
    """`source` with each `auto f = [] ...;` of namespace scope made by a function.

    The GPU's compiler takes the type of a lambda as a kernel's template argument only if a device function made it.
    """
    if not _LAMBDA.search(source):
        return source
    scan = Scanner(source)
    edits: list[tuple[int, int, str]] = []
    for match in _LAMBDA.finditer(scan.blanked):
        before = scan.blanked[: match.start()]
        first = next(k for k, token in enumerate(scan.tokens) if token[1] >= match.end())
        end = next((k for k in range(first, len(scan)) if scan.text(k) == "{"), None)
        if end is None or _inside_a_body(before):
            continue
        closing = scan.closing(end)
        if scan.text(closing + 1) != ";":
            continue
        start, body, stop = scan.tokens[first][1], scan.tokens[end][1], scan.tokens[closing][2]
        head = re.sub(r"__(?:device|host)__", "", source[start:body])
        name = match["name"]
        text = (
            f"__device__ constexpr auto {_LAMBDA_PREFIX}{name}() {{ return {head}{source[body:stop]}; }} "
            f"constexpr auto {name} = {_LAMBDA_PREFIX}{name}();"
        )
        edits.append((match.start(), scan.tokens[closing + 1][2], text))
    for start, stop, text in reversed(edits):
        source = source[:start] + text + source[stop:]
    return source


def _inside_a_body(before: str) -> bool:
    """Whether what follows `before` stands in a function or class rather than at namespace scope."""
    open_braces: list[bool] = []
    last = 0
    for position, character in enumerate(before):
        if character == "{":
            head = before[last:position]
            open_braces.append(re.search(r"\bnamespace\b[\w\s:]*$|\bextern\s*$", head) is not None)
        elif character == "}" and open_braces:
            open_braces.pop()
        if character in ";{}":
            last = position + 1
    return not all(open_braces)
