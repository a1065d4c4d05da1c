"""What the sandbox consists of, and the settings it starts with. Data, no behaviour."""

from __future__ import annotations

from typing import Any

#: In the order of a request; "load" is only there while there is background traffic.
MODULES = {
    "load": "load",
    "balancer": "balancer",
    "checkout-api": "checkout",
    "payment-api": "payment",
    "delay-proxy": "proxy",
    "database": "database",
}
REPLICAS = {"balancer": 1, "checkout-api": 2, "payment-api": 3, "delay-proxy": 1, "database": 1}
SCALED = "payment-api"
SMALLEST, LARGEST = REPLICAS[SCALED], 6

#: Behind the balancer: these have more than one instance and numbered names.
BALANCED = ("checkout-api", "payment-api")
#: What an instance failure or CPU stress may hit. The delay proxy is not among them: it carries other faults
#: and their time limits.
BREAKABLE = ("balancer", "checkout-api", "payment-api", "database")
#: The only line with a proxy in it, by the service whose network it is.
LINKS = {"database": "payment-api->database"}

PREFERRED_PORT = 8080

#: Seconds, and connections per instance; what they mean together stands at the top of payment.py.
PAYMENT_SETTINGS: dict[str, Any] = {
    "pool": 5,
    "acquire_timeout": 0.5,
    "query_timeout": 1.0,
    "breaker_threshold": 5,
    "breaker_rest": 5.0,
}

#: Changes of settings that make an experiment hold that fails without them.
FIXES: dict[str, dict[str, Any]] = {"connection-pool": {"pool": 20}}


def instance_names(service: str, count: int) -> list[str]:
    """Return the ids of the first `count` instances of `service`."""
    if service in BALANCED:
        return [f"{service}-{n}" for n in range(1, count + 1)]
    return [service] * min(count, 1)
