"""Definitions: sources in their namespaces, and what they see of each other.

A source is defined once, in a namespace of its own whose name is a digest of all that it depends on; so it can be
defined again with other contents, and the same text is the same definition, in this process and in the cache on disk.
On the host every definition stays in the interpreter. The GPU's compiler sees one text at a time, so there the earlier
definitions that a source uses stand before it.

- A name of an earlier source that a source mentions brings that source with it. The latest that declares a name counts:
  a cell of a notebook that is run again replaces what it defined, for the cells that come after.
- `#include "x"` of a file in the include_dirs, or of a source that was defined with that name, makes a definition of it
  and brings all of it, macros included. A header that was changed is a new definition.
- Other `#include`s are left to the compilers.
"""

from __future__ import annotations

import json
import re
import sys
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cuarray._errors import CompileError
from cuarray._kernel import host_text
from cuarray._kernel.declarations import Contents, Declaration, read, read_pieces, with_named_lambdas, without_c_linkage
from cuarray._kernel.deducers import deducer, defaults
from cuarray._kernel.scanner import identifiers
from cuarray._runtime import LinkedCode, Source, cling
from cuarray._runtime.options import macros as option_macros

_INCLUDE_OR_BRANCH = re.compile(r"^[ \t]*#[ \t]*(?P<directive>include|else|elif|endif)\b[^\n]*", re.MULTILINE)
_QUOTED_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"(?P<name>[^"\n]+)"[^\n]*', re.MULTILINE)
_PRAGMA_ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once\b[^\n]*", re.MULTILINE)
_PRELUDE = '#include "complex.cuh"\n#include "view.cuh"\n'
NAMESPACE = re.compile(r"cuarray_module_[0-9a-f]{16}::")


@dataclass(frozen=True, eq=False)
class Definition:
    """A source that is defined."""

    name: str
    namespace: str  # "" for a definition at global scope, made with cppyy
    device_text: str  # for the GPU's compiler, without what it needs
    contents: Contents  # with the kernels of the headers that it includes
    needs: tuple[Definition, ...]  # every definition that this one uses, directly or not, earlier ones first
    macros: dict[str, str]  # name to directive: its own and those of what it includes
    source: Source | None = None
    includes: tuple[Definition, ...] = ()
    link: tuple[LinkedCode, ...] = ()  # what it calls and other compilers make for the GPU
    parts: host_text.Parts = field(default_factory=dict)  # what its functions and macros mention

    @property
    def visible_names(self) -> set[str]:
        """The names that an include of it brings."""
        return self.contents.names.union(*(included.visible_names for included in self.includes))

    @property
    def has_state(self) -> bool:
        """Whether it has variables that kernels write, which kernels of two sources cannot share."""
        return any(not v.constant for needed in (*self.needs, self) for v in needed.contents.variables)


_by_name: dict[str, Definition] = {}  # the latest definition of every name
_by_source_name: dict[str, Definition] = {}  # for #include "name"
_by_digest: dict[str, Definition] = {}  # headers, and cppyy's definitions
_as_written: set[str] = set()  # the namespaces of those whose rewritten text was refused
_by_namespace: weakref.WeakValueDictionary[str, Definition] = weakref.WeakValueDictionary()


