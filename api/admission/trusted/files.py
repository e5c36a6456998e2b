"""Documents in files: `*.graphql`, and the JSON manifests of Relay, Apollo and graphql-codegen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from graphql import GraphQLError

from api.admission.document_cache import Document
from api.admission.refusals import TooComplex, require
from api.admission.trusted.identifiers import PREFIX, identifier_of, normalised
from api.admission.trusted.store import Entry
from api.config.settings import Settings
from api.errors import BadUserInput
from api.fields.costs import Costs

DOCUMENTS: Final = (".graphql", ".gql")
MANIFEST: Final = ".json"
APOLLO: Final = "apollo-persisted-query-manifest"

Found = tuple[str, str | None, str]
"""Where a document was found, the identifier that its manifest gives it, and its text."""


def read(path: Path, costs: Costs, settings: Settings) -> list[Entry]:
    """The documents of a file, or of all files below a folder; each under its hash, and under its manifest's own
    identifier where it has another one.

    Raises BadUserInput with a line for everything that is wrong: with a file, a document, or an identifier.
    """
    problems: list[str] = []
    entries: dict[str, Entry] = {}
    for file in _files(path):
        try:
            found = list(_documents(file))
        except BadUserInput as error:
            problems.append(f"{file}: {error.message}")
            continue
        for place, given, text in found:
            try:
                for entry in _entries(given, text, costs, settings):
                    if entries.setdefault(entry.identifier, entry).document != entry.document:
                        raise BadUserInput(f"another document has the identifier {entry.identifier}, too")
            except BadUserInput as error:
                problems.append(f"{place}: {error.message}")
    if problems:
        raise BadUserInput("\n".join(problems))
    if not entries:
        raise BadUserInput(f"{path} has no documents: no file *.graphql, *.gql or *.json with any")
    return list(entries.values())


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise BadUserInput(f"{path} does not exist")
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in (*DOCUMENTS, MANIFEST) and file.is_file())


def _documents(file: Path) -> Iterator[Found]:
    try:
        text = file.read_bytes().decode()  # not read_text, which would change line ends, and with them the hash
    except (OSError, UnicodeDecodeError) as error:
        raise BadUserInput(f"can't be read: {error}") from None
    if file.suffix == MANIFEST:
        yield from _of_manifest(file, text)
    else:
        yield str(file), None, text


def _of_manifest(file: Path, text: str) -> Iterator[Found]:
    try:
        manifest: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadUserInput(f"is not JSON: {error}") from None
    if isinstance(manifest, dict) and manifest.get("format") == APOLLO:
        pairs = _of_apollo(manifest)
    elif isinstance(manifest, dict) and all(isinstance(body, str) for body in manifest.values()):
        pairs = list(manifest.items())
    else:
        raise BadUserInput("is no manifest: neither Apollo's nor an object of documents by identifier")
    for identifier, body in pairs:
        yield f"{file}, {identifier}", identifier, body


def _of_apollo(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    operations = manifest.get("operations")
    if manifest.get("version") != 1 or not isinstance(operations, list):
        raise BadUserInput("is no manifest of Apollo's version 1")
    try:
        pairs = [(operation["id"], operation["body"]) for operation in operations]
    except (TypeError, KeyError):
        raise BadUserInput("has an operation without id or body") from None
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise BadUserInput("has an operation whose id or body is no text")
    return pairs


def _entries(given: str | None, text: str, costs: Costs, settings: Settings) -> Iterator[Entry]:
    """The entries of one document. Raises BadUserInput where it may not be registered."""
    operations = _operations(text, costs, settings)
    own = identifier_of(text)
    yield Entry(own, text, operations)
    if given is not None and (identifier := normalised(given)) != own:
        if identifier.startswith(PREFIX):
            raise BadUserInput("the identifier looks like a SHA-256 and is not that of the document")
        yield Entry(identifier, text, operations)


def _operations(text: str, costs: Costs, settings: Settings) -> str:
    """The names of a valid document's operations, which keep the limits while their variables are at their defaults."""
    try:
        document = Document(text, settings)
        document.require(settings)
        if errors := document.errors(costs.schema):
            raise BadUserInput("; ".join(map(_located, errors)))
        for operation in document.operations:
            cost = document.price(operation, costs).of(None)
            require("The operation costs too much", "max_cost", settings.max_cost, cost)
    except GraphQLError as error:
        raise BadUserInput(_located(error)) from None
    except TooComplex as error:
        raise BadUserInput(error.message) from None
    return ", ".join(node.name.value if node.name else node.operation.value for node in document.operations)


def _located(error: GraphQLError) -> str:
    place = error.locations[0] if error.locations else None
    return f"line {place.line}: {error.message}" if place else error.message
