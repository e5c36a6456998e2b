"""Memory that the processes of a server share: each counts in a slot of its own, and any of them can read all.

A count is an addition to a cell, without a lock or a call to the system, and it outlives its process: whoever takes the
slot goes on from what is there. The series of a slot are written down in it, a line of JSON each with its family and
its labels; their cells come in the same order.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Any, Final

import orjson

from api.metrics.families import DROPPED, FAMILIES, Family

_CELL: Final = 8
"""Bytes of a cell, a float."""
_OWNER, _KEYS_USED = range(2)
_HEADER: Final = 8
"""Cells before the keys."""
_KEY_BYTES: Final = 192 * 1024
_FIRST: Final = _HEADER + _KEY_BYTES // _CELL
_CELLS: Final = 80 * 1024
"""Cells of a slot, the header and the keys included: 640 KiB, of which the system only gives what is used."""
_SPARE: Final = 128
"""Cells at the end that what there is no room for is counted in, and nobody reads."""
EXEMPLAR: Final = Struct("=16sdd")
"""An exemplar: the trace's id, the value, and when it was."""
_EXEMPLAR: Final = EXEMPLAR.size // _CELL
_CLAIMED: Final = -1.0
"""The owner of a slot whose process hasn't begun yet."""
LONGEST_LABEL: Final = 100
SLOTS: Final = 1 + 2 * 64
"""The supervisor's, and one for each of WORKERS twice: one may be replaced by another while it ends."""


def width(family: Family) -> int:
    """Cells of a series: one; of a histogram, its sum, its buckets, and their exemplars."""
    if not family.buckets:
        return 1
    return 1 + len(family.bounds) * (1 + (_EXEMPLAR if family.exemplars else 0))


class Slot:
    """The part of one process. `cells[index]` is changed by its owner only, others read it."""

    def __init__(self, memory: memoryview) -> None:
        self._bytes = memory
        self.cells: Any = memory.cast("d")
        self._index: dict[tuple[str, ...], int] = {}
        self._end = _FIRST

    @property
    def owner(self) -> int:
        """The process id of whoever counts here; 0 where there is none, negative where one is to begin."""
        return int(self.cells[_OWNER])

    def claim(self) -> None:
        """Keep it for a process that is to be started."""
        self.cells[_OWNER] = _CLAIMED

    def begin(self) -> None:
        """Count here from now on. Counters go on; gauges were those of the process before."""
        for key, index in self._written():
            family = FAMILIES[key[0]]
            self._index[key] = index
            self._end = index + width(family)
            if family.kind == "gauge":
                self.cells[index] = 0.0
        self.cells[_OWNER] = os.getpid()

    def release(self) -> None:
        """Nobody counts here any more, so its gauges are none."""
        self.cells[_OWNER] = 0.0

    def series(self, family: Family, *labels: str) -> int:
        """The first cell of this series, which is made where there is none yet. Call `begin` before."""
        key = (family.name, *(label[:LONGEST_LABEL] for label in labels))
        index = self._index.get(key)
        return self._add(key, family) if index is None else index

    def _add(self, key: tuple[str, ...], family: Family) -> int:
        assert len(key) == 1 + len(family.labels), key
        line = orjson.dumps(key) + b"\n"
        used = int(self.cells[_KEYS_USED])
        index, cells = self._end, width(family)
        if used + len(line) > _KEY_BYTES or index + cells > _CELLS - _SPARE:
            if family is not DROPPED:
                self.cells[self.series(DROPPED)] += 1
            self._index[key] = _CELLS - _SPARE  # it isn't looked for again
            return _CELLS - _SPARE
        start = _HEADER * _CELL + used
        self._bytes[start : start + len(line)] = line
        self.cells[_KEYS_USED] = used + len(line)  # only now others see it
        self._index[key] = index
        self._end += cells
        return index

    def written(self) -> Iterator[tuple[Family, tuple[str, ...]]]:
        """The family and the labels of each series."""
        for key, _ in self._written():
            yield FAMILIES[key[0]], key[1:]

    def read(self) -> Iterator[tuple[Family, tuple[str, ...], list[float], list[bytes]]]:
        """Each series: its family, its labels, its cells without exemplars, and these, as they are kept."""
        for key, index in self._written():
            family = FAMILIES[key[0]]
            plain = 1 + len(family.bounds)
            exemplars: list[bytes] = []
            if family.exemplars:
                first, size = (index + plain) * _CELL, EXEMPLAR.size
                places = range(first, first + size * (plain - 1), size)
                exemplars = [bytes(self._bytes[at : at + size]) for at in places]
            yield family, key[1:], self.cells[index : index + plain].tolist(), exemplars

    def keep_exemplar(self, family: Family, index: int, bucket: int, exemplar: bytes) -> None:
        """Keep it for a bucket of the series at `index`."""
        at = (index + 1 + len(family.bounds) + bucket * _EXEMPLAR) * _CELL
        self._bytes[at : at + len(exemplar)] = exemplar

    def _written(self) -> Iterator[tuple[tuple[str, ...], int]]:
        start, index = _HEADER * _CELL, _FIRST
        for line in bytes(self._bytes[start : start + int(self.cells[_KEYS_USED])]).splitlines():
            key = tuple(orjson.loads(line))
            yield key, index
            index += width(FAMILIES[key[0]])