def define(
    source: str,
    name: str | None,
    include_dirs: Sequence[str] = (),
    options: tuple[str, ...] = (),
    std: str = "c++17",
    including: tuple[str, ...] = (),
) -> Definition:
    """Define a source for the host, and make it visible to later ones; CompileError if it is not C++."""
    text = with_named_lambdas(without_c_linkage(source))
    with cling.lock:
        body, includes = _take_out_includes(text, include_dirs, options, std, including)
        contents, scan, pieces = read_pieces(text)
        parts = host_text.parts(
            scan, pieces, {m: line.split(maxsplit=2)[2] for m, line in option_macros(options).items()}
        )
        contents.kernels[:0] = [kernel for included in includes for kernel in included.contents.kernels]
        contents.functions[:0] = [function for included in includes for function in included.contents.functions]
        used = _used(body, contents, includes)
        using = _using(used, includes)
        needs = tuple(dict.fromkeys(n for definition in used for n in (*definition.needs, definition)))
        before = "".join(needed.device_text for needed in needs)
        inherited = {macro: line for included in includes for macro, line in included.macros.items()}
        inherited |= option_macros(options)
        digest = Source("", before + using + text, tuple(include_dirs), options=options, std=std).digest
        namespace = f"cuarray_module_{digest}"
        own_name = name or f"cudadef_{digest[:6]}"
        inherited_lines = "".join(f"{line}\n" for line in inherited.values())
        wrapped = inherited_lines + _wrap(body, namespace, using, own_name)
        macros = {**inherited, **contents.macros}
        own = Definition(own_name, namespace, wrapped + _undefine(macros), contents, needs, macros)
        variables = tuple(
            f"&{needed.namespace}::{'::'.join((*variable.namespaces, variable.name))}"
            for needed in (*needs, own)
            for variable in needed.contents.variables
        )
        device = Source(
            own_name,
            _PRELUDE + before + wrapped,
            tuple(include_dirs),
            namespace,
            contract=True,
            options=options,
            std=std,
            variables=variables,
            link=linked_code(needs),
        )
        definition = Definition(
            own_name, namespace, own.device_text, contents, needs, macros, device, tuple(includes), (), parts
        )
        rewritten = None
        if not including:  # a header's kernels may be instantiated by what includes it, with the parameters they have
            known = host_text.merge([parts, *(needed.parts for needed in needs)])
            host_body, kernels = host_text.rewrite(body, scan, pieces, contents, known)
            if host_body != body:
                rewritten = inherited_lines + _wrap(host_body, namespace, using, own_name), kernels
        for directory in include_dirs:
            cling.interpreter().add_include_path(directory)
        # On their own first: headers that a refused source brought are rolled back, and not read again.
        cling.define_headers()
        try:
            _define_on_host(definition, wrapped, rewritten)
        except CompileError as error:
            raise CompileError(f"{error}{_hint(str(error))}") from None
        if not including:
            register(definition, named=name is not None)
        return definition


def linked_code(needs: Iterable[Definition]) -> tuple[LinkedCode, ...]:
    """What the GPU's linker must add to kernels that use these definitions."""
    return tuple(dict.fromkeys(code for needed in needs for code in needed.link))


def _define_on_host(definition: Definition, wrapped: str, rewritten: tuple[str, list[Declaration]] | None) -> None:
    contents = definition.contents
    if rewritten is not None and definition.namespace not in _as_written:
        written, contents.kernels = contents.kernels, rewritten[1]
        try:
            cling.define_once(definition.namespace, _host_text(definition, rewritten[0]), definition.name)
            return
        except CompileError:  # the message shall be about the source as it was written
            contents.kernels = written
            _as_written.add(definition.namespace)  # which is what it is when the same source comes again
    cling.define_once(definition.namespace, _host_text(definition, wrapped), definition.name)


def host_directives(definition: Definition) -> tuple[str, str]:
    """The lines that bring a definition's macros back, for more text in its namespace, and that take them away."""
    lines = definition.macros
    return "".join(f"{line}\n" for line in lines.values()), _undefine(lines)


def _undefine(macros: Iterable[str]) -> str:
    return "".join(f"#undef {macro}\n" for macro in macros)


def _host_text(definition: Definition, wrapped: str) -> str:
    helpers = "".join(deducer(d) + defaults(d) for d in definition.contents.kernels)
    return cling.as_kernel_source(
        f"{wrapped}namespace {definition.namespace} {{\n{helpers}}}\n{_undefine(definition.macros)}"
    )


def _wrap(body: str, namespace: str, using: str, name: str) -> str:
    # What other includes bring is not part of the module: they stand between the end and a new beginning of the
    # namespace, where they were, so that an #if around them still holds. Lines are numbered anew after both.
    opening = f"namespace {namespace} {{ using namespace ::ca::cuda_functions; {using}"
    line = f"#line {{}} {json.dumps(name)}"

    def outside(match: re.Match[str]) -> str:
        after = line.format(body.count("\n", 0, match.start()) + 2)
        if match["directive"] != "include":
            return f"{match.group()}\n{after}"
        return f"}}\n{match.group().strip()}\n{opening}\n{after}"

    wrapped = _INCLUDE_OR_BRANCH.sub(outside, body) if "#" in body else body
    return f"{opening}\n{line.format(1)}\n{wrapped}\n}}\n"


# ---- what a source sees


