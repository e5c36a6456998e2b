"""The tests of what changed: those of the rooms in which files are not as they were in a commit.

    python -m tests.changed                   # since the last commit
    python -m tests.changed --since HEAD~3    # since three commits ago
    python -m tests.changed -n 0 -x           # other options are pytest's

`tests/` mirrors the rooms, so a change in `api/designs` runs `tests/designs`. A test file that changed runs by itself.
Other rooms may use what changed, too: before a change is sent, the whole suite has the last word.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ("models", "documents", "migrations")


def changed_files(since: str) -> list[str]:
    """The files that are not as they were in a commit, new ones too."""
    found: list[str] = []
    for command in (("diff", "--name-only", since), ("ls-files", "--others", "--exclude-standard")):
        said = subprocess.run(("git", *command), cwd=ROOT, check=True, capture_output=True, text=True).stdout
        found += said.splitlines()
    return found


def tests_of(path: str) -> str | None:
    """The folder or file of tests that a file has; none where it has none of its own."""
    for candidate in _candidates(Path(path)):
        place = ROOT / candidate
        if place.is_file() or any(place.glob("test_*.py")):
            return candidate.as_posix()
    return None


def _candidates(path: Path) -> Iterator[Path]:
    folder, *below = path.parts
    if folder == "tests":
        if path.match("test_*.py"):
            yield path
        elif path.parent.name != "tests":
            yield path.parent
    elif folder == "api" and len(below) > 1:
        yield Path("tests", below[0])
    elif folder == "api":
        # a module beside the rooms
        yield from (found.relative_to(ROOT) for found in ROOT.glob(f"tests/**/test_{below[0]}"))
    elif folder in CODE:
        yield Path("tests", folder)
    else:
        # pages, and what says how the project is built, checked and started
        yield Path("tests/project")


def chosen(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """What to run for these files, and those of them that have no tests of their own."""
    by_file = {path: tests_of(path) for path in sorted(set(paths))}
    tests = {found for found in by_file.values() if found}
    # a file of a folder that runs anyway
    tests = {test for test in tests if not tests & {parent.as_posix() for parent in Path(test).parents}}
    return sorted(tests), [path for path, found in by_file.items() if not found]


app = typer.Typer(add_completion=False)


@app.command(context_settings={"ignore_unknown_options": True})
def main(
    arguments: Annotated[list[str] | None, typer.Argument(help="Options of pytest.")] = None,
    since: Annotated[str, typer.Option(help="Commit to compare with.")] = "HEAD",
) -> None:
    tests, others = chosen(changed_files(since))
    for path in others:
        typer.echo(f"no tests of its own: {path}")
    if not tests:
        typer.echo("nothing to run")
        return
    typer.echo(f"running {' '.join(tests)}")
    ended = subprocess.run((sys.executable, "-m", "pytest", *tests, *(arguments or ())), cwd=ROOT)
    raise typer.Exit(ended.returncode)


if __name__ == "__main__":
    app()
