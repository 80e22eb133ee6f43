"""Finds the kernels in a C++ source: names, namespaces, template headers, parameters. C++ itself does the rest.

Only declarations are read, never bodies. Template deduction, overloads and conversions are left to the compiler, which
is asked through the `ca_deduce_*` functions that this module writes (see `deducer`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[A-Za-z_]\w*|::|\.\.\.|\S")
_IGNORED = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # comments
    r'|R"(?P<d>[^\s()\\]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\])*"'  # strings
    r"|'(?:\\.|[^'\\])+'"  # characters
    r"|^[ \t]*\#(?:\\\n|[^\n])*",  # preprocessor lines
    re.DOTALL | re.MULTILINE,
)
_NOT_NAMES = {
    "const", "volatile", "unsigned", "signed", "int", "long", "short", "char", "float", "double", "bool", "void",
    "auto", "struct", "class", "enum", "typename", "__restrict__", "__restrict", "wchar_t", "size_t",
}  # fmt: skip
_CLOSING = {"(": ")", "<": ">", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter: its name, and its type as it was written."""

    name: str
    type: str
    pack: bool = False

    @property
    def is_pointer(self) -> bool:
        """Whether it is written as a pointer; a template parameter may turn out to be one."""
        return self.type.rstrip().removesuffix("__restrict__").removesuffix("__restrict").rstrip().endswith("*")

    @property
    def is_number(self) -> bool:
        """Whether it is written as one of C++'s own numbers."""
        return all(word in _NUMBER_WORDS for word in self.type.split())


_NUMBER_WORDS = {"const", "unsigned", "signed", "int", "long", "short", "char", "float", "double", "bool", "size_t"}


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

    def __str__(self) -> str:
        parameters = ", ".join(f"{p.type} {'...' if p.pack else ''}{p.name}" for p in self.parameters)
        return f"{self.template + ' ' if self.template else ''}void {self.name}({parameters})"


def blank_out(source: str) -> str:
    """`source` with comments, strings and preprocessor lines replaced by spaces: every position stays the same."""
    return _IGNORED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)


