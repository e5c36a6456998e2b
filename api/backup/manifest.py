"""`manifest.json`: what is in a backup, and how to tell that it is all there.

It is written last and isn't encrypted, so that anybody who stores a backup can check it without a key. It holds no row
and no document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from api.backup.errors import BackupError
from documents.schemas import SCHEMAS

NAME: Final = "manifest.json"
FORMAT: Final = 1
"""Of the backups that this version makes, and the newest that it reads."""
_DATABASE: Final = re.compile(r"[^/\\. \"$*<>:|?\0]{1,63}")
"""What MongoDB allows as the name of a database on every platform; it names a folder."""


def _is_database(name: str) -> str:
    if not _DATABASE.fullmatch(name):
        raise ValueError("not the name of a database")
    return name


def _is_collection(name: str) -> str:
    if name not in {schema.name for schema in SCHEMAS}:
        raise ValueError(f"{name} is no collection of this program")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Contents(_Part):
    """How many rows or documents, and a digest of them all that doesn't depend on their order."""

    count: int = Field(ge=0)
    digest: str


class StoredFile(_Part):
    """A file as it lies in the backup: compressed, and encrypted where the backup is."""

    bytes: int = Field(ge=0)
    sha256: str


class PostgresPart(_Part):
    """What was read from PostgreSQL, all of it in one snapshot that was taken at `at`."""

    server: str
    version: int
    """As in `server_version_num`."""
    revision: str
    at: datetime
    schemas: tuple[str, ...]
    extensions: Mapping[str, str]
    """The extensions that our tables need, with their schemas."""
    private_functions: tuple[str, ...]
    """Functions that not everybody may execute. Rights aren't part of the dump: its roles may not exist elsewhere."""
    tables: Mapping[str, Contents]


class MongoPart(_Part):
    """What was read from MongoDB between two moments; where `snapshot` is there, all of it as of that moment."""

    server: str
    database: Annotated[str, AfterValidator(_is_database)]
    began: datetime
    ended: datetime
    snapshot: datetime | None
    collections: Mapping[Annotated[str, AfterValidator(_is_collection)], Contents]


class Manifest(_Part):
    """The whole description. What was acknowledged before `began` is in the backup."""

    format: int
    program: str
    began: datetime
    ended: datetime
    encrypted: bool
    postgresql: PostgresPart
    mongodb: MongoPart
    files: Mapping[str, StoredFile]

    def write(self, folder: Path) -> None:
        """Write it into the folder of a backup."""
        content = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        (folder / NAME).write_bytes(content)


def read(folder: Path) -> Manifest:
    """The manifest of the backup in this folder. Raises BackupError where there is none that can be read."""
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError:
        raise BackupError(f"{folder} is no backup, or not a whole one: it has no {NAME}") from None
    except OSError as error:
        raise BackupError(f"{folder / NAME} can't be read: {error.strerror}") from None
    try:
        data = orjson.loads(content)
        version = data["format"]
    except (ValueError, TypeError, KeyError):
        raise BackupError(f"{folder / NAME} is damaged: it doesn't say what is in the backup") from None
    if isinstance(version, int) and version > FORMAT:
        raise BackupError(
            f"{folder} has the format {version}, and this version of the program reads formats up to {FORMAT}: "
            "restore it with the version that made it, or a newer one"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise BackupError(f"{folder / NAME} is damaged: {where}: {problem['msg']}") from None
