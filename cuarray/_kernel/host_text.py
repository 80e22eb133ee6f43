"""Rewrites kernels for the CPU's compiler, so that it sees a block's threads as a loop that it can vectorise.

By default a kernel reads threadIdx from memory, where barriers, warps and fibers find it. A kernel that needs none of
these, nor calls what does, takes its indices by value instead, as a first parameter (`ca::host::Here` of grid.hpp):

    __global__ void f(int n)             becomes   inline void f(::ca::host::Here<0> ca_here, int n)

- Guards at its beginning, `if (i >= n) return;` or `if (i < n) ...` around all the rest, are also asked beforehand
  which threads pass them; the kernel then returns bool, and runs without them for those that do.
- Where blockIdx.x and threadIdx.x stand in nothing but `blockIdx.x * blockDim.x + threadIdx.x`, the threads of
  neighbouring blocks are one loop.
- A grid-stride loop that is the whole kernel, and carries nothing from one round to the next, is run round by round:
  all threads do one, then all the next.

Threads of a block that do not meet are not ordered in CUDA, and each still does its own work in order. Tokens are all
that is looked at: what is not known to be safe stays as it is. All edits keep every line where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cuarray._kernel.declarations import Contents, Declaration, Piece
from cuarray._kernel.scanner import Scanner, identifiers

FUSED, STRIDED = 1, 2  # as in ca::host::Here
_INDEX_NAMES = {"threadIdx", "blockIdx", "blockDim", "gridDim"}
# What looks for its thread in memory, or waits for another one, or leaves the kernel.
_REFUSED = {
    "assert", "volatile", "asm", "goto", "try", "throw", "cooperative_groups", "alloca", "extern", "static",
    "co_await", "co_return", "co_yield", "class", "struct", "union", "thread_local", "ca_here", "atomic",
    "this_thread_block", "this_grid", "this_thread", "this_cluster", "tiled_partition", "coalesced_threads",
    "binary_partition", "labeled_partition", "thread_block", "grid_group", "thread_group", "coalesced_group",
    "thread_block_tile", "cluster_group",
}  # fmt: skip
_REFUSED_IN_FUNCTIONS = _REFUSED - {"class", "struct", "union", "static", "extern"} | {"threadIdx"}
_REFUSED_BEGINNINGS = ("atomicCAS", "ca_", "pthread_", "cg")
# Of the names with two underscores those that are functions of their arguments alone, or say how something is declared.
_ALLOWED = re.compile(
    r"__(?:restrict(?:__)?|(?:device|host|forceinline|noinline|inline|constant|launch_bounds|grid_constant|align)__"
    r"|ldg|ldc[agsv]|ldlu|st(?:wb|cg|cs|wt)|\w+_r[nzud](?:_\w+)?|[a-z]*mul(?:hi|24|64hi)|(?:popc|clz|ffs|brev)(?:ll)?"
    r"|(?:exp|exp10|log|log2|log10|sin|cos|tan|tanh|pow|sincos|saturate|fdivide)f|\w+_as_\w+|[a-z]+2[a-z]\w*"
    r"|u?sad|u?r?hadd|dp[24]a(?:_\w+)?|byte_perm|funnelshift_\w+|half2?|half_raw|nv_bfloat162?|builtin_assume)"
)
_INTEGER_WORDS = {
    "int", "unsigned", "signed", "long", "short", "size_t", "ptrdiff_t", "int32_t", "uint32_t", "int64_t", "uint64_t",
    "std", "::", "const",
}  # fmt: skip
_NUMBER_WORDS = _INTEGER_WORDS | {"float", "double", "bool", "char", "auto", "constexpr"}
_SIMPLE_CALLS = {"min", "max", "static_cast", "sizeof", *_NUMBER_WORDS, "if"}
_KEYWORDS = {"if", "for", "while", "do", "switch", "return", "break", "continue", "else", "case", "default", "using"}
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(?P<word>\w+)(?P<rest>(?:\\\n|[^\n])*)", re.MULTILINE)
_UNKNOWN = "__unknown"  # a name that is refused
_HEADERS = (
    "math", "stdint", "stddef", "stdio", "stdlib", "string", "float", "limits", "assert", "cuda", "cu", "vector_",
    "device_", "cooperative_groups", "complex", "view", "ops", "host/",
)  # fmt: skip
# The words that may stand before a kernel's name.
_SPECIFIERS = {"__global__", "void", "static", "inline"}


# A function, or "#" and a macro, to the names in it; those of everything else under "".
Parts = dict[str, frozenset[str]]


def parts(scan: Scanner, pieces: Iterable[Piece], given: Mapping[str, str]) -> Parts:
    """The names that a source's functions and macros, and everything that is no kernel, mention.

    given: macros from outside.
    """
    found: dict[str, set[str]] = {"": set()}
    for piece in pieces:
        if piece.kernel is None:
            words = {scan.text(k) for k in range(piece.start, piece.end) if scan.is_name(k)}
            found.setdefault(piece.function, set()).update(words)
    for name, value in given.items():
        found.setdefault(f"#{name}", set()).update(identifiers(value))
    for match in _DIRECTIVE.finditer(scan.source):
        word, rest = match["word"], match["rest"]
        if word == "define":
            names = re.findall(r"[A-Za-z_]\w*", rest)
            if "##" in rest:  # it makes names that do not stand here
                found[""].add(_UNKNOWN)
            elif names:
                found.setdefault(f"#{names[0]}", set()).update(names[1:])
        elif word == "include" and not _known_header(rest):
            found[""].add(_UNKNOWN)
    return {name: frozenset(words) for name, words in found.items()}


def _known_header(written: str) -> bool:
    """Whether it is a header of C++, of C, or of CUDA: these bring nothing that looks for its thread, but in names."""
    match = re.match(r'[<"]([\w/]+)(\.h|\.hpp|\.cuh)?[>"]', written.strip())
    if not match or match[1] == "atomic":
        return False
    return not match[2] or written.strip()[1:].startswith(_HEADERS)


def merge(every: Iterable[Parts]) -> Parts:
    """Parts of several sources as one."""
    merged: dict[str, set[str]] = {"": set()}
    for one in every:
        for name, words in one.items():
            merged.setdefault(name, set()).update(words)
    return {name: frozenset(words) for name, words in merged.items()}


def rewrite(
    body: str, scan: Scanner, pieces: list[Piece], contents: Contents, known: Parts
) -> tuple[str, list[Declaration]]:
    """`body` with the kernels rewritten that can be, and what is declared then.

    scan, pieces: of the source, whose tokens are those of `body`; known: parts of it and of all that it uses.
    """
    declarations = list(contents.kernels)
    everything_else = _reached(known[""], known)
    if not _harmless(everything_else, _REFUSED_IN_FUNCTIONS):
        return body, declarations
    own = Scanner(body) if scan.source != body else scan
    if len(own) != len(scan):
        return body, declarations
    fusible = not everything_else & _INDEX_NAMES
    in_directives = {word for match in _DIRECTIVE.finditer(body) for word in identifiers(match["rest"])}
    own_kernels = len(declarations) - sum(piece.kernel is not None for piece in pieces)  # after those of headers
    done: dict[int, tuple[list[tuple[int, int, str]], Declaration]] = {}
    for piece in pieces:
        if piece.kernel is None:
            continue
        number = own_kernels + piece.kernel
        kernel = _Kernel(own, piece, declarations[number], known)
        if kernel.declaration.name not in in_directives and kernel.understood():
            done[number] = kernel.rewritten(fusible)
    names = [declaration.name for declaration in declarations]
    words = [token[0] for token in own.tokens]
    for number in list(done):
        name = names[number]
        alike = [k for k, other in enumerate(names) if other == name]
        # A name that is mentioned elsewhere is declared or instantiated there, with the parameters that it has.
        if words.count(name) != len(alike) or any(k not in done for k in alike):
            for k in alike:
                done.pop(k, None)
    edits = [edit for number in done for edit in done[number][0]]
    for number, (_, declaration) in done.items():
        declarations[number] = declaration
    for start, stop, text in sorted(edits, reverse=True):
        body = body[:start] + text + body[stop:]
    return body, declarations


def _reached(words: Iterable[str], known: Mapping[str, frozenset[str]]) -> set[str]:
    """These names and those in the functions and macros that they name, and so on."""
    found: set[str] = set()
    left = list(words)
    while left:
        word = left.pop()
        if word and word not in found:
            found.add(word)
            left.extend(known.get(word, ()))
            left.extend(known.get(f"#{word}", ()))
    return found


def _harmless(words: Iterable[str], refused: set[str]) -> bool:
    return not any(
        word in refused
        or word.startswith(_REFUSED_BEGINNINGS)
        or (word.startswith("__") and not _ALLOWED.fullmatch(word))
        for word in words
    )


def _passes(condition: str, branch: str, atoms: list[str]) -> str:
    steady = "::ca::host::unchanging"
    for atom in atoms:
        steady = f"::ca::host::sooner({steady}, {atom})"
    return f"::ca::host::Passes{{bool({condition}), bool({branch}), {steady}}}"


class _Kernel:
    """A kernel's tokens."""

    def __init__(self, scan: Scanner, piece: Piece, declaration: Declaration, known: Parts) -> None:
        self.scan, self.piece, self.declaration, self.known = scan, piece, declaration, known
        self.text = scan.text
        self.close = scan.closing(piece.opening)  # of the parameters
        self.first = self.close + 1  # "{"
        self.last = piece.end - 1  # "}"
        self.parameters = {p.name for p in declaration.parameters}
        self.integers = {p.name for p in declaration.parameters if p.type and set(p.type.split()) <= _INTEGER_WORDS}
        self.edits: list[tuple[int, int, str]] = []

    # ---- whether
    def understood(self) -> bool:
        """Whether the kernel can take its indices by value."""
        if self.text(self.first) != "{" or self.scan.closing(self.first) != self.last:
            return False
        if not self._specifiers():
            return False
        mentioned = {self.text(k) for k in range(self.piece.opening, self.last) if self.scan.is_name(k)}
        macros = {name: words for name, words in self.known.items() if name.startswith("#")}
        mentioned = _reached(mentioned, macros)
        if not _harmless(mentioned, _REFUSED):
            return False
        used = [self.known[word] for word in mentioned if word in self.known]
        if not _harmless(_reached((word for words in used for word in words), self.known), _REFUSED_IN_FUNCTIONS):
            return False
        return all(self._lambda_sees_indices(k) for k in range(self.first, self.last) if self._is_lambda(k))

    def _specifiers(self) -> bool:
        """Finds the words before the name; whether they are the usual ones."""
        at = self.piece.declarator
        self.words: dict[str, int] = {}
        while at < self.piece.opening - 1:
            word = self.text(at)
            if word == "__launch_bounds__" and self.text(at + 1) == "(":
                at = self.scan.closing(at + 1)
            elif word in _SPECIFIERS and word not in self.words:
                self.words[word] = at
            else:
                return False
            at += 1
        return {"__global__", "void"} <= self.words.keys()

    def _is_lambda(self, at: int) -> bool:
        if self.text(at) != "[":
            return False
        before = self.text(at - 1)
        return before == "return" or not (before in (")", "]") or self.scan.is_name(at - 1) or before[-1:].isdigit())

    def _lambda_sees_indices(self, at: int) -> bool:
        """Whether the lambda may name a parameter of the kernel, or names no index."""
        if self.text(at + 1) in ("&", "=") and self.text(at + 2) in ("]", ","):
            return True
        opening = next((k for k in range(at, self.last) if self.text(k) == "{"), None)
        if opening is None:
            return False
        inside = {self.text(k) for k in range(at, self.scan.closing(opening))}
        return not (_reached(inside, self.known) & _INDEX_NAMES)

    # ---- how
    def rewritten(self, fusible: bool) -> tuple[list[tuple[int, int, str]], Declaration]:
        """The edits that make it so, and the declaration of the result."""
        guarded = False
        mode = FUSED if fusible and self._fusible() else 0
        if not any(
            self._is_lambda(k) or (self.text(k) == "return" and self.text(k + 1) != ";")
            for k in range(self.first, self.last)
        ):
            at, guards = self._beginning()
            atoms: list[str] | None = []
            for k, returning in guards:
                found = self._atoms(k + 2, self.scan.closing(k + 1))
                atoms = None if found is None or atoms is None else atoms + found
                self._replace(k, k, "if (ca_here.probe) if")
                self._replace(returning, returning, f"return {_passes('false', 'false', atoms or [])}")
            if atoms is not None:
                guarded = self._guarded(at, atoms, bool(guards))
                mode |= STRIDED if guarded and self.loop else 0
            if guarded:
                for k in range(at, self.last):
                    if self.text(k) == "return":
                        self._replace(k, k, "return {}")
                self._replace(self.last, self.last, "return {}; }")
                self._replace(self.words["void"], self.words["void"], "::ca::host::Passes")
            else:
                self.edits.clear()
        self._replace(self.words["__global__"], self.words["__global__"], "__forceinline__")
        head = f"::ca::host::Here<{mode}> ca_here"
        if self.declaration.parameters:
            self._insert_after(self.piece.opening, f"{head}, ")
        elif self.close > self.piece.opening + 1:  # (void)
            self._replace(self.piece.opening + 1, self.close - 1, head)
        else:
            self._insert_after(self.piece.opening, head)
        return self.edits, replace(self.declaration, mode=mode, guarded=guarded)

    def _guarded(self, at: int, atoms: list[str], guards: bool) -> bool:
        """Whether what comes after the beginning can be asked for who runs it, and how; notes the edits."""
        inner = at
        if self.text(at) == "for" and not guards and (loop := self._strided(at)):
            self.loop = True
            close = self.scan.closing(at + 1)
            name, start, condition, step = loop
            self.varying.add(name)
            atoms = [f"::ca::host::steady({name}, {condition.split('<', 1)[1].strip()})"]
            probe = f"if (ca_here.probe) return {_passes(condition, 'false', atoms)};"
            self._replace(at, close, f"{{ {start}; ca_here.advance({name}, {step}); {probe}")
            self._replace(self.last - 1, self.last - 1, f"{self.text(self.last - 1)} }}")
            return True
        condition = "true"
        if self.text(at) == "if" and self._guards_the_rest(at):
            close = self.scan.closing(at + 1)
            found = self._atoms(at + 2, close)
            if found is not None:
                atoms, condition, inner = atoms + found, self.scan.spell(list(range(at + 2, close))), close + 1
        if inner == at and not guards:
            return False
        branch = self._branch(inner + (self.text(inner) == "{"))
        written = "false"
        if branch is not None:
            first, stop = branch + 2, self.scan.closing(branch + 1)
            atoms, written = atoms + (self._atoms(first, stop) or []), self.scan.spell(list(range(first, stop)))
            self._replace(first, stop - 1, "ca_here.branch")
        probe = f"if (ca_here.probe) return {_passes(condition, written, atoms)};"
        if inner == at:
            self._insert_after(at - 1, f" {probe}")
        else:
            self._replace(at, inner - 1, probe)
        return True

    def _branch(self, at: int) -> int | None:
        """The first `if` among the statements from `at`, if its condition can be asked beforehand."""
        while at < self.last and self.text(at) not in ("}", "for", "while", "do", "switch", "if"):
            at = self._end_of_statement(at) + 1
        if self.text(at) != "if" or self.text(at + 1) != "(":
            return None
        first, stop = at + 2, self.scan.closing(at + 1)
        names = {self.text(k) for k in range(first, stop) if self.scan.is_name(k)}
        known_before = self.parameters | self.values.keys() | _INDEX_NAMES | {"x", "y", "z"}
        if not self._simple(first, stop) or self._atoms(first, stop) is None or not names <= known_before:
            return None
        # Written to, or hidden by another of that name.
        if any(self._changed(k, names) or self._declares(k, names) for k in range(self.first, self.last)):
            return None
        return at

    def _declares(self, at: int, names: set[str]) -> bool:
        before = self.text(at - 1)
        return (
            self.text(at) in names - {"x", "y", "z"} - _INDEX_NAMES
            and self.text(at) not in self.values
            and (self.scan.is_name(at - 1) and before not in _KEYWORDS)
        )

    def _atoms(self, first: int, stop: int) -> list[str] | None:
        """C++ for how many threads of a row, from the one that asks, a condition stays as it is; None if unknown."""
        found: list[str] = []
        begin = first
        for k in range(first, stop + 1):
            pair = self.text(k) + self.text(k + 1)
            if k < stop and pair not in ("||", "&&"):
                continue
            if k < begin:  # the second character of the two
                continue
            part = list(range(begin, k))
            begin = k + 2
            words = [self.text(j) for j in part]
            varying = [j for j in part if self._varies(j)]
            if not varying:
                continue
            if len(varying) > 1 or varying[0] not in (part[0], part[-1]) or self.text(varying[0]) not in self.varying:
                return None
            if {"(", ")", "?", "!", "&", "|"} & set(words) - {"!"} or words.count("<") + words.count(">") > 1:
                return None
            other = part[1:] if varying[0] == part[0] else part[:-1]
            texts = [self.text(j) for j in other]
            operators = ("<", ">", "=", "!")
            if varying[0] == part[0]:
                while other and self.text(other[0]) in operators:
                    other = other[1:]
            else:
                while other and self.text(other[-1]) in operators:
                    other = other[:-1]
            if not other or len(other) == len(texts) or any(self.text(j) in operators for j in other):
                return None
            found.append(f"::ca::host::steady({self.text(varying[0])}, {self.scan.spell(other)})")
        return found

    def _varies(self, at: int) -> bool:
        """Whether the token's value is another one for the next thread of the row."""
        word = self.text(at)
        return (
            word in self.varying
            or word in self.unknown
            or (word == "threadIdx" and self.text(at + 2) not in ("y", "z"))
        )

    def _replace(self, first: int, last: int, text: str) -> None:
        start, stop = self.scan.tokens[first][1], self.scan.tokens[last][2]
        self.edits.append((start, stop, text + "\n" * self.scan.source.count("\n", start, stop)))

    def _insert_after(self, at: int, text: str) -> None:
        stop = self.scan.tokens[at][2]
        self.edits.append((stop, stop, text))

    def _words(self, first: int, last: int) -> list[str]:
        return [self.text(k) for k in range(first, last)]

    def _fusible(self) -> bool:
        """Whether blockIdx.x and threadIdx.x stand only where their sum over the grid is meant."""
        allowed: set[int] = set()
        for k in range(self.first, self.last):
            for terms in _GLOBAL_INDEX:
                words = self._words(k, k + len(terms))
                if words == terms and self._alone(k, k + len(terms)):
                    allowed.update(range(k, k + len(terms)))
        for k in range(self.first, self.last):
            word = self.text(k)
            if word in ("threadIdx", "blockIdx"):
                if self.text(k + 1) != "." or self.text(k + 2) not in ("x", "y", "z"):
                    return False
                if self.text(k + 2) == "x" and k not in allowed:
                    return False
            elif self._is_known(word) and _reached([word], self.known) & _INDEX_NAMES:
                return False
        return True

    def _alone(self, first: int, stop: int) -> bool:
        """Whether a sum is the whole of an integer's initialiser, but for integers added before or after it."""
        while self.text(stop) in ("+", "-") and self._integer(stop + 1):
            stop += 2
        while self.text(first - 1) == "+" and self._integer(first - 2):
            first -= 2
        # Between brackets, where nothing but a comparison can follow, or as the value of a variable.
        if self.text(stop) not in (";", ","):
            return False
        return self.text(first - 1) == "=" and self._is_integer_variable(first - 2)

    def _integer(self, at: int) -> bool:
        return self.text(at).isdigit() or self.text(at) in self.integers

    def _grows(self, first: int, stop: int) -> bool:
        """Whether an initialiser is a thread's number in the grid, plus or minus integers."""
        while self.text(stop - 2) in ("+", "-") and self._integer(stop - 1):
            stop -= 2
        while self.text(first + 1) == "+" and self._integer(first):
            first += 2
        if not any(self._uncast(first, stop) == terms for terms in _GLOBAL_INDEX):
            return False
        at = first
        while self.text(at) not in ("{", "}", ";", ""):
            at -= 1
        return bool({"int", "unsigned", "long", "auto", "size_t"} & set(self._words(at, first))) and not (
            {"short", "char"} & set(self._words(at, first))
        )

    def _is_integer_variable(self, at: int) -> bool:
        """Whether the token is the name of a variable that is declared there, with an integer type."""
        if not self.scan.is_name(at):
            return False
        at -= 1
        while self.text(at) not in ("{", "}", ";", "(", ""):
            at -= 1
        begin = at + 1
        type_words = []
        while self.text(begin) in _INTEGER_WORDS or self.text(begin) == "auto":
            type_words.append(self.text(begin))
            begin += 1
        return bool(set(type_words) - {"const", "std", "::"})

    def _is_known(self, word: str) -> bool:
        return word in self.known or f"#{word}" in self.known

    def _simple(self, first: int, stop: int) -> bool:
        """Whether tokens are an expression of values alone: no memory is read, nothing is changed or called."""
        previous = ""
        for k in range(first, stop):
            word = self.text(k)
            if word in _KEYWORDS or word in ("[", "{", "}", ";", "new", "delete", '"', "'"):
                return False
            # "==", "<=", ">=" and "!=" are two tokens; "<<=" and ">>=" are three.
            comparison = previous in ("<", ">", "!", "=") and not (previous in "<>" and self.text(k - 2) == previous)
            if word == "=" and not (comparison or self.text(k + 1) == "="):
                return False
            if word in ("+", "-") and self.text(k + 1) == word and self._adjacent(k):
                return False
            if word == "-" and self.text(k + 1) == ">" and self._adjacent(k):
                return False
            if word in "*&" and not (self.scan.is_name(k - 1) or previous[-1:].isalnum() or previous in (")", "&")):
                return False
            if word == "(" and self.scan.is_name(k - 1) and previous not in _SIMPLE_CALLS:
                return False
            if word == "(" and previous == ">" and "static_cast" not in self._words(first, k):
                return False
            if (
                word in self.known
                or self.known.get(f"#{word}")
                or (word == "." and self.text(k - 1) not in _INDEX_NAMES and not self._is_number(k))
            ):
                return False
            previous = word
        return first < stop

    def _is_number(self, at: int) -> bool:
        return self.text(at - 1)[-1:].isdigit() or self.text(at + 1)[-1:].isdigit()

    def _adjacent(self, at: int) -> bool:
        return self.scan.tokens[at][2] == self.scan.tokens[at + 1][1]

    def _end_of_statement(self, at: int) -> int:
        while at < self.last and self.text(at) != ";":
            at = self.scan.closing(at) if self.text(at) in ("(", "{", "[") else at
            at += 1
        return at

    def _declaration(self, at: int) -> int | None:
        """The index after a declaration of numbers with simple values; notes the names."""
        end = self._end_of_statement(at)
        begin = at
        while self.text(begin) in _NUMBER_WORDS or self.text(begin) in self.declaration.template_arguments:
            begin += 1
        if begin == at or end >= self.last:
            return None
        for part in self.scan.slices(begin, end):
            if len(part) < 3 or not self.scan.is_name(part[0]) or self.text(part[1]) != "=":
                return None
            if self._is_known(self.text(part[0])) or not self._simple(part[2], part[-1] + 1):
                return None
            name = self.text(part[0])
            self.values[name] = (part[2], part[-1] + 1)
            if any(self._varies(k) for k in part[2:]):
                (self.varying if self._grows(part[2], part[-1] + 1) else self.unknown).add(name)
            if "const" not in self._words(at, begin):
                self.variable.add(self.text(part[0]))
        return end + 1

    def _beginning(self) -> tuple[int, list[tuple[int, int]]]:
        """Where the simple declarations and guards at the beginning end; each guard's `if` and `return`."""
        self.values: dict[str, tuple[int, int]] = {}
        self.variable: set[str] = set()
        self.varying: set[str] = set()  # those that grow by one from thread to thread
        self.unknown: set[str] = set()  # those that depend on the thread in another way
        self.loop = False
        guards: list[tuple[int, int]] = []
        at = self.first + 1
        while True:
            if self.text(at) == "if" and self.text(at + 1) == "(":
                close = self.scan.closing(at + 1)
                bare = self._words(close + 1, close + 3) == ["return", ";"]
                braced = self._words(close + 1, close + 5) == ["{", "return", ";", "}"]
                if not (bare or braced) or not self._simple(at + 2, close):
                    break
                end = close + (3 if bare else 5)
                if self.text(end) == "else":
                    break
                guards.append((at, close + (1 if bare else 2)))
                at = end
                continue
            end_of_declaration = self._declaration(at)
            if end_of_declaration is None:
                break
            at = end_of_declaration
        return at, guards

    def _end_of(self, at: int) -> int | None:
        """The index after the statement at `at`, if it is a block or an expression."""
        if self.text(at) == "{":
            return self.scan.closing(at) + 1
        if self.text(at) in ("for", "while", "if", "switch"):
            inner = self._end_of(self.scan.closing(at + 1) + 1)
            return self._end_of(inner + 1) if inner and self.text(at) == "if" and self.text(inner) == "else" else inner
        return None if self.text(at) in _KEYWORDS - {"return"} else self._end_of_statement(at) + 1

    def _guards_the_rest(self, at: int) -> bool:
        """Whether the `if` with all that it guards is the end of the kernel, without an else."""
        if self.text(at + 1) != "(":
            return False
        close = self.scan.closing(at + 1)
        return self._simple(at + 2, close) and self._end_of(close + 1) == self.last

    def _strided(self, at: int) -> tuple[str, str, str, str] | None:
        """A grid-stride loop's variable, its declaration, the condition and the step; None if it is no such loop."""
        if self.text(at + 1) != "(":
            return None
        close = self.scan.closing(at + 1)
        if self._end_of(close + 1) != self.last:
            return None
        first = self._end_of_statement(at + 2)
        second = self._end_of_statement(first + 1)
        if second >= close:
            return None
        # for (TYPE NAME = START; SIMPLE; NAME += STRIDE)
        name_at = next((k for k in range(at + 2, first) if self.text(k) == "="), first) - 1
        name = self.text(name_at)
        types = self._words(at + 2, name_at)
        if not types or not set(types) <= _INTEGER_WORDS - {"const"} or self._is_known(name):
            return None
        if not any(self._uncast(name_at + 2, first) == terms for terms in _GLOBAL_INDEX):
            return None
        if not self._simple(first + 1, second) or name not in self._words(first + 1, second):
            return None
        if self._words(first + 1, first + 3) not in ([name, "<"],) or self.text(first + 3) == "<":
            return None
        if self._words(second + 1, second + 4) != [name, "+", "="]:
            return None
        stride = second + 4, close
        value = self.values.get(self.text(stride[0])) if close == stride[0] + 1 else stride
        if value is None or self.text(stride[0]) in self.variable:
            return None
        if self._uncast(*value) not in _GRID_WIDTH:
            return None
        if not self._independent(close + 1, name):
            return None
        start, condition, step = (
            self.scan.spell(list(range(*part))) for part in ((at + 2, first), (first + 1, second), stride)
        )
        return name, start, condition, step

    def _uncast(self, first: int, stop: int) -> list[str]:
        """The words of an expression without its casts to integers and brackets around all of it."""
        words: list[str] = []
        at = first
        while at < stop:
            if self.text(at) == "(" and set(self._words(at + 1, self.scan.closing(at))) <= _INTEGER_WORDS:
                at = self.scan.closing(at) + 1
            else:
                words.append(self.text(at))
                at += 1
        if words[:1] == ["("] and words[-1:] == [")"] and words.count("(") == 1:
            words = words[1:-1]
        return words

    def _independent(self, first: int, name: str) -> bool:
        """Whether a loop's body changes nothing but memory and its own variables, and does not leave the loop."""
        shared = self.parameters | self.variable | {name}
        for k in range(first, self.last):
            word = self.text(k)
            if word in ("break", "return", "continue", "goto", "switch"):
                return False
            if self._changed(k, shared):
                return False
        return True

    def _changed(self, at: int, names: set[str]) -> bool:
        """Whether the token is one of these variables, and may be written to."""
        if self.text(at) not in names or self.text(at - 1) == ".":
            return False
        before, after = self.text(at - 1), self.text(at + 1)
        two = after + self.text(at + 2)
        if after == "=" and two != "==":
            return at - 1 < self.piece.opening or not self._is_declared(at)
        if two in ("++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="):
            return True
        if two in ("<<", ">>") and self.text(at + 3) == "=":
            return True
        if before in ("+", "-", "&") and self._unary(at - 1):
            return True
        # A function may take it by reference, if it is the source's own.
        return before in ("(", ",") and after in (")", ",") and self._is_known(self._callee(at))

    def _is_declared(self, at: int) -> bool:
        """Whether the token is where a value of the beginning is declared."""
        value = self.values.get(self.text(at))
        return value is not None and value[0] == at + 2

    def _unary(self, at: int) -> bool:
        """Whether "++", "--" or an address-of ends at this token."""
        before = self.text(at - 1)
        if self.text(at) == "&":
            return not (self.scan.is_name(at - 1) or before in (")", "]") or before[-1:].isdigit())
        return before == self.text(at) and self._adjacent(at - 1)

    def _callee(self, at: int) -> str:
        depth = 0
        while at > self.first:
            at -= 1
            depth += (self.text(at) in (")", "]")) - (self.text(at) in ("(", "["))
            if depth < 0:
                return self.text(at - 1)
        return ""


def _sums() -> list[list[str]]:
    block, size, thread = (["blockIdx", ".", "x"], ["blockDim", ".", "x"], ["threadIdx", ".", "x"])
    products = [[*block, "*", *size], [*size, "*", *block]]
    return [[*p, "+", *thread] for p in products] + [[*thread, "+", *p] for p in products]


_GLOBAL_INDEX = _sums()
_GRID_WIDTH = [[a, ".", "x", "*", b, ".", "x"] for a, b in (("gridDim", "blockDim"), ("blockDim", "gridDim"))]
