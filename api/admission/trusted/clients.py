"""Documents that clients have registered by their hash: Apollo's automatic persisted queries."""

from __future__ import annotations

from collections import OrderedDict


class ClientDocuments:
    """Texts by identifier, in this process's memory, up to `size` bytes together.

    They save bandwidth and are no matter of trust, so another instance may not know them: it says so, and the client
    sends the text again. The ones that weren't asked for longest are forgotten first.
    """

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._documents: OrderedDict[str, bytes] = OrderedDict()

    def find(self, identifier: str) -> str | None:
        """The text of an identifier, None where it is not known (any more)."""
        document = self._documents.get(identifier)
        if document is None:
            return None
        self._documents.move_to_end(identifier)
        return document.decode()

    def keep(self, identifier: str, document: str) -> None:
        """Keep a text, and forget others to make room. One that is larger than all the room isn't kept."""
        encoded = document.encode()
        if identifier in self._documents or len(encoded) > self._size:
            return
        self._documents[identifier] = encoded
        self._used += len(encoded)
        while self._used > self._size:
            self._used -= len(self._documents.popitem(last=False)[1])

    def __len__(self) -> int:
        return len(self._documents)
