"""The balancer: /checkout goes to checkout-api, /payment to payment-api.

`python -m chaosdrill.sandbox.balancer`. checkout-api reaches payment-api through here as well, so that one
place alone knows who is healthy. It tries a request a second time, on another instance, when repeating it is
safe. The supervisor tells it which instances there are; it tells the supervisor which of them answer.
"""

from __future__ import annotations

from chaosdrill.sandbox.defences.upstream import Upstream
from chaosdrill.sandbox.parts.channel import Message
from chaosdrill.sandbox.parts.http import Client, Request, Response, answer
from chaosdrill.sandbox.parts.runtime import Runtime, run
from chaosdrill.sandbox.parts.service import Service

#: Seconds for an answer. Longer on the outside than on the inside, so that the cause is named by whoever is
#: nearest to it: a payment waits 0.5 s for a place in the pool, 1 s to connect and 1 s for the answer.
PAYMENT_TIMEOUT = 3.0
CHECKOUT_TIMEOUT = 4.0

_HELPS = {
    "balancer_retries": "Requests that were tried on a second instance.",
    "balancer_healthy_backends": "Instances that answer their health check.",
}


async def balancer(runtime: Runtime) -> None:
    """Pass requests on until told to leave."""
    client = Client()

    def report() -> None:
        runtime.log.write("info", "health", **checkout.health(), **payment.health())
        runtime.channel.tell(event="health", health=checkout.health() | payment.health())

    def retried() -> None:
        service.numbers.count("balancer_retries")

    checkout = Upstream(client, CHECKOUT_TIMEOUT, report, retried)
    payment = Upstream(client, PAYMENT_TIMEOUT, report, retried)

    def set_backends(message: Message) -> None:
        checkout.set_backends(message["checkout-api"])
        payment.set_backends(message["payment-api"])
        report()

    async def serve(request: Request) -> Response:
        if request.path.startswith("/checkout"):
            return await checkout.send(request)
        if request.path.startswith("/payment/"):
            return await payment.send(request)
        return answer(404, error="here are /checkout, /health and /metrics")

    # Those behind it log every request already.
    service = Service(runtime, "balancer", serve, _HELPS, log_requests=False)
    service.numbers.count("balancer_retries", by=0.0)
    service.numbers.gauge(
        "balancer_healthy_backends", lambda: sum((checkout.health() | payment.health()).values())
    )
    runtime.on("backends", set_backends)
    await service.run()


if __name__ == "__main__":
    run(balancer)