class _Scanner:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = [(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(blank_out(source))]

    def text(self, index: int) -> str:
        return self.tokens[index][0] if 0 <= index < len(self.tokens) else ""

    def closing(self, index: int) -> int:
        """The index of the bracket that closes the one at `index`."""
        stack: list[str] = []
        for at in range(index, len(self.tokens)):
            token = self.tokens[at][0]
            if token in "([{" or (token == "<" and (not stack or stack[-1] == ">")):
                stack.append(_CLOSING[token])
            elif stack and token == stack[-1]:
                stack.pop()
                if not stack:
                    return at
        return len(self.tokens) - 1

    def slices(self, first: int, last: int) -> list[list[int]]:
        """Token indices from `first` to before `last`, split at commas outside brackets."""
        parts: list[list[int]] = [[]]
        at = first
        while at < last:
            token = self.tokens[at][0]
            if token == ",":
                parts.append([])
            elif token in _CLOSING:
                end = min(self.closing(at), last - 1)
                parts[-1].extend(range(at, end))
                at = end
                parts[-1].append(at)
            else:
                parts[-1].append(at)
            at += 1
        return [part for part in parts if part]

    def spell(self, indices: list[int]) -> str:
        if not indices:
            return ""
        raw = blank_out(self.source)[self.tokens[indices[0]][1] : self.tokens[indices[-1]][2]]
        return " ".join(raw.split())


def find_kernels(source: str) -> list[Declaration]:
    """Every kernel that `source` defines at namespace scope, in order."""
    scan = _Scanner(source)
    found: list[Declaration] = []
    scopes: list[str | None] = []  # a namespace's name ("" for extern "C" {), or None for any other brace
    start = at = 0  # start: the first token of the declaration at hand
    while at < len(scan.tokens):
        token = scan.text(at)
        if token == "namespace":
            name = ""
            at += 1
            while scan.text(at) not in ("{", ";", "=", ""):
                name += scan.text(at) if scan.text(at) != "inline" else ""
                at += 1
            if scan.text(at) == "{":
                scopes.append(name)
            start = at + 1
        elif token == "{":
            linkage = scan.text(at - 1) == "extern"  # its "C" is a string and was blanked out
            scopes.append("" if linkage else None)
            start = at + 1
        elif token == "}":
            if scopes:
                scopes.pop()
            start = at + 1
        elif token == ";":
            start = at + 1
        elif token == "__global__" and None not in scopes:
            declaration, after = _kernel(scan, start, at, tuple(s for s in scopes if s))
            if declaration is not None:
                found.append(declaration)
            at = after
            start = at + 1
        at += 1
    return found


def _kernel(scan: _Scanner, start: int, at: int, namespaces: tuple[str, ...]) -> tuple[Declaration | None, int]:
    template = ""
    arguments: list[str] = []
    if scan.text(start) == "template" and scan.text(start + 1) == "<":
        end = scan.closing(start + 1)
        template = scan.spell(list(range(start, end + 1)))
        arguments = [_template_argument(scan, part) for part in scan.slices(start + 2, end)]
    # The name is the identifier before the first bracket that does not belong to an attribute.
    cursor = at + 1
    while cursor < len(scan.tokens) and scan.text(cursor) not in (";", "{"):
        if scan.text(cursor) == "(":
            name = scan.text(cursor - 1)
            end = scan.closing(cursor)
            attribute = (name.startswith("__") and name not in ("__global__",)) or name == "alignas"
            if not attribute:
                parts = scan.slices(cursor + 1, end)
                if len(parts) == 1 and scan.spell(parts[0]) == "void":
                    parts = []
                parameters = tuple(_parameter(scan, part, k) for k, part in enumerate(parts))
                position = scan.tokens[cursor - 1][1]
                line = scan.source.count("\n", 0, position) + 1
                doc = _comment_before(scan.source, scan.tokens[start][1])
                declaration = Declaration(name, namespaces, template, tuple(arguments), parameters, doc, line)
                is_definition = scan.text(end + 1) == "{"
                body_end = scan.closing(end + 1) if is_definition else end
                return (declaration if is_definition else None), body_end
            cursor = end
        cursor += 1
    return None, cursor


def _template_argument(scan: _Scanner, part: list[int]) -> str:
    before_default = part[: next((k for k, at in enumerate(part) if scan.text(at) == "="), len(part))]
    name = scan.text(before_default[-1])
    pack = "..." in [scan.text(at) for at in before_default]
    return f"{name}..." if pack else name


def _parameter(scan: _Scanner, part: list[int], number: int) -> Parameter:
    part = part[: next((k for k, at in enumerate(part) if scan.text(at) == "="), len(part))]
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
        return Parameter(last, scan.spell(part[:-1]), pack)
    return Parameter(f"argument_{number + 1}", scan.spell(part), pack)


def _comment_before(source: str, position: int) -> str:
    """The comment that ends on the line before a declaration, as its documentation."""
    lines = source[:position].rstrip().splitlines()
    if lines and lines[-1].rstrip().endswith("*/"):
        text = "\n".join(lines)
        comment = text[text.rfind("/*") :]
        return "\n".join(line.strip(" */!\t") for line in comment.splitlines()).strip()
    doc: list[str] = []
    while lines and lines[-1].lstrip().startswith("//"):
        doc.append(lines.pop().lstrip().lstrip("/!").strip())
    return "\n".join(reversed(doc))


def without_c_linkage(source: str) -> str:
    """`source` with kernels in C++ linkage: every module has its namespace, and C linkage would reach through it."""
    source = re.sub(r'extern\s+"C"\s*\{', "inline namespace extern_c {", source)
    return re.sub(r'extern\s+"C"(?=\s+(?:\w+\s+)*?__global__\b)', "", source)


def deducer_name(kernel: str, weak: frozenset[int]) -> str:
    """The function whose return type tells which instance of `kernel` a call means."""
    return f"ca_deduce_{kernel}" + "".join(f"_{position}" for position in sorted(weak))


def deducer(declaration: Declaration, weak: frozenset[int] = frozenset()) -> str:
    """C++: a function declared like the kernel that returns the thunk of the instance which a call of it would use.

    Template arguments are not deduced from the parameters in `weak`: a Python scalar takes the type that the arrays
    give it, as in NumPy.
    """
    types = [f"decltype({p.name}){'...' if p.pack else ''}" for p in declaration.parameters]
    name = declaration.name
    if declaration.template:
        name += f"<{', '.join(declaration.template_arguments)}>"
    instance = f"static_cast<void (*)({', '.join(types)})>(&{name})"
    return _declare(declaration, deducer_name(declaration.name, weak), weak, f"::ca::host::thunk<{instance}>")


def explainer(declaration: Declaration, weak: frozenset[int], name: str) -> str:
    """C++: a function declared like the kernel. A call that does not fit it says why, and leaves no trace of a thunk.

    (What a refused definition instantiates the interpreter does not forget in full; a thunk would stay broken.)
    """
    return _declare(declaration, name, weak, "void")


def _declare(declaration: Declaration, name: str, weak: frozenset[int], result: str) -> str:
    parameters = []
    for position, parameter in enumerate(declaration.parameters):
        written = parameter.type
        if position in weak and not parameter.pack:
            written = f"std::type_identity_t<{written}>"
        parameters.append(f"{written}{'...' if parameter.pack else ''} {parameter.name}")
    opening = " ".join(f"namespace {namespace} {{" for namespace in declaration.namespaces)
    return (
        f"{opening} {declaration.template} auto {name}({', '.join(parameters)}) -> {result}; "
        f"{'}' * len(declaration.namespaces)}\n"
    )
