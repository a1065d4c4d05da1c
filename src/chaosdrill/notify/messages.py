"""Messages to people, through apprise; each address by itself, so that one that fails is named."""

from __future__ import annotations

from collections.abc import Sequence

from chaosdrill.ports import Delivery


class Messages:
    """A notifier for addresses as apprise writes them."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = tuple(addresses)

    def send(self, title: str, text: str) -> Sequence[Delivery]:
        """Send a message to every address and return what became of each; never raises."""
        raise NotImplementedError
