"""payment-api: books payments in the database. `python -m chaosdrill.sandbox.payment`.

Its weakness is on purpose, and common: the circuit breaker watches the database, and nobody watches the
pool. With Little's law (connections in use = rate x latency) and 50 requests/s over 3 instances:

    database latency   in use per instance   pool of 5          pool of 20
    100 ms             1.7                   enough (to 150/s)  enough (to 600/s)
    400 ms             6.7                   37/s of 50/s       enough (to 150/s)
    3 s                50                    time-out at 1 s: the breaker opens, payments are queued

So at 400 ms a quarter of the customers gets a 503 while every single query succeeds. The fix is
`connection-pool`: 20 instead of 5.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from chaosdrill.sandbox.defences.breaker import Breaker, State
from chaosdrill.sandbox.defences.outbox import Outbox, OutboxFull
from chaosdrill.sandbox.defences.pool import DatabaseRefused, Pool, PoolClosed, PoolExhausted
from chaosdrill.sandbox.parts.http import Request, Response, answer
from chaosdrill.sandbox.parts.runtime import Runtime, run
from chaosdrill.sandbox.parts.service import Service

_HELPS = {
    "payments": "Payments by outcome.",
    "db_pool_connections_in_use": "Connections to the database that are lent to a request.",
    "db_pool_connections_max": "How many connections the pool may have.",
    "db_pool_waiting": "Requests that wait for a connection.",
    "circuit_breaker_state": "0 closed, 1 half-open, 2 open.",
    "payments_queued": "Payments accepted and not yet booked.",
}


class Payment:
    """What /payment/ORDER answers: 200 booked, 202 queued, 503 no connection or database, 504 unknown."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._pool = Pool(
            settings["database_port"],
            settings["pool"],
            settings["acquire_timeout"],
            settings["query_timeout"],
        )
        self._breaker = Breaker(
            settings["breaker_threshold"], settings["breaker_rest"], self._pool.ping, self._breaker_changed
        )
        self._outbox = Outbox(Path(settings["outbox"]))
        self._booking: asyncio.Task[None] | None = None
        self._service = Service(runtime, "payment-api", self._serve, _HELPS)
        numbers = self._service.numbers
        numbers.gauge("db_pool_connections_in_use", lambda: self._pool.in_use)
        numbers.gauge("db_pool_connections_max", lambda: self._pool.size)
        numbers.gauge("db_pool_waiting", lambda: self._pool.waiting)
        numbers.gauge("circuit_breaker_state", lambda: self._breaker.state)
        numbers.gauge("payments_queued", lambda: len(self._outbox))

    async def run(self) -> None:
        """Serve until told to leave."""
        self._book_what_waits()
        await self._service.run()

    async def _serve(self, request: Request) -> Response:
        order = request.path.removeprefix("/payment/")
        if request.method not in ("PUT", "POST") or not order or "/" in order:
            return answer(404, error="here is PUT /payment/ORDER")
        try:
            amount = int(json.loads(request.body)["amount"])
        except (ValueError, KeyError, TypeError):
            return answer(400, error="the body is an object with an amount in cents")
        response = await self._pay(order, amount)
        outcome = {200: "booked", 202: "queued"}.get(response.status, "failed")
        self._service.numbers.count("payments", outcome=outcome)
        return response

    async def _pay(self, order: str, amount: int) -> Response:
        if self._breaker.state is not State.CLOSED:
            return self._queue(order, amount)
        try:
            await self._pool.query(do="pay", id=order, amount=amount)
        except PoolExhausted as problem:
            # Not a failure of the database, so the breaker does not hear of it: see the top of this file.
            return answer(503, error=f"connection pool exhausted: {problem}")
        except PoolClosed:
            return self._queue(order, amount)
        except TimeoutError:
            return self._failed(order, amount, answer(504, error="the database did not answer in time"))
        except (OSError, DatabaseRefused) as problem:
            return self._failed(order, amount, answer(503, error=f"the database failed: {problem}"))
        self._breaker.succeeded()
        return answer(200, order=order, payment="booked")

    def _failed(self, order: str, amount: int, response: Response) -> Response:
        self._breaker.failed()
        # Booking an order twice is one payment, so one whose outcome is unknown may be queued too.
        return response if self._breaker.state is State.CLOSED else self._queue(order, amount)

    def _queue(self, order: str, amount: int) -> Response:
        try:
            self._outbox.add(order, amount)
        except (OutboxFull, OSError) as problem:
            return answer(503, error=f"the queue takes no more: {problem}")
        return answer(202, order=order, payment="queued")

    def _breaker_changed(self, state: State) -> None:
        self._runtime.channel.tell(event="breaker", state=int(state))
        self._runtime.log.write("warning", "circuit breaker", state=state.name.lower().replace("_", "-"))
        if state is State.OPEN:
            self._pool.send_waiting_away()
        if state is State.CLOSED:
            self._book_what_waits()

    def _book_what_waits(self) -> None:
        if len(self._outbox) and (self._booking is None or self._booking.done()):
            self._booking = asyncio.create_task(self._book())

    async def _book(self) -> None:
        while len(self._outbox) and self._breaker.state is State.CLOSED:
            order, amount = self._outbox.first()
            try:
                await self._pool.query(do="pay", id=order, amount=amount)
            except (PoolExhausted, PoolClosed):
                await asyncio.sleep(0.1)
            except (OSError, TimeoutError, DatabaseRefused):
                self._breaker.failed()
                await asyncio.sleep(0.1)
            else:
                self._outbox.booked()


async def payment(runtime: Runtime) -> None:
    """Book payments until told to leave."""
    await Payment(runtime).run()


if __name__ == "__main__":
    run(payment)
