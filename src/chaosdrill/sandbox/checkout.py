"""checkout-api: an order, paid through payment-api. `python -m chaosdrill.sandbox.checkout`.

It is honest: when the payment is refused or unknown, so is the checkout. A payment that was taken into the
queue is a sale; the customer hears that it is still being booked.
"""

from __future__ import annotations

import json
import secrets

from chaosdrill.sandbox.parts.http import Client, ConnectionLost, Request, Response, answer
from chaosdrill.sandbox.parts.runtime import Runtime, run
from chaosdrill.sandbox.parts.service import Service

#: Seconds; the balancer gives payment-api 3 s, so this one only ends what the balancer could not.
PAYMENT_TIMEOUT = 3.5

_HELPS = {"checkouts": "Checkouts by outcome."}
_PRICE_IN_CENTS = 1999


class Checkout:
    """What /checkout answers."""

    def __init__(self, runtime: Runtime) -> None:
        self._balancer: int = runtime.settings["balancer_port"]
        self._client = Client()
        self._service = Service(runtime, "checkout-api", self._serve, _HELPS)

    async def run(self) -> None:
        """Serve until told to leave."""
        await self._service.run()

    async def _serve(self, request: Request) -> Response:
        if request.path.partition("?")[0] != "/checkout":
            return answer(404, error="here is /checkout")
        order = secrets.token_hex(8)
        response = await self._pay(order)
        outcome = {200: "paid", 202: "queued"}.get(response.status, "failed")
        self._service.numbers.count("checkouts", outcome=outcome)
        if outcome != "failed":
            return answer(200, order=order, payment=outcome)
        return answer(response.status, order=order, error="payment failed", cause=_cause(response))

    async def _pay(self, order: str) -> Response:
        # PUT with an id chosen here: paying the same order twice is one payment, so it may be tried again.
        body = json.dumps({"amount": _PRICE_IN_CENTS}).encode()
        request = Request("PUT", f"/payment/{order}", body)
        try:
            response = await self._client.send(self._balancer, request, PAYMENT_TIMEOUT)
        except ConnectionLost as problem:
            return answer(502, error=f"payment: {problem}")
        except TimeoutError:
            return answer(504, error="payment did not answer in time")
        if response.status >= 500 or response.status in (200, 202):
            return response
        return answer(502, error=f"payment answered {response.status}")


def _cause(response: Response) -> str:
    try:
        return str(json.loads(response.body).get("error", ""))
    except ValueError:
        return ""


async def checkout(runtime: Runtime) -> None:
    """Take orders until told to leave."""
    await Checkout(runtime).run()


if __name__ == "__main__":
    run(checkout)
