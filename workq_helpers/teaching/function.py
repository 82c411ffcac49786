"""A learner's function, looked at: whether pika could call it at all, and what its text says when it has failed.

What can be told for certain before anything runs is raised; what explains a failure is a clue, and said only then.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple, TypeGuard

from workq_helpers.errors import CheckFailedError
from workq_helpers.text import shown

__all__ = [
    "Loop",
    "clues_in",
    "definitions_beside",
    "endless_loops",
    "look_at",
    "made_by_calling",
    "name_of",
    "written",
]


def look_at(answer: object, name: str, parameters: str) -> None:
    """Make sure that an answer is a function that can be called with certain arguments, and runs when it is.

    Args:
        answer: What was handed in.
        name: What it is called in the cell.
        parameters: Those it must take, as "channel, order".

    Raises:
        CheckFailedError: It is not; the message says what it is.
    """
    if not callable(answer):
        raise CheckFailedError(f"The answer is {shown(answer)}{_made_by(answer)}. Hand in the function {name} itself.")
    if trouble := _never_runs(answer):
        raise CheckFailedError(f"{name} {trouble}")
    try:
        # What a decorator has wrapped is its own business.
        inspect.signature(answer, follow_wrapped=False).bind(*parameters.split(", "))
    except TypeError as error:
        if inspect.isclass(answer):
            raise CheckFailedError(
                f"{name} is a class, and calling it makes an object, which does not run. Hand in a function."
            ) from error
        raise CheckFailedError(
            f"{name} can't be called ({error}). Keep its {_COUNTS[len(parameters.split(', '))]} parameters: "
            f"{name}({parameters})."
        ) from error
    except ValueError:
        return  # some callables of C code have no signature; calling them will show


_COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


def _made_by(answer: object) -> str:
    if answer is None:
        return ", which is what a function gives back that returns nothing: parentheses behind its name call it"
    if what := made_by_calling(answer):
        return f": {what}, and parentheses behind its name made that"
    return ""


def made_by_calling(result: object) -> str:
    """Say what a function gave back that has not run at all; empty if it has."""
    if inspect.iscoroutine(result):
        result.close()  # or Python would warn that nobody awaits it
        return "a coroutine, which an async function makes and nobody awaits"
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        return "a generator, which a function with a yield makes and nobody goes through"
    return ""


def _never_runs(answer: Callable[..., object]) -> str:
    while isinstance(answer, functools.partial):
        answer = answer.func
    for function in (answer, getattr(answer, "__call__", None)):  # noqa: B004 - an object's own, to be looked at
        if inspect.iscoroutinefunction(function):
            return "is an async function, which nobody awaits: calling it runs nothing. Define it without async."
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return "has a yield in it, so calling it only makes a generator and runs nothing. Leave the yield out."
    return ""


def _plain(answer: object) -> object:
    """Return the function below `functools.partial`, decorators and methods."""
    while isinstance(answer, functools.partial):
        answer = answer.func
    return inspect.unwrap(answer) if callable(answer) else answer


# -- clues in its text --------------------------------------------------------------------------------


def clues_in(answer: object) -> Iterator[str]:
    """Yield a sentence for each thing in a function's text that can't be meant."""
    tree = _tree(answer)
    if tree is None:
        return
    for node in ast.walk(tree):
        yield from _uncalled(node)
        yield from _called_too_early(node)
        yield from _compared_with_text(node)
        yield from _properties_by_place(node)
        yield from _asked_for_a_result(node)
        if node is not tree and isinstance(node, ast.AsyncFunctionDef) and "asyncio" not in ast.unparse(tree):
            yield f"{node.name} is an async function: calling it runs nothing, unless somebody awaits it."


class Loop(NamedTuple):
    """A loop in the text of a function.

    Attributes:
        function: The line of its file in which the function begins that it stands in.
        lines: Those that it takes.
    """

    function: int
    lines: range

    def holds(self, frame: FrameType) -> bool:
        """Whether a frame of the same file is in it."""
        return frame.f_code.co_firstlineno == self.function and frame.f_lineno in self.lines


def endless_loops(answer: object) -> list[Loop]:
    """Return each ``while True`` of a function that nothing leaves, not even an error that is caught outside."""
    tree = _tree(answer)
    if tree is None:
        return []
    above = inspect.getsourcelines(written(answer))[1] - 1
    loops: list[Loop] = []

    def look(node: ast.AST, function: int) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = min(each.lineno for each in (node, *node.decorator_list))
        if _is_endless(node):
            last = node.end_lineno or node.lineno
            loops.append(Loop(above + function, range(above + node.lineno, above + last + 1)))
        for each in _uncaught_in(node):
            look(each, function)

    look(tree, 1)
    return loops


def _is_endless(node: ast.AST) -> TypeGuard[ast.While]:
    return (
        isinstance(node, ast.While)
        and isinstance(node.test, ast.Constant)
        and bool(node.test.value)
        and not any(isinstance(inner, ast.Break | ast.Return | ast.Raise) for inner in ast.walk(node))
    )


def _uncaught_in(node: ast.AST) -> Iterable[ast.AST]:
    """Return the parts of a statement of which no error is caught there."""
    if isinstance(node, ast.With):
        return ()  # what a context manager does with an error, does not stand there
    if isinstance(node, ast.Try | ast.TryStar) and node.handlers:
        return (*node.handlers, *node.orelse, *node.finalbody)
    return ast.iter_child_nodes(node)


def _tree(answer: object) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(written(answer))))
    except (OSError, TypeError, SyntaxError):  # typed in somewhere else, or in the middle of something
        return None


def written(answer: object) -> Any:
    """Return what has a text of its own: the function, or an object's own ``__call__``."""
    function: Any = _plain(answer)
    if inspect.isfunction(function) or inspect.ismethod(function):
        return function
    return type(answer).__call__ if callable(answer) and not inspect.isclass(answer) else None


