"""The files of a backup as streams: what is written goes through encryption and a hash to the disk, and never whole
through memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

import pyrage

from api.backup.errors import BackupError
from api.backup.manifest import StoredFile

SUFFIX: Final = ".age"
_PIECE: Final = 1024 * 1024

Recipient = pyrage.x25519.Recipient | pyrage.ssh.Recipient
Identity = pyrage.x25519.Identity


def recipients(file: Path) -> list[Recipient]:
    """The public keys in a file, one a line, as `age -R` reads them. Raises BackupError."""
    return _keys(file, {"age1": pyrage.x25519.Recipient.from_str, "ssh-": pyrage.ssh.Recipient.from_str})


def identities(file: Path) -> list[Identity]:
    """The private keys in a file, one a line, as `age-keygen` writes them. Raises BackupError."""
    return _keys(file, {"AGE-SECRET-KEY-1": pyrage.x25519.Identity.from_str})


def _keys(file: Path, kinds: dict[str, Any]) -> list[Any]:
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise BackupError(f"the keys in {file} can't be read: {getattr(error, 'strerror', None) or error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        read = next((read for prefix, read in kinds.items() if line.startswith(prefix)), None)
        try:
            if read is None:
                raise ValueError
            found.append(read(line))
        except (ValueError, pyrage.RecipientError, pyrage.IdentityError):  # never the line: it may be a secret
            raise BackupError(f"line {number} of {file} is no key that starts with {' or '.join(kinds)}") from None
    if not found:
        raise BackupError(f"there is no key in {file}")
    return found


class _Hashed:
    """A file that is written, with the hash and the number of its bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._bytes = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def stored(self) -> StoredFile:
        return StoredFile(bytes=self._bytes, sha256=self._hash.hexdigest())


@dataclass(slots=True)
class Sink:
    """A file that is being written. `stream` takes the bytes; `stored` is there after the block."""

    stream: BinaryIO
    stored: StoredFile | None = None


@contextlib.contextmanager
def writing(path: Path, to: Sequence[Recipient]) -> Iterator[Sink]:
    """Write a new file, encrypted where there are recipients. After the block it is on the disk.

    `stream` is the end of a pipe, so that a program can write into it, too.
    """
    source, end = os.pipe()

    def write() -> StoredFile:
        with os.fdopen(source, "rb") as plain, path.open("xb") as file:
            hashed = _Hashed(file)
            if to:
                pyrage.encrypt_io(plain, cast("BufferedIOBase", hashed), list(to))
            else:
                shutil.copyfileobj(plain, cast("Any", hashed), _PIECE)
            file.flush()
            os.fsync(file.fileno())
            return hashed.stored()

    with ThreadPoolExecutor(1, thread_name_prefix="backup") as threads:
        written = threads.submit(write)
        sink = Sink(os.fdopen(end, "wb"))
        try:
            yield sink
            sink.stream.close()
        except BrokenPipeError:
            _let_go(sink.stream)
            written.result()  # a full disk, for instance
            raise
        finally:
            _let_go(sink.stream)
        sink.stored = written.result()


@contextlib.contextmanager
def reading(path: Path, keys: Sequence[Identity]) -> Iterator[BinaryIO]:
    """What was written into a file. Leaving the block raises BackupError where it couldn't all be decrypted.

    So nothing may be done for good before the block is left.
    """
    if path.suffix != SUFFIX:
        with path.open("rb") as plain:
            yield plain
        return
    end, target = os.pipe()

    def read() -> None:
        with path.open("rb") as file, os.fdopen(target, "wb") as plain:
            pyrage.decrypt_io(file, plain, list(keys))

    with ThreadPoolExecutor(1, thread_name_prefix="backup") as threads:
        done = threads.submit(read)
        with os.fdopen(end, "rb") as stream:
            try:
                yield stream
            except Exception:
                if not stream.read(1):
                    _raise_if_failed(done, path)  # it is the reason why the other failed
                raise
            while stream.read(_PIECE):  # only the end of the file tells that all of it was there
                pass
        _raise_if_failed(done, path)


def _raise_if_failed(done: Future[None], path: Path) -> None:
    try:
        done.result()
    except pyrage.DecryptError as error:
        raise BackupError(f"{path.name} can't be decrypted: {error}") from None


def _let_go(stream: BinaryIO) -> None:
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def stored(path: Path) -> StoredFile:
    """A file as it lies there. Raises OSError."""
    with path.open("rb") as file:
        return StoredFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
