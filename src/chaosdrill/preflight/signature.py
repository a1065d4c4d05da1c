"""Signatures of people, made and checked by OpenSSH's own ssh-keygen with the keys that people have already.

The format is OpenSSH's SSHSIG (PROTOCOL.sshsig); who may sign stands in an allowed-signers file
(ssh-keygen(1), ALLOWED SIGNERS). This module knows nothing of approvals: only bytes, keys and names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaosdrill.errors import Refused, UsageError

#: Signatures for anything else, such as git commits, are none of ours.
NAMESPACE = "chaosdrill-approval@v1"

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
#: sshsig_armor wraps its base64 there.
_COLUMNS = 70
#: The magic preamble and the version, which is not signed: ssh-keygen takes a lower one for the same.
_PREAMBLE = b"SSHSIG" + (1).to_bytes(4, "big")
#: Checking a signature takes milliseconds; a person who signs may take as long as they like.
_TIMEOUT = 10.0
_TOOL = "ssh-keygen"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed: the name in the allowed-signers file, and the key's SHA-256 as ssh-keygen prints it."""

    principal: str
    key: str


def sign(data: bytes, key: Path) -> str:
    """Return `key`'s signature over `data`, armoured; ssh-keygen itself asks for a passphrase or a touch.

    A public key (`KEY.pub`) means that the private one is in the ssh-agent. Raises UsageError, with
    ssh-keygen's own words, when there is no signature; Refused when there is no ssh-keygen.
    """
    with tempfile.TemporaryDirectory(prefix="chaosdrill-") as folder:
        message = Path(folder) / "statement"
        message.write_bytes(data)
        # The message comes by file: standard input belongs to the person who is asked for a passphrase.
        command = [_TOOL, "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(message)]
        # It asks for the touch of a security key only where it sees that its standard error is a terminal.
        told = None if sys.stderr is not None and sys.stderr.isatty() else subprocess.PIPE
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=told, check=False)
        except OSError as error:
            raise _without_tool(error) from None
        produced = message.with_name("statement.sig")
        if done.returncode or not produced.is_file():
            said = _first_line(done.stderr) if done.stderr else "ssh-keygen has said why"
            raise UsageError(f"{key} did not sign: {said}", next_step="see: chaosdrill approve --help")
        # Our own wrapping: whatever version signed, one blob has one text.
        return _armour(_blob(produced.read_text("ascii"), canonical=False))


def signer(data: bytes, signature: str, signers: Path, principal: str, now: float) -> Signer:
    """Return who signed `data`, which must be `principal`, by a key that may do so at `now` (epoch seconds).

    Raises Refused, saying why, for anything else.
    """
    blob = _blob(signature)
    if not signers.is_file():
        raise Refused(
            f"the list of approvers {signers} can't be read", next_step="see `approvals` in chaosdrill.yaml"
        )
    # Without a Z: releases before 9.1 know local time only.
    moment = time.strftime("%Y%m%d%H%M%S", time.localtime(now))
    with tempfile.TemporaryDirectory(prefix="chaosdrill-") as folder:
        path = Path(folder) / "signature"
        path.write_text(signature, "ascii")
        common = ["-f", str(signers), "-s", str(path), "-O", f"verify-time={moment}"]
        found = _keygen(["-Y", "find-principals", *common], b"")
        if found is None:
            raise Refused(f"its key may not sign now: {signers.name} does not name it, or not for this time")
        # The very name: a pattern such as *@example.com says of nobody who it was.
        if principal not in found.split("\n"):
            who = ", ".join(found.split()) or "nobody"
            raise Refused(f"it says {principal}, but its key belongs to {who} in {signers.name}")
        if _keygen(["-Y", "verify", "-I", principal, "-n", NAMESPACE, *common], data) is None:
            raise Refused("its signature does not fit what it says")
    return Signer(principal, _fingerprint(blob))


def principals(key: Path, signers: Path) -> tuple[str, ...]:
    """Return the names that the allowed-signers file gives to `key`, patterns left out; empty for none.

    Only to propose a name before somebody signs: whether a signature counts is decided by `signer`.
    """
    public = key if key.suffix == ".pub" else key.with_name(key.name + ".pub")
    try:
        wanted = public.read_text("utf-8").split()[1]
        lines = signers.read_text("utf-8").splitlines()
    except (OSError, ValueError, IndexError):
        return ()
    named = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    names = [name for words in named if wanted in words for name in words[0].split(",")]
    return tuple(dict.fromkeys(name for name in names if not set('*?!"') & set(name)))


def _keygen(arguments: Sequence[str], data: bytes) -> str | None:
    """Return what ssh-keygen printed, None when it said no. Raises Refused when it can't be asked."""
    try:
        done = subprocess.run(
            [_TOOL, *arguments],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{_TOOL} did not answer within {_TIMEOUT:g} s") from None
    except OSError as error:
        raise _without_tool(error) from None
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None


def _without_tool(error: OSError) -> Refused:
    return Refused(
        f"signatures can't be checked: {_TOOL}: {error.strerror}",
        next_step="install OpenSSH's client (Debian: apt install openssh-client)",
    )


def _blob(signature: str, *, canonical: bool = True) -> bytes:
    """Return the bytes in the armour. Raises Refused unless this is the one text that they have."""
    lines = signature.strip().splitlines()
    try:
        if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
            raise ValueError
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (ValueError, binascii.Error):
        raise Refused("its signature is broken") from None
    # Base64 has bits that nobody reads; a signature in which one of them was flipped is not the one given.
    if not blob.startswith(_PREAMBLE) or (canonical and _armour(blob) != signature):
        raise Refused("its signature is broken")
    return blob


def _armour(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
    return "\n".join([_BEGIN, *lines, _END]) + "\n"


def _fingerprint(blob: bytes) -> str:
    """Return the SHA-256 of the public key in an SSHSIG: magic, uint32 version, string key, ..."""
    start = len(_PREAMBLE) + 4
    length = int.from_bytes(blob[start - 4 : start], "big")
    hashed = hashlib.sha256(blob[start : start + length]).digest()
    return "SHA256:" + base64.b64encode(hashed).decode().rstrip("=")


def _first_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", errors="replace").splitlines()]
    return next((line for line in lines if line), "ssh-keygen gave no reason")