# -- the cell that it stands in -------------------------------------------------------------------------


def definitions_beside(answer: object, name: str) -> str:
    """Return what a function needs of the cell that it stands in, itself included, as the text of a program.

    Raises:
        CheckFailedError: Its text can't be had.
    """
    cell = _cell(answer)
    needed, missing = set[ast.stmt](), {name}
    while found := {each for each in cell.body if each not in needed and missing & _names(each, ast.Store)}:
        needed |= found
        missing = set().union(*(_names(each, ast.Load) for each in found))
    # What a cell does besides is no part of the program, such as the check itself.
    cell.body = [each for each in cell.body if each in needed]
    return ast.unparse(cell)


def _cell(answer: object) -> ast.Module:
    try:
        return ast.parse("".join(inspect.findsource(written(answer))[0]))
    except (OSError, TypeError, SyntaxError) as error:
        raise CheckFailedError(f"The text of {shown(answer)} can't be found. Run the cell that defines it.") from error


def _names(statement: ast.stmt, context: type[ast.expr_context]) -> set[str]:
    """Return the names that a statement reads, or those that it gives a meaning to; those inside its functions, too."""
    found = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
    if context is ast.Store:
        for node in ast.walk(statement):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
    return found


def name_of(answer: object, usual: str) -> str:
    """Return the name by which a cell defines its answer: the usual one, or else the function's own.

    Raises:
        CheckFailedError: Its text can't be had.
    """
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    statements = _cell(answer).body
    names = {name for each in statements if not isinstance(each, scopes) for name in _names(each, ast.Store)}
    names |= {each.name for each in statements if isinstance(each, scopes)}
    return usual if usual in names else getattr(answer, "__name__", usual)


def _uncalled(node: ast.AST) -> Iterator[str]:
    named = node.value if isinstance(node, ast.Expr | ast.Return) else None
    if isinstance(named, ast.Attribute) or (isinstance(node, ast.Expr) and isinstance(named, ast.Name)):
        text = ast.unparse(named)
        if not isinstance(node, ast.Return) or named.attr.startswith(("basic_", "queue_", "confirm_")):  # type: ignore[union-attr]  # of a return only attributes come here
            yield f"Your code says {text} without parentheses, which names it and does not call it."


def _called_too_early(node: ast.AST) -> Iterator[str]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "basic_consume"):
        return
    given = next((each.value for each in node.keywords if each.arg == "on_message_callback"), None)
    given = given or (node.args[1] if len(node.args) > 1 else None)
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and not given.args and not given.keywords:
        name = given.func.id
        yield f"{name}() calls the function at once; basic_consume wants the function itself: {name}, no parentheses."


def _compared_with_text(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
        return
    sides = (node.left, node.comparators[0])
    if any(isinstance(side, ast.Name) and side.id == "body" for side in sides):
        text = next(
            (side.value for side in sides if isinstance(side, ast.Constant) and isinstance(side.value, str)), ""
        )
        if text:
            yield f"A body is bytes and never equals the text {text!r}: compare it with b{text!r}."


def _properties_by_place(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("BasicProperties") and node.args:
        yield (
            "BasicProperties takes what it is given by place for the content type and what comes after it: name what "
            "you mean, as in pika.BasicProperties(delivery_mode=2)."
        )


#: What answers call for what it does.
_GIVE_NOTHING_BACK = ("bake", "basic_publish", "cook", "make_thumbnails", "taste", "work")


def _asked_for_a_result(node: ast.AST) -> Iterator[str]:
    asked = node.test if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert) else None
    for inner in ast.walk(asked) if asked else ():
        name = ast.unparse(inner.func).rpartition(".")[2] if isinstance(inner, ast.Call) else ""
        if name in _GIVE_NOTHING_BACK:
            yield f"{name} gives nothing back, which counts as False. It raises an error where it fails."
