"""Writes the C++ functions through which the compiler is asked which instance of a kernel a call means."""

from __future__ import annotations

from cuarray._kernel.declarations import Declaration


def deducer_name(kernel: str, weak: frozenset[int]) -> str:
    """The function whose return type tells which instance of `kernel` a call means."""
    return f"ca_deduce_{kernel}" + "".join(f"_{position}" for position in sorted(weak))


def deducer(declaration: Declaration, weak: frozenset[int] = frozenset()) -> str:
    """C++: a function declared like the kernel that returns the thunk of the instance which a call of it would use.

    Template arguments are not deduced from the parameters in `weak`: a Python scalar takes the type that the arrays
    give it, as in NumPy.
    """
    types = [] if declaration.mode is None else [f"::ca::host::Here<{declaration.mode}>"]
    types += [f"decltype({p.name}){'...' if p.pack else ''}" for p in declaration.parameters]
    name = declaration.name
    if declaration.template:
        name += f"<{', '.join(declaration.template_arguments)}>"
    instance = (
        f"static_cast<{'::ca::host::Passes' if declaration.guarded else 'void'} (*)({', '.join(types)})>(&{name})"
    )
    return _declare(declaration, deducer_name(declaration.name, weak), weak, f"::ca::host::thunk<{instance}>")


def explainer(declaration: Declaration, weak: frozenset[int], name: str) -> str:
    """C++: a function declared like the kernel. A call that does not fit it says why, and leaves no trace of a thunk.

    (What a refused definition instantiates the interpreter does not forget in full; a thunk would stay broken.)
    """
    return _declare(declaration, name, weak, "void")


def default_name(declaration: Declaration, position: int) -> str:
    """The function that returns a parameter's default argument."""
    return f"ca_default_{declaration.name}_{declaration.line}_{position}"


def defaults(declaration: Declaration) -> str:
    """C++: for each default argument, a function that returns it; its template arguments are the kernel's."""
    text = ""
    for position, parameter in enumerate(declaration.parameters):
        if parameter.default:
            # Through a function type, so that `const` and an array's decay are as for the parameter.
            name = default_name(declaration, position)
            text += (
                f"{declaration.template} inline auto {name}() "
                f"{{ return static_cast<::std::decay_t<{parameter.type}>>({parameter.default}); }}\n"
            )
    return _in_namespaces(declaration, text)


def _declare(declaration: Declaration, name: str, weak: frozenset[int], result: str) -> str:
    parameters = []
    for position, parameter in enumerate(declaration.parameters):
        written = parameter.type
        if position in weak and not parameter.pack:
            written = f"std::type_identity_t<{written}>"
        default = f" = {parameter.default}" if parameter.default else ""
        parameters.append(f"{written}{'...' if parameter.pack else ''} {parameter.name}{default}")
    return _in_namespaces(declaration, f"{declaration.template} auto {name}({', '.join(parameters)}) -> {result};\n")


def _in_namespaces(declaration: Declaration, text: str) -> str:
    if not text:
        return ""
    opening = " ".join(f"namespace {namespace} {{" for namespace in declaration.namespaces)
    return f"{opening} {text}{'}' * len(declaration.namespaces)}\n"
