"""Rewrites the functions of a source so that they say what they do: the C++ side is kernels/host/debug.hpp.

- Before each statement, `CA_AT` says where the thread is.
- `x[i]`, `*p` and `p->m` become `subscript(x)[i]`, `*pointee(p)` and `pointee(p)->m`, which check the pointer, and what
  they name is passed through `touch`, which knows whether it is read, written or both.
- After variables in shared memory, `shared_variable` says where they are.

No types are understood: the functions take whatever stands there, and let pass what is no pointer or array. Where an
expression cannot be told from a declaration, it is left alone.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict

from cuarray._kernel.scanner import Scanner

_AT = "CA_AT "
_KEYWORDS = {
    "if", "else", "for", "while", "do", "switch", "case", "default", "return", "break", "continue", "goto", "sizeof",
    "alignof", "decltype", "typeid", "noexcept", "new", "delete", "throw", "co_return", "co_await", "co_yield",
    "static_assert", "using", "typedef", "template", "typename", "operator", "const", "constexpr", "static_cast",
    "reinterpret_cast", "const_cast", "dynamic_cast", "true", "false", "nullptr", "and", "or", "not",
}  # fmt: skip
# A name after one of these begins an operand.
_BEFORE_OPERAND = {"return", "case", "else", "do", "throw", "and", "or", "not", "co_return", "co_yield"}
# And assert, which says what stands there.
_UNEVALUATED = {"sizeof", "alignof", "decltype", "typeid", "noexcept", "static_assert", "assert"}
_SPECIFIERS = {
    "const", "constexpr", "static", "volatile", "unsigned", "signed", "int", "long", "short", "char", "float", "double",
    "bool", "void", "auto", "register", "extern", "thread_local", "struct", "class", "union", "enum", "typename",
    "__shared__", "__device__", "__constant__", "__restrict__", "__align__", "alignas", "inline",
}  # fmt: skip
_TYPE_WORDS = {"unsigned", "signed", "int", "long", "short", "char", "float", "double", "bool", "void", "auto"}
_NOT_STATEMENTS = {
    "using",
    "typedef",
    "static_assert",
    "template",
    "asm",
    "__asm__",
    "struct",
    "class",
    "union",
    "enum",
}
_UPDATES = ("++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=")
_ATOMIC = re.compile(r"atomic[A-Z]\w*|__ld[a-z]{1,2}|__st[a-z]{1,2}")
_D = "::ca::debug::"
_CALLER = f" const {_D}Caller ca_caller;"


def instrument(source: str, statements_only: bool = False) -> str:
    """`source` with all function bodies at namespace and class scope rewritten.

    statements_only: expressions stay as they are.
    """
    return _Rewriter(source, statements_only).rewritten()


class _Rewriter(Scanner):
    def __init__(self, source: str, statements_only: bool) -> None:
        super().__init__(source)
        self._statements_only = statements_only
        self._before: dict[int, list[str]] = defaultdict(list)
        self._marks: dict[int, list[str]] = defaultdict(list)  # before what `_before` holds
        self._after: dict[int, list[str]] = defaultdict(list)
        self._arguments: dict[str, int] = {}  # the names that stand for a kernel's pointers in this function
        self._shared: set[str] = set()  # this function's variables in shared memory that are no arrays

    def rewritten(self) -> str:
        self._scope(0, len(self))
        out, at = [], 0
        for index, (_, start, end) in enumerate(self.tokens):
            if index in self._before or index in self._after or index in self._marks:
                out += [
                    self.source[at:start],
                    *self._marks[index],
                    *self._before[index],
                    self.source[start:end],
                    *self._after[index],
                ]
                at = end
        return "".join((*out, self.source[at:]))

    # ---- tokens
    def _pair(self, index: int, what: str) -> bool:
        """Whether these characters stand at `index` without space between them."""
        return self.blanked.startswith(what, self.tokens[index][1]) if index < len(self) else False

    def _close(self, index: int) -> int:
        """The index of what closes the bracket at `index`; `<` is an operator here."""
        depth = 0
        for at in range(index, len(self)):
            token = self.text(at)
            depth += (token in "([{") - (token in ")]}")
            if depth == 0:
                return at
        return len(self) - 1

    def _until(self, at: int, end: int, stops: str) -> int:
        """The first of `stops` outside brackets."""
        while at < end and self.text(at) not in stops:
            at = self._close(at) + 1 if self.text(at) in "([{" else at + 1
        return min(at, end)

    # ---- namespaces and classes
    def _scope(self, at: int, end: int) -> None:
        while at < end:
            at = self._declaration(at, end)

    def _declaration(self, start: int, end: int) -> int:
        at = start
        while self.text(at) == "template" and self.text(at + 1) == "<":
            at = self.closing(at + 1) + 1
        head = at
        parameters = -1
        has_value = False
        while at < end:
            token = self.text(at)
            if token == ";":
                return at + 1
            if token == ":" and parameters < 0 and self.text(head) in ("public", "private", "protected"):
                return at + 1
            if token == "=" and self.text(at - 1) != "operator":
                has_value = True
            if token in "([":
                close = self._close(at)
                if token == "(" and not has_value and not self._is_attribute(at):
                    parameters = at if parameters < 0 else parameters
                    if self.text(at - 1) == "operator":  # operator()(...)
                        parameters = -1
                at = close
            elif token == ":" and parameters >= 0 and not self._pair(at, "::") and not has_value:
                at = self._skip_initialisers(at + 1, end) - 1
            elif token == "{":
                close = self._close(at)
                words = {self.text(k) for k in range(head, at)}
                if has_value or "enum" in words:
                    pass
                elif self.text(head) in ("namespace", "inline", "extern") and ("namespace" in words or at - head == 1):
                    self._scope(at + 1, close)
                    return close + 1
                elif words & {"struct", "class", "union"} and self.text(at - 1) != ")":
                    self._scope(at + 1, close)
                elif parameters >= 0:
                    self._function(head, parameters, at, close)
                    return close + 1
                at = close
            elif token == "}":
                return at + 1
            at += 1
        return max(at, start + 1)

    def _is_attribute(self, opening: int) -> bool:
        before = self.text(opening - 1)
        return before in ("alignas", "decltype", "explicit", "noexcept", "requires") or (
            before.startswith("__") and before.endswith("__")
        )

    def _skip_initialisers(self, at: int, end: int) -> int:
        """From a constructor's initialisers to its body."""
        while at < end:
            if self.text(at) in "({":
                if self.text(at) == "{" and self.text(at - 1) in ")}":
                    return at
                at = self._close(at)
            at += 1
        return at

    # ---- functions
    def _function(self, head: int, parameters: int, opening: int, closing: int) -> None:
        self._arguments, self._shared = {}, set()
        if not self._is_kernel(head, parameters):
            self._after[opening].append(_CALLER)
        else:
            for number, part in enumerate(self.slices(parameters + 1, self.closing(parameters))):
                texts = [self.text(k) for k in part]
                if "..." in texts:
                    break
                names = texts[: texts.index("=")] if "=" in texts else texts
                if len(names) > 1 and "*" in names and not self._is_assigned(names[-1], opening, closing):
                    self._arguments[names[-1]] = number
        self._block(opening, closing)

    def _is_kernel(self, head: int, parameters: int) -> bool:
        return "__global__" in (self.text(k) for k in range(head, parameters))

    def _is_assigned(self, name: str, first: int, last: int, times: int = 0) -> bool:
        found = sum(
            self.text(k) == name and self.text(k + 1) == "=" and not self._pair(k + 1, "==") for k in range(first, last)
        )
        return found > times

    def _block(self, opening: int, closing: int) -> None:
        at = opening + 1
        while at < closing:
            at = self._statement(at, closing, marked=True)

    def _substatement(self, at: int, end: int) -> int:
        """The statement after an `if`, `else` or loop: in braces, so that there is place for more."""
        if self.text(at) == "{":
            return self._statement(at, end, marked=False)
        if self.text(at) == ";":
            return at + 1
        last = self._statement(at, end, marked=True)
        self._marks[at].insert(0, "{")
        self._after[last - 1].append("}")
        return last

    def _mark(self, at: int) -> None:
        # Between a loop and its #pragma nothing may stand.
        before = self.source[self.tokens[at - 1][2] if at else 0 : self.tokens[at][1]]
        if not re.search(r"^[ \t]*#[ \t]*pragma\b", before, re.MULTILINE):
            self._marks[at].insert(0, _AT)

    def _statement(self, at: int, end: int, marked: bool) -> int:
        """Rewrites the statement that begins at `at`; the index after it."""
        token = self.text(at)
        if token == "{":
            close = self._close(at)
            self._block(at, close)
            return close + 1
        if token == ";":
            return at + 1
        if token in ("case", "default"):
            colon = at + 1
            while colon < end and (self.text(colon) != ":" or self._pair(colon, "::") or self._pair(colon - 1, "::")):
                colon = self._close(colon) + 1 if self.text(colon) in "([{" else colon + 1
            return colon + 1
        if self.is_name(at) and token not in _KEYWORDS and self.text(at + 1) == ":" and not self._pair(at + 1, "::"):
            return at + 2  # a label
        if token in ("if", "for", "while", "switch"):
            if marked:
                self._mark(at)
            return self._controlled(at, end)
        if token == "do":
            if marked:
                self._mark(at)
            last = self._substatement(at + 1, end)
            if self.text(last) == "while" and self.text(last + 1) == "(":
                self._expression(last + 2, self._close(last + 1))
            return self._until(last, end, ";") + 1
        if token == "else" or token == "try":
            return self._substatement(at + 1, end)
        if token == "catch":
            return self._substatement(self._close(at + 1) + 1, end)
        if token in _NOT_STATEMENTS:
            if token in ("struct", "class", "union", "enum") and self.text(self._until(at, end, ";{")) == ";":
                return self._simple(at, end, marked)
            return self._until(at, end, ";") + 1
        return self._simple(at, end, marked)

    def _controlled(self, at: int, end: int) -> int:
        token = self.text(at)
        opening = at + 1
        if self.text(opening) == "constexpr":
            is_constant = True
            opening += 1
        else:
            is_constant = False
        if self.text(opening) != "(":
            return self._until(at, end, ";") + 1
        close = self._close(opening)
        if token == "for":
            self._for_header(opening, close)
        elif not is_constant:
            first = self._until(opening + 1, close, ";")
            if first < close:  # if (init; condition)
                self._clause(opening + 1, first)
                self._clause(first + 1, close)
            else:
                self._clause(opening + 1, close)
        last = self._substatement(close + 1, end)
        if token == "if" and self.text(last) == "else":
            last = self._substatement(last + 1, end)
        return last

    def _for_header(self, opening: int, close: int) -> None:
        first = self._until(opening + 1, close, ";")
        if first == close:  # for (declaration : range)
            colon = self._until(opening + 1, close, ":")
            while colon < close and (self._pair(colon, "::") or self._pair(colon - 1, "::")):
                colon = self._until(colon + 1, close, ":")
            self._expression(colon + 1, close)
            return
        self._clause(opening + 1, first)
        second = self._until(first + 1, close, ";")
        for low, high in ((first + 1, second), (second + 1, close)):
            is_declaration = self._declarators(low, high) is not None
            self._clause(low, high)
            if low < high and not is_declaration:
                self._marks[low].insert(0, f"{_D}at(), ")

    def _clause(self, at: int, end: int) -> None:
        """A declaration or an expression."""
        first = self._declarators(at, end)
        if first is None:
            self._expression(at, end)
        else:
            self._declare(at, first, end)

    def _simple(self, at: int, end: int, marked: bool) -> int:
        semicolon = self._until(at, end, ";")
        if marked:
            self._mark(at)
        first = self._declarators(at, semicolon)
        if first is None:
            self._expression(at, semicolon)
        else:
            words = [self.text(k) for k in range(at, first)]
            function = "dynamic_shared" if "extern" in words else "shared_variable"
            names = [self.text(first)] if "extern" in words else self._declare(at, first, semicolon)
            if "__shared__" in words:
                self._after[semicolon] += [f' {_D}{function}({name}, "{name}");' for name in names]
        return semicolon + 1

    # ---- declarations
    def _declarators(self, at: int, end: int) -> int | None:
        """Where the names begin that a statement declares, after their type; None for an expression."""
        start = at
        words = typed = False
        while at < end:
            token = self.text(at)
            if token in ("alignas", "__align__", "decltype", "__attribute__") and self.text(at + 1) == "(":
                typed |= token == "decltype"
                words = True
                at = self._close(at + 1) + 1
            elif token == "[" and self.text(at + 1) == "[":
                at = self._close(at) + 1
            elif token in _SPECIFIERS:
                words = True
                typed |= token in _TYPE_WORDS
                at += 1
            elif not typed and (self.is_name(at) or token == "::") and token not in _KEYWORDS:
                # A type's name: qualified, with template arguments.
                k = at + (token == "::")
                while self.is_name(k):
                    k += 1
                    if self.text(k) == "<":
                        closing = self._template_end(k, end)
                        if closing is None:
                            return None
                        k = closing + 1
                    if self.text(k) != "::":
                        break
                    k += 1
                if k >= end or not (words or self._begins_declarator(k, end)):
                    return None
                typed, at = True, k
            else:
                break
        if not typed or at >= end or at == start:
            return None
        # After a type: a name, and before it * and &; `int(x)` and `float4{...}` are expressions.
        return at if self._begins_declarator(at, end) else None

    def _begins_declarator(self, at: int, end: int) -> bool:
        stars = False
        while at < end and self.text(at) in ("*", "&", "const", "__restrict__", "__restrict", "volatile"):
            stars = True
            at += 1
        if at >= end:
            return False
        if self.text(at) == "[" and (stars or self.text(at - 1) == "auto"):
            return True  # structured bindings
        if self.text(at) == "(":
            return self.text(at + 1) in ("*", "&") and self.text(self._close(at) + 1) in ("(", "[")
        if not self.is_name(at) or self.text(at) in _KEYWORDS:
            return False
        if at + 1 >= end:
            return True
        return self.text(at + 1) in ("=", "[", "(", "{", ",", ":") and not self._pair(at + 1, "==")

    def _template_end(self, opening: int, end: int) -> int | None:
        """What closes the `<` at `opening`, if it opens template arguments."""
        depth, at = 0, opening
        while at < end:
            token = self.text(at)
            if token in "([{":
                at = self._close(at)
            elif token in "<>":
                depth += 1 if token == "<" else -1
                if depth == 0:
                    return at
            elif token in (";", "=", "|") or (token == "&" and self._pair(at, "&&")):
                return None
            at += 1
        return None

    def _declare(self, start: int, first: int, end: int) -> list[str]:
        """Rewrites the initialisers of a declaration; the names of what it declares."""
        names = []
        is_shared = "__shared__" in (self.text(k) for k in range(start, first))
        at = first
        while at < end:
            stop = self._until(at, end, ",")
            value = next((k for k in range(at, stop) if self.text(k) in ("=", "{")), stop)
            bracket = next((k for k in range(at, value) if self.text(k) in "(["), value)
            if value == stop and bracket < stop and self.text(bracket) == "(":
                value = bracket  # float x(1);
            name = next((k for k in range(min(bracket, value) - 1, at - 1, -1) if self.is_name(k)), None)
            if name is not None:
                names.append(self.text(name))
                if is_shared and bracket == value:
                    self._shared.add(self.text(name))
                self._derive(name, value, stop)
            if value < stop:
                self._expression(value + (self.text(value) == "="), stop)
            at = stop + 1
        return names

    def _derive(self, name: int, value: int, stop: int) -> None:
        """Notes that a pointer points into the array of a kernel's argument, if it is made of that."""
        if self.text(value) != "=" or self._is_assigned(self.text(name), name, self._function_end(name), 1):
            self._arguments.pop(self.text(name), None)
            return
        at = value + 1
        address = self.text(at) == "&" and at + 1 < stop
        source = self._arguments.get(self.text(at + address))
        after = at + address + 1
        if address:
            after = self._close(after) + 1 if self.text(after) == "[" else stop + 1
        conditional = any(self.text(k) == "?" for k in range(at, stop))
        if source is not None and not conditional and (after == stop or self.text(after) in "+-"):
            self._arguments[self.text(name)] = source
        else:
            self._arguments.pop(self.text(name), None)

    def _function_end(self, at: int) -> int:
        depth = 0
        while at < len(self) and depth > -1:
            depth += (self.text(at) == "{") - (self.text(at) == "}")
            at += 1
        return at

    # ---- expressions
    def _expression(self, at: int, end: int) -> None:
        if self._statements_only:
            return
        while at < end:
            token = self.text(at)
            if token in _UNEVALUATED and self.text(at + 1) == "(":
                at = self._close(at + 1) + 1
            elif token == "[" and self._is_operand(at):
                at = self._lambda(at, end)
            elif token == "*" and self._is_operand(at) and not self._pair(at, "*="):
                at = self._dereference(at, end)
            elif (token in ("(", "::") and self._is_operand(at)) or (
                self.is_name(at) and token not in _KEYWORDS and not self._is_part(at)
            ):
                at = self._postfix(at, end)
            elif token == "new":
                at = self._until(at, end, ",;")
            else:
                at += 1

    def _is_operand(self, at: int) -> bool:
        """Whether what stands at `at` begins an operand: an operator or bracket is before it."""
        before = self.text(at - 1)
        if before in _BEFORE_OPERAND:
            return True
        if before == ")" and self.text(at - 2) in ("*", "&"):
            return True  # after a cast
        return not (self.is_name(at - 1) or before in (")", "]", "}") or before.isdigit())

    def _is_part(self, at: int) -> bool:
        """Whether the name at `at` is the rest of a qualified name, a member or a number."""
        before = self.text(at - 1)
        return before in ("::", ".") or before.isdigit() or (before == ">" and self._pair(at - 2, "->"))

    def _lambda(self, at: int, end: int) -> int:
        if self.text(at + 1) == "[":
            return self._close(at) + 1  # an attribute
        at = self._close(at) + 1
        opening = self._until(at, end, "{,;")
        while self.text(opening) == "," and opening < end:
            opening = self._until(opening + 1, end, "{,;")
        if self.text(opening) != "{" or opening >= end:
            return at
        close = self._close(opening)
        self._after[opening].append(_CALLER)
        self._block(opening, close)
        return close + 1

    def _dereference(self, star: int, end: int) -> int:
        first = star + 1
        if self.text(first) == "*":
            last = self._dereference(first, end)
        elif self.text(first) == "(" and self.text(self._close(first) - 1) == "*":  # a cast
            last = self._unary(self._close(first) + 1, end)
            if last == self._close(first) + 1:
                return last
        elif self.text(first) == "(" or (self.is_name(first) and self.text(first) not in _KEYWORDS):
            last = self._postfix(first, end, dereferenced=True)
        else:
            return star + 1
        if self._pair(last, "++") or self._pair(last, "--"):
            last += 2
        if first == last:
            return star + 1
        self._wrap(first, last - 1, f"{_D}pointee<{self._root(first, last)}>(", f", {self._quote(first, last)})")
        self._touch(star, last - 1)
        return last

    def _unary(self, at: int, end: int) -> int:
        """The index after an operand with the operators before it, which is rewritten."""
        if self.text(at) == "*":
            return self._dereference(at, end)
        if self.text(at) in ("&", "-", "+", "!", "~"):
            return self._unary(at + 1, end)
        if self.text(at) == "(" or (self.is_name(at) and self.text(at) not in _KEYWORDS):
            return self._postfix(at, end)
        return at

    def _is_type(self, opening: int, last: int) -> bool:
        """Whether these brackets hold a type: `(*)`, or a cast before what is still to come."""
        return self._close(opening) == last - 1 and all(
            self.text(k) in _SPECIFIERS or self.text(k) in "*&" for k in range(opening + 1, last - 1)
        )

    def _postfix(self, first: int, end: int, dereferenced: bool = False) -> int:
        """Rewrites a name or brackets and what follows: subscripts, members, calls. The index after it."""
        at = first + 1 + (self.text(first) == "::")
        checked = called = False
        if self.text(first) == "(":
            close = self._close(first)
            self._expression(first + 1, close)
            at = close + 1
            # `f<T>(x)[i]` and casts begin earlier; `(float (*)[4])`, `(T*)` hold types.
            if self.text(first - 1) == ">" or self._is_type(first, at):
                return at
            if not (self.text(at) in ("[", ".") or self._pair(at, "->")):
                return at
        elif not dereferenced and self.text(first) in self._shared:
            checked = True
        while at < end:
            token = self.text(at)
            if token == "[":
                close = self._close(at)
                if self.text(at + 1) == "]" or (self.text(first) == "this" and at == first + 1):
                    return close + 1
                self._expression(at + 1, close)
                takes_address = self._takes_address(first) and not self._continues(close + 1)
                end_flag = ", true" if takes_address and not self._is_atomic(first - 1) else ""
                self._wrap(
                    first, at - 1, f"{_D}subscript<{self._root(first, at)}{end_flag}>(", f", {self._quote(first, at)})"
                )
                checked, called, at = True, False, close + 1
            elif token == "(":
                close = self._close(at)
                self._call(at, close)
                called, checked, at = True, False, close + 1
            elif token == "." and self.text(at + 1) != ".":
                at += 1 + (self.text(at + 1) == "template")
                called = False
                at += 1
            elif token == "::":
                at += 2
            elif self._pair(at, "->") and self.is_name(at + 2):
                if not (self.text(first) == "this" and at == first + 1):
                    self._wrap(first, at - 1, f"{_D}pointee<{self._root(first, at)}>(", f", {self._quote(first, at)})")
                    checked = True
                called, at = False, at + 3
            elif token == "{" and at == first + 1:
                self._expression(at + 1, self._close(at))
                return self._close(at) + 1
            else:
                break
        if checked and not called:
            self._touch(first, at - 1)
        return at

    def _continues(self, at: int) -> bool:
        return self.text(at) in ("[", ".", "(") or self._pair(at, "->")

    def _call(self, opening: int, close: int) -> None:
        self._expression(opening + 1, close)
        if self._is_atomic(opening) and opening + 1 < close and self.text(opening + 1) != "&":
            stop = self._until(opening + 1, close, ",")
            root, quoted = self._root(opening + 1, stop), self._quote(opening + 1, stop)
            self._before[opening + 1].insert(0, f"{_D}pointee<{root}>(")
            self._after[stop - 1].append(f", {quoted})")

    def _is_atomic(self, opening: int) -> bool:
        if self.text(opening) == "&":
            opening -= 1
        return self.text(opening) == "(" and _ATOMIC.fullmatch(self.text(opening - 1)) is not None

    def _takes_address(self, first: int) -> bool:
        return self.text(first - 1) == "&" and self._is_operand(first - 1) and self.text(first - 2) != "&"

    def _touch(self, first: int, last: int) -> None:
        if self._takes_address(first):
            return
        self._wrap(first, last, f"{_D}touch<{_D}{self._access(first, last + 1)}>(", ")")

    def _access(self, first: int, after: int) -> str:
        """What is done to the operand from `first` to before `after`, by the operators around it."""
        if self._pair(after, "=") and not self._pair(after, "=="):
            return "writes"
        if first >= 2 and (self._pair(first - 2, "++") or self._pair(first - 2, "--")):
            return "updates"
        return "updates" if any(self._pair(after, operator) for operator in _UPDATES) else "reads"

    def _wrap(self, first: int, last: int, before: str, after: str) -> None:
        self._before[first].insert(0, before)
        self._after[last].append(after)

    def _root(self, first: int, stop: int) -> int:
        """The kernel's argument that a pointer expression is made of; -1 if that is not known."""
        if any(self.text(k) == "?" for k in range(first, stop)):
            return -1
        while self.text(first) == "(":
            first += 1
        simple = first + 1 == stop or self.text(first + 1) in ("+", "-", ")")
        return self._arguments.get(self.text(first), -1) if simple else -1

    def _quote(self, first: int, stop: int) -> str:
        text = self.spell(list(range(first, stop)))[:60]
        simple = self.text(first) == "(" or all(
            self.is_name(k) or self.text(k) in ".[]0123456789" for k in range(first, stop)
        )
        return json.dumps(text if simple else f"({text})", ensure_ascii=False)