class Memory:
    """So many slots. One that is pickled is the same memory in another process."""

    def __init__(self, slots: int) -> None:
        self.claimed = set[int]()
        """The numbers of the slots that are given out, where this process gives them."""
        size = slots * _CELLS * _CELL
        self._path = ""
        if slots == 1:
            self._map = mmap.mmap(-1, size)  # nobody else's
            return
        descriptor, self._path = _file()
        os.ftruncate(descriptor, size)
        self._map = mmap.mmap(descriptor, size)
        weakref.finalize(self, _close, descriptor, self._path, os.getpid())

    def __reduce__(self) -> tuple[Any, ...]:
        assert self._path, "memory for one process is its own"
        return _opened, (self._path,)

    def __len__(self) -> int:
        return len(self._map) // (_CELLS * _CELL)

    def slot(self, number: int) -> Slot:
        """A slot, from 0 on."""
        return Slot(memoryview(self._map)[number * _CELLS * _CELL : (number + 1) * _CELLS * _CELL])

    def size_of_keys(self) -> int:
        """Bytes of all keys together: it grows with each new series."""
        used = memoryview(self._map).cast("d")[_KEYS_USED::_CELLS]
        return int(sum(used))

    def claim(self) -> int | None:
        """The number of a slot that was free; None where all are taken. Only the supervisor may call it."""
        for number in range(1, len(self)):
            slot = self.slot(number)
            if not slot.owner:
                slot.claim()
                self.claimed.add(number)
                return number
        return None

    def release(self, number: int) -> None:
        """Take back a slot that was claimed, however its process has ended."""
        self.slot(number).release()
        self.claimed.remove(number)

    def slots(self) -> Iterator[Slot]:
        """All of them."""
        return map(self.slot, range(len(self)))


claimed: tuple[Memory, int] | None = None
"""The memory and the slot that the supervisor has given to this process."""


def adopt(memory: Memory, number: int) -> None:
    """Count in this slot. A worker calls it before its application is made."""
    global claimed
    claimed = memory, number


def _file() -> tuple[int, str]:
    """The descriptor of a new file, in memory where the system has such, and where other processes find it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("fashion-wallet-metrics")
        return descriptor, f"/proc/{os.getpid()}/fd/{descriptor}"
    return tempfile.mkstemp(prefix="fashion-wallet-metrics-")


def _close(descriptor: int, path: str, owner: int) -> None:
    os.close(descriptor)
    if os.getpid() == owner and not path.startswith("/proc/"):
        Path(path).unlink(missing_ok=True)


def _opened(path: str) -> Memory:
    memory = Memory.__new__(Memory)
    with Path(path).open("r+b", buffering=0) as file:
        memory._path, memory._map = path, mmap.mmap(file.fileno(), 0)
    return memory
