"""Tokens of C++ and what closes what: enough to find where declarations begin and end, and no more."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[A-Za-z_]\w*|::|\.\.\.|\S")
_IGNORED = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # comments
    r'|R"(?P<d>[^\s()\\]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\])*"'  # strings
    r"|'(?:\\.|[^'\\])+'"  # characters
    r"|^[ \t]*\#(?:\\\n|[^\n])*",  # preprocessor lines
    re.DOTALL | re.MULTILINE,
)
_CLOSING = {"(": ")", "<": ">", "[": "]", "{": "}"}


def blank_out(source: str) -> str:
    """`source` with comments, strings and preprocessor lines replaced by spaces: every position stays the same."""
    return _IGNORED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)


def identifiers(source: str) -> set[str]:
    """Every name that stands in `source` outside comments and strings."""
    return set(re.findall(r"[A-Za-z_]\w*", blank_out(source)))


class Scanner:
    """The tokens of a source, by index."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.blanked = blank_out(source)
        self.tokens = [(match.group(), match.start(), match.end()) for match in _TOKEN.finditer(self.blanked)]

    def __len__(self) -> int:
        return len(self.tokens)

    def text(self, index: int) -> str:
        """The token at `index`; "" beyond the ends."""
        return self.tokens[index][0] if 0 <= index < len(self.tokens) else ""

    def is_name(self, index: int) -> bool:
        """Whether the token at `index` is an identifier or keyword."""
        return re.match(r"[A-Za-z_]", self.text(index)) is not None

    def line(self, index: int) -> int:
        """The line of the token at `index`, from 1."""
        return self.source.count("\n", 0, self.tokens[index][1]) + 1

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
        """The source from the first to the last of these tokens, without comments, on one line."""
        if not indices:
            return ""
        raw = self.blanked[self.tokens[indices[0]][1] : self.tokens[indices[-1]][2]]
        return " ".join(raw.split())

    def between(self, first: int, last: int) -> str:
        """The source between two tokens as it stands, strings and all."""
        return self.source[self.tokens[first][2] : self.tokens[last][1]].strip()

    def comment_before(self, index: int) -> str:
        """The comment that ends on the line before the token at `index`."""
        lines = self.source[: self.tokens[index][1]].rstrip().splitlines()
        if lines and lines[-1].rstrip().endswith("*/"):
            text = "\n".join(lines)
            comment = text[text.rfind("/*") :]
            return "\n".join(line.strip(" */!\t") for line in comment.splitlines()).strip()
        doc: list[str] = []
        while lines and lines[-1].lstrip().startswith("//"):
            doc.append(lines.pop().lstrip().lstrip("/!").strip())
        return "\n".join(reversed(doc))
