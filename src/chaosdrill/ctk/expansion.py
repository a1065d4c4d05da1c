"""How an experiment looks once Chaos Toolkit has resolved its variables, before anything of it is played.

The configuration is resolved by Chaos Toolkit's own functions, so that what is cleared is what will be
played. Values that are probes themselves are left out: asking them is already playing.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from typing import Any

from chaoslib import substitute
from chaoslib.configuration import load_configuration
from chaoslib.secret import load_secrets

ACTIONS = "chaosdrill.actions"


def resolve(experiment: dict[str, Any], variables: tuple[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return configuration and secrets as the run will see them, without values of `type: probe`.

    Raises chaoslib's ChaosException for a variable that has no value.
    """
    # load_configuration removes what it has used from the variables; the run needs them again.
    config_vars, secret_vars = copy.deepcopy(variables)
    configuration = load_configuration(experiment.get("configuration") or {}, config_vars)
    known = {k: v for k, v in configuration.items() if not (isinstance(v, dict) and v.get("type") == "probe")}
    secrets = load_secrets(experiment.get("secrets") or {}, known, secret_vars)
    return known, secrets


def fault_actions(
    experiment: dict[str, Any], configuration: dict[str, Any], secrets: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return our fault actions in the order of the file, each with its substituted arguments.

    Shape: {activity, section, kind, arguments}; `ref` is followed.
    """
    # As Chaos Toolkit's own cache does: of the method and the hypothesis, the last of a name wins.
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    referable = [*(experiment.get("method") or ()), *(hypothesis.get("probes") or ())]
    named = {activity["name"]: activity for activity in referable if activity.get("name")}
    found = []
    for section in ("method", "rollbacks"):
        for declared in experiment.get(section) or ():
            activity = named.get(declared["ref"], {}) if declared.get("ref") else declared
            provider = activity.get("provider") or {}
            if provider.get("type") != "python" or provider.get("module") != ACTIONS:
                continue
            arguments = copy.deepcopy(provider.get("arguments") or {})
            found.append(
                {
                    "activity": activity.get("name", ""),
                    "section": section,
                    "kind": provider.get("func", ""),
                    "arguments": substitute(arguments, configuration, secrets) or {},
                }
            )
    return found


def fingerprint(values: dict[str, Any], salt: str) -> str:
    """Return a keyed hash of `values`, in hexadecimal; slow to guess (about 50 ms) for an 'scrypt:' salt.

    The cost is RFC 7914's interactive one: N = 2^14, r = 8, p = 1.
    """
    data = json.dumps(values, sort_keys=True, default=str).encode()
    if salt.startswith("scrypt:"):
        return hashlib.scrypt(data, salt=salt.encode(), n=2**14, r=8, p=1, dklen=32).hex()
    return hmac.new(salt.encode(), data, hashlib.sha256).hexdigest()
