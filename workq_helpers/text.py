"""Text from anywhere, safe to show: `printable` for a terminal, `paragraph`, `Sentence` and `Code` for a notebook.

`did_you_mean` helps with what was misspelled.
"""

from __future__ import annotations

import difflib
import html
import io
import itertools
import keyword
import re
import tokenize
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

__all__ = [
    "Code",
    "Sentence",
    "decoded",
    "did_you_mean",
    "each_once",
    "isolated",
    "marked",
    "paragraph",
    "printable",
    "said",
    "shortened",
    "shown",
    "without_login",
    "worded",
]

#: Marks that a sentence may begin with, and the colors that they get: dark on pale, to be read in any theme.
_MARKS = {"✔": ("#00402e", "#cdeedd"), "✗": ("#5c1e00", "#f6d5c4"), "Not yet:": ("#4a3000", "#fbe3b3")}

# Control characters have pictures of their own in Unicode. The second set, which some terminals obey too, has none;
# nor have those that turn the direction of what follows, or can't be seen at all, and halves of characters.
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_REPLACED = dict.fromkeys(
    (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, *range(0xD800, 0xE000)), 0xFFFD
)
_ON_A_LINE = _PICTURES | _REPLACED
_ON_LINES = {code: shown for code, shown in _ON_A_LINE.items() if chr(code) not in "\n\t"}

#: Letters and digits that are written from right to left.
_FROM_THE_RIGHT = ("R", "AL", "AN")

#: How much of a value is shown in a sentence.
_MOST_SHOWN = 80


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with control characters replaced by their pictures, such as ␛ for an escape.

    What is returned can neither steer a terminal nor pretend to be other text.

    Args:
        text: The text.
        lines: Whether line ends and tabs are to stay; carriage returns before a line end go.
    """
    if text.isprintable():  # nearly always, and answered at once
        return text
    return text.replace("\r\n", "\n").translate(_ON_LINES) if lines else text.translate(_ON_A_LINE)


def isolated(name: str) -> str:
    """Return a name for a sentence that is written from left to right, though the name may be written from the right.

    Without the marks, which can't be seen, an arrow or a number after the name would be shown on its other side.
    """
    from_the_right = not name.isascii() and any(unicodedata.bidirectional(each) in _FROM_THE_RIGHT for each in name)
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}" if from_the_right else name


def shown(value: object) -> str:
    """Return a value as Python writes it, cut if it is long; what can't be written is named by its type."""
    try:
        text = repr(value)
    except BaseException:  # noqa: BLE001 - a learner's own, or a number of thousands of digits
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def said(value: object) -> str:
    """Return what an error says, or what is in it; nothing where that raises, as a learner's own may."""
    try:
        return str(value)
    except BaseException:  # noqa: BLE001 - something is told already
        return ""


def decoded(body: bytes | str) -> str:
    """Return the text of a body, also where somebody has decoded it already."""
    return body if isinstance(body, str) else body.decode(errors="replace")


def worded(error: BaseException) -> str:
    """Return an error's type and what it says, without a point at its end; many say nothing."""
    words = said(error).rstrip(".")
    return f"{type(error).__name__}: {words}" if words else f"{type(error).__name__}, without a word"


def shortened(text: str, length: int) -> str:
    """Return a text of so many characters at most, which ends with an ellipsis where that is not all of it."""
    return text if len(text) <= length else text[: length - 1] + "…"


def each_once(names: Iterable[str]) -> list[str]:
    """Return names in the order in which they first come; one that comes again as "3 × Hello"."""
    return [f"{count} × {name}" if count > 1 else name for name, count in Counter(names).items()]


def without_login(text: str) -> str:
    """Return a text without the logins of the addresses in it, also where a password has a slash or an @ in it.

    An e-mail address has no password, and stays.
    """
    return re.sub(r"(\w+://|//|^(?!mailto:)(?=[^\s:@]*:))\S*@", r"\1", text)


def paragraph(text: str) -> str:
    """Return a sentence or two as HTML: a notebook would cut plain text in the middle of words where a line ends.

    Args:
        text: What to say; line breaks stay.
    """
    # The class keeps JupyterLab from typesetting what stands between dollar signs: tasks may be in the sentence.
    return f'<p class="mathjax_ignore" style="white-space: pre-line">{marked(text)}</p>'


def marked(text: str) -> str:
    """Return a sentence as HTML; the mark that it begins with, such as a check mark, gets its color."""
    for mark, (ink, paper) in _MARKS.items():
        if text.startswith(mark):
            style = f"color: {ink}; background: {paper}; border-radius: 3px; padding: 0 0.3em"
            return f'<strong style="{style}">{mark}</strong>{html.escape(text.removeprefix(mark))}'
    return html.escape(text)


class Code(str):
    """Python code that a notebook shows as code."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        # Jupyter breaks lines anywhere, in the middle of words too; code is better scrolled.
        return f'<pre style="overflow-x: auto; margin: 0"><code style="white-space: pre">{_colored(self)}</code></pre>'

    def __repr__(self) -> str:
        return str(self)


class Sentence(str):
    """A sentence that a notebook shows as one."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return paragraph(self)

    def __repr__(self) -> str:
        return str(self)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'hello'?" where one of the known names is much like another, else nothing."""
    meant = difflib.get_close_matches(name, [each for each in known if each != name], n=1)
    return f"; did you mean {meant[0]!r}?" if meant else ""


#: JupyterLab's own colors of code, which follow its theme; elsewhere one that can be read on white and on black.
_CODE_COLORS = {
    "keyword": "var(--jp-mirror-editor-keyword-color, #3a8a3a)",
    "string": "var(--jp-mirror-editor-string-color, #c0504d)",
    "comment": "var(--jp-mirror-editor-comment-color, #5b8a8a)",
    "number": "var(--jp-mirror-editor-number-color, #3a8a5a)",
}


def _colored(code: str) -> str:
    """Return Python code as HTML; what can't be read as Python stays plain."""
    lines = code.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    told, at = [], 0
    try:
        spans = list(_spans(code))
    except (tokenize.TokenError, SyntaxError):
        return html.escape(code)
    for kind, *places in spans:
        begin, end = (starts[row - 1] + column for row, column in places)
        shown = f'<span style="color: {_CODE_COLORS[kind]}">{html.escape(code[begin:end])}</span>'
        told.append(f"{html.escape(code[at:begin])}{shown}")
        at = end
    return "".join([*told, html.escape(code[at:])])


def _spans(code: str) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Yield what is colored: its kind, where it begins and where it ends, each a row and a column."""
    begun: list[tuple[int, int]] = []  # f-strings, one within the other: tokens of their own from Python 3.12 on
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            begun.append(token.start)
        elif name == "FSTRING_END" and len(begun) > 1:
            begun.pop()
        elif name == "FSTRING_END":
            yield "string", begun.pop(), token.end
        elif not begun and (kind := _kind(token)):
            yield kind, token.start, token.end


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    return {tokenize.STRING: "string", tokenize.COMMENT: "comment", tokenize.NUMBER: "number"}.get(token.type, "")