def _take_out_includes(
    source: str, include_dirs: Sequence[str], options: tuple[str, ...], std: str, including: tuple[str, ...]
) -> tuple[str, list[Definition]]:
    """`source` without the includes that are definitions of their own, and these definitions."""
    includes: list[Definition] = []

    def take_out(match: re.Match[str]) -> str:
        name = match["name"]
        for directory in include_dirs:
            path = Path(directory) / name
            if path.is_file():
                key = str(path.resolve())
                if key in including:
                    raise CompileError(f"{name} includes itself, by way of {', '.join(including)}")
                includes.append(_header(path, include_dirs, options, std, (*including, key)))
                return ""
        if name in _by_source_name:
            includes.append(_by_source_name[name])
            return ""
        return match.group()

    return _QUOTED_INCLUDE.sub(take_out, source), list(dict.fromkeys(includes))


def _header(
    path: Path, include_dirs: Sequence[str], options: tuple[str, ...], std: str, including: tuple[str, ...]
) -> Definition:
    text = _PRAGMA_ONCE.sub("", path.read_text())
    key = Source("", text, (str(path), *include_dirs), options=options, std=std).digest
    directories = dict.fromkeys((str(path.parent), *include_dirs))
    made = define(text, path.name, tuple(directories), options, std, including)
    # Unchanged, and nothing changed that it includes: the same types as before.
    if key not in _by_digest or _by_digest[key].namespace != made.namespace:
        _by_digest[key] = made
    return _by_digest[key]


def _used(source: str, contents: Contents, includes: Sequence[Definition]) -> dict[Definition, set[str]]:
    """The definitions that `source` uses, each with the names that it mentions; all names of those that it includes."""
    _note_cppyy_definitions()
    own = contents.names | {k.name for k in contents.kernels} | {v.name for v in contents.variables}
    used: dict[Definition, set[str]] = {definition: set() for definition in includes}
    own = own.union(*(included.visible_names for included in includes))
    for name in sorted(identifiers(source) - own):
        definition = _by_name.get(name)
        if definition is None or definition in includes or definition.has_state:
            continue
        # A namespace that the source reopens: joined, unless this is what was in it before, defined anew.
        if name in contents.namespaces and definition.contents.declared & contents.declared:
            continue
        used.setdefault(definition, set()).add(name)
    return used


def _using(used: dict[Definition, set[str]], includes: Sequence[Definition]) -> str:
    lines = []
    for definition, names in used.items():
        if not definition.namespace:
            continue
        spaces = definition.contents.namespaces
        if definition in includes:
            lines.append(f"using namespace ::{definition.namespace};")
            names = spaces
        elif definition.link and definition.source is None:  # a Python function: with its functor type
            names = definition.contents.names
        for name in sorted(names):
            if name in spaces:
                lines.append(f"namespace {name} {{ using namespace ::{definition.namespace}::{name}; }}")
            else:
                lines.append(f"using ::{definition.namespace}::{name};")
    return " ".join(lines)


def register(definition: Definition, named: bool) -> None:
    """Make a definition visible to the sources that come after it."""
    _by_namespace[definition.namespace] = definition
    for name in (*definition.contents.names, *definition.contents.namespaces):
        _by_name[name] = definition
    if named:
        _by_source_name[definition.name] = definition


def mentioned(definition: Definition, name: str) -> tuple[Definition, ...]:
    """The definitions besides those that `definition` sees which C++ with their namespaces in it needs, in order."""
    known = {definition, *definition.needs}
    found: dict[Definition, None] = {}
    for namespace in NAMESPACE.findall(name):
        other = _by_namespace.get(namespace.removesuffix("::"))
        if other is not None and other.namespace != definition.namespace:
            found.update(dict.fromkeys(needed for needed in (*other.needs, other) if needed not in known))
    return tuple(found)


def _hint(message: str) -> str:
    """Why a name that was defined is not known, if that is so."""
    for name in re.findall(r"(?:undeclared identifier|unknown type name|no template named) '(\w+)'", message):
        definition = _by_name.get(name)
        if definition is not None and definition.has_state:
            return (
                f"\n{name} is declared in {definition.name}, whose __device__ variables kernels of another source "
                "cannot share: define both in one source, or pass an array instead of the variable"
            )
    return ""


def _note_cppyy_definitions() -> None:
    extension = sys.modules.get("cuarray.cppyy_ext")
    for text in extension.definitions() if extension else ():
        if text not in _by_digest:
            # Standard headers are for the host; what needs them does not compile for the GPU, and says so.
            device_text = re.sub(r"^[ \t]*#[ \t]*include\b[^\n]*", "", text, flags=re.MULTILINE) + "\n"
            parts = {"": frozenset(identifiers(text))}
            definition = Definition("a definition of cppyy", "", device_text, read(text), (), {}, parts=parts)
            _by_digest[text] = definition
            register(definition, named=False)
