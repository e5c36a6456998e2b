"""Mutants of what a commit changed: each is one small mistake, which a test should notice.

    python -m tests.mutants HEAD~1 tests/admission/test_cost.py tests/lists/test_cursor_decoding.py --count 20

Of the lines of `api`, `models`, `documents` and `migrations` that are not as they were in that commit, an operator, a
bound or a constant becomes another one, in a copy of the checkout, where the tests named run until one fails. What they
let pass is printed: either a test is missing, or the mistake changes nothing.
"""

from __future__ import annotations

import ast
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ("api", "models", "documents", "migrations")
LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
LONGEST: Final = 900
"""Seconds that the tests may take; a mutant with which they take longer is noticed."""

OTHERS: Final[Mapping[type[ast.AST], type[ast.AST]]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
        ast.Is: ast.IsNot,
        ast.IsNot: ast.Is,
        ast.In: ast.NotIn,
        ast.NotIn: ast.In,
    },
    **{ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult},
}
"""The operator that stands for another one by mistake."""


@dataclass(frozen=True)
class Mutant:
    """A module with one mistake in it: where it is, what was there, and what is there now."""

    path: str
    line: int
    was: str
    became: str
    source: str


def changed_lines(since: str) -> dict[str, set[int]]:
    """The lines of each module that are not as they were in a commit."""
    found: dict[str, set[int]] = {}
    command = ("git", "diff", "--unified=0", "--no-color", since, "--", *CODE)
    path = ""
    for line in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if line.startswith("+++ "):
            path = line.removeprefix("+++ b/")
        elif (hunk := re.match(r"@@ \S+ \+(\d+)(?:,(\d+))? @@", line)) and path.endswith(".py"):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            found.setdefault(path, set()).update(range(start, start + count))
    return found


def mutants_of(path: str, source: str, lines: set[int]) -> Iterator[Mutant]:
    """Every mutant of these lines of a module."""
    tree = ast.parse(source)
    for node in list(ast.walk(tree)):
        if getattr(node, "lineno", 0) not in lines:
            continue
        for mistake in mistakes(node):
            _Exchange(node, mistake).visit(tree)
            yield Mutant(path, node.lineno, ast.unparse(node), ast.unparse(mistake), ast.unparse(tree))  # type: ignore[attr-defined]
            _Exchange(mistake, node).visit(tree)


def mistakes(node: ast.AST) -> Iterator[ast.AST]:
    """What could be there instead."""
    match node:
        case ast.Compare(left, ops, comparators):
            for index, operator in enumerate(ops):
                others: Any = [*ops[:index], OTHERS[type(operator)](), *ops[index + 1 :]]
                yield ast.Compare(left, others, comparators)
        case ast.BoolOp(operator, values):
            other: Any = OTHERS[type(operator)]()
            yield ast.BoolOp(other, values)
        case ast.BinOp(left, operator, right) if type(operator) in OTHERS:
            other = OTHERS[type(operator)]()
            yield ast.BinOp(left, other, right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)


class _Exchange(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old = old
        self._new = new

    def visit(self, node: ast.AST) -> Any:
        return self._new if node is self._old else self.generic_visit(node)


def passes(folder: Path, tests: list[str]) -> bool:
    """Whether the tests pass in this copy of the checkout."""
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1, 2):
        raise typer.BadParameter(f"pytest can't run: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.returncode == 0


def main(
    since: Annotated[str, typer.Argument(help="The commit before the change, HEAD for what isn't committed yet.")],
    tests: Annotated[list[str], typer.Argument(help="The tests that should notice, as pytest takes them.")],
    within: Annotated[str, typer.Option(help="Only in what is below this path.")] = "",
    count: Annotated[int, typer.Option(help="How many, drawn at random; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
) -> None:
    """Fails where a mutant is not noticed."""
    found = [
        mutant
        for path, lines in changed_lines(since).items()
        if path.startswith(within) and (ROOT / path).exists()
        for mutant in mutants_of(path, (ROOT / path).read_text("utf-8"), lines)
    ]
    chosen = random.Random(seed).sample(found, count) if 0 < count < len(found) else found
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-mutants-") as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        if not passes(copy, tests):
            raise typer.BadParameter("the tests fail without a mistake, too")
        unnoticed = 0
        for mutant in chosen:
            target = copy / mutant.path
            right = target.read_text("utf-8")
            target.write_text(mutant.source, "utf-8")
            noticed = not passes(copy, tests)
            target.write_text(right, "utf-8")
            unnoticed += not noticed
            said = "noticed  " if noticed else "UNNOTICED"
            typer.echo(f"{said}  {mutant.path}:{mutant.line}  {mutant.was}  ->  {mutant.became}")
    typer.echo(f"{len(chosen)} of {len(found)} mutants, {unnoticed} not noticed")
    if unnoticed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
