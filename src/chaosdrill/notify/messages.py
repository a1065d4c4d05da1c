"""Messages to people, through apprise; each address by itself, so that one that fails is named.

It knows neither runs nor policies: it is handed a title and a text. Nothing it returns or logs has a secret
in it, and nothing here may keep a run waiting for longer than `PATIENCE`.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaosdrill import redact
from chaosdrill.ports import Delivery

#: What stands before every title, so that nobody takes a drill for the real thing.
MARK = "[DRILL]"
#: How long connecting, and waiting for an answer, may take at one address, in seconds.
CONNECT, READ = 3.0, 5.0
#: How long all addresses together may take, in seconds.
PATIENCE = 10.0
_LONGEST_ERROR = 300
#: What people call a service, and what apprise does; over TLS, for the address has a token in it.
_ALSO = {"mattermost": "mmosts"}


@dataclass
class _Letter:
    """One address, and what has become of the message to it so far."""

    shown: str
    plugin: Any = None
    delivered: bool = False
    errors: list[str] = field(default_factory=list)

    def delivery(self) -> Delivery:
        error = redact.known.text("; ".join(dict.fromkeys(self.errors)))[:_LONGEST_ERROR]
        return Delivery(self.shown, self.delivered, "" if self.delivered else error or "it was not accepted")


class Messages:
    """A notifier for addresses as apprise writes them; `patience` in seconds is for all of them together."""

    def __init__(self, addresses: Sequence[str], patience: float = PATIENCE) -> None:
        self._addresses = tuple(addresses)
        self._patience = patience

    def send(self, title: str, text: str) -> Sequence[Delivery]:
        """Send a message to every address and return what became of each, in their order; never raises.

        The title is marked as a drill's, and known secrets are masked in both.
        """
        letters = [_letter(address) for address in self._addresses]
        subject = redact.known.text(f"{MARK} {title}")
        body = redact.known.text(text)
        posts = [
            threading.Thread(target=_post, args=(letter, subject, body), name="message", daemon=True)
            for letter in letters
            if letter.plugin is not None
        ]
        for post in posts:
            post.start()
        _join(posts, self._patience)
        late = f"it did not answer within {self._patience:g} s"
        found = []
        for letter in letters:
            if letter.plugin is not None and not letter.delivered and not letter.errors:
                letter.errors.append(late)
            found.append(letter.delivery())
        return found


def _letter(address: str) -> _Letter:
    """Return a letter that can be posted, or one that says why not."""
    redact.known.learn(redact.url_secrets(address))
    try:
        plugin = _plugin(address)
    except Exception as error:  # noqa: BLE001 - whatever somebody else's library makes of an address, it is an answer
        return _Letter(_scheme(address), errors=[f"apprise failed: {type(error).__name__}"])
    if plugin is None:
        return _Letter(_scheme(address), errors=["apprise knows no such address, or it is incomplete"])
    redact.known.learn(_private(plugin))
    plugin.socket_connect_timeout = min(plugin.socket_connect_timeout or CONNECT, CONNECT)
    plugin.socket_read_timeout = min(plugin.socket_read_timeout or READ, READ)
    return _Letter(_shown(plugin), plugin)


def _plugin(address: str) -> Any:
    """Return what apprise makes of an address, None when it knows none such."""
    with warnings.catch_warnings():
        # It looks for a module that Python 3.13 drops.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        _silence()
        asset = apprise.AppriseAsset(
            app_id="chaosdrill",
            app_desc="chaos drills",
            app_url="",
            async_mode=False,
            # Nothing of a message is kept on disk by apprise.
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )
        scheme, separator, rest = address.partition("://")
        known = f"{_ALSO.get(scheme.lower(), scheme)}{separator}{rest}"
        return apprise.Apprise.instantiate(known, asset=asset, suppress_exceptions=True)


def _post(letter: _Letter, subject: str, body: str) -> None:
    import apprise

    said: list[str] = []
    try:
        sender = apprise.Apprise(asset=letter.plugin.asset)
        sender.add(letter.plugin)
        delivered = sender.notify(
            title=subject,
            body=body,
            body_format=apprise.NotifyFormat.TEXT,
            log_callback=lambda entry, _: said.append(str(entry.message)),
            log_level=logging.WARNING,
        )
    except Exception as error:  # noqa: BLE001 - a message that can't be sent is a fact to report, never a crash
        letter.errors.append(f"apprise failed: {type(error).__name__}: {error}")
        return
    letter.errors.extend(said or ["it was not accepted"])
    letter.delivered = bool(delivered)


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait for all of them, for so many seconds altogether."""
    over = threading.Event()
    watch = threading.Timer(seconds, over.set)
    watch.daemon = True
    watch.start()
    for thread in threads:
        while thread.is_alive() and not over.is_set():
            thread.join(0.02)
    watch.cancel()


def _private(plugin: Any) -> Iterator[str]:
    """Yield what apprise itself marks as private in an address: tokens, keys and passwords."""
    for table in (plugin.template_tokens, plugin.template_args):
        for name, facts in table.items():
            if not facts.get("private"):
                continue
            value = getattr(plugin, facts.get("map_to") or name, None)
            if isinstance(value, str):
                yield value


def _shown(plugin: Any) -> str:
    """Return scheme and host as apprise shows them to strangers: tokens that stand there are cut short."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(str(plugin.url(privacy=True)))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return str(plugin.secure_protocol or plugin.protocol)
    return redact.known.text(f"{parts.scheme}://{parts.hostname or ''}{port}")


def _scheme(address: str) -> str:
    """Return all that is safe to show of an address that nobody understands."""
    scheme, separator, _ = address.partition("://")
    return f"{scheme}://…" if separator and scheme.isalnum() else "an address without a scheme"


def _silence() -> None:
    """Keep apprise's own log from the terminal: what matters of it is in the deliveries."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
