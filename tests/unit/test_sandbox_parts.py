"""The parts of the sandbox that decide something: breaker, pool, autoscaler, quota, outbox, metrics."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chaosdrill.sandbox.database import Store
from chaosdrill.sandbox.defences.breaker import Breaker, State
from chaosdrill.sandbox.defences.outbox import Outbox
from chaosdrill.sandbox.defences.pool import Pool, PoolClosed, PoolExhausted
from chaosdrill.sandbox.parts.numbers import Numbers
from chaosdrill.sandbox.parts.quota import LARGEST_DEBT, Quota
from chaosdrill.sandbox.proxy import retransmission_delay
from chaosdrill.sandbox.supervisor.autoscaler import GROW_AFTER, SHRINK_AFTER, TARGET, Autoscaler


def test_the_breaker_opens_after_failures_in_a_row_and_closes_by_its_own_probe() -> None:
    async def play() -> list[State]:
        seen: list[State] = []
        well = asyncio.Event()
        closed = asyncio.Event()
        probes = 0

        async def probe() -> None:
            nonlocal probes
            probes += 1
            if probes == 1:
                raise TimeoutError
            well.set()

        def note(state: State) -> None:
            seen.append(state)
            if state is State.CLOSED:
                closed.set()

        breaker = Breaker(3, 0.01, probe, note)
        for outcome in ("bad", "bad", "good", "bad", "bad"):
            breaker.failed() if outcome == "bad" else breaker.succeeded()
        assert breaker.state is State.CLOSED, "two in a row are not three"
        breaker.failed()
        await closed.wait()
        return seen

    assert asyncio.run(play()) == [State.OPEN, State.HALF_OPEN, State.OPEN, State.HALF_OPEN, State.CLOSED]


class SlowDatabase:
    """Says hello, and answers only when it is told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self._sessions: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> SlowDatabase:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.may_answer.set()
        self._server.close()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        writer.write(b'{"ok": true}\n')
        try:
            while await reader.readline():
                await self.may_answer.wait()
                writer.write(b'{"ok": true}\n')
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()


def test_a_pool_lends_no_more_than_its_size_and_says_so() -> None:
    async def play() -> None:
        async with SlowDatabase() as database:
            pool = Pool(database.port, size=2, patience=0.05, query_timeout=30.0)
            busy = [asyncio.create_task(pool.query(do="ping")) for _ in range(2)]
            while pool.in_use < 2:
                await asyncio.sleep(0)
            with pytest.raises(PoolExhausted, match="all 2 connections"):
                await pool.query(do="ping")
            database.may_answer.set()
            await asyncio.gather(*busy)
            assert pool.in_use == 0
            pool.close()

    asyncio.run(play())


def test_a_free_place_goes_to_whoever_waits_longest() -> None:
    async def play() -> list[str]:
        async with SlowDatabase() as database:
            pool = Pool(database.port, size=1, patience=30.0, query_timeout=30.0)
            done: list[str] = []

            async def ask(name: str) -> None:
                await pool.query(do="ping")
                done.append(name)

            tasks = []
            for waiting, name in enumerate("abc"):
                tasks.append(asyncio.create_task(ask(name)))
                while pool.in_use + pool.waiting <= waiting:
                    await asyncio.sleep(0)
            database.may_answer.set()
            await asyncio.gather(*tasks)
            pool.close()
            return done

    assert asyncio.run(play()) == ["a", "b", "c"]


def test_those_who_wait_can_be_sent_away_without_losing_a_place() -> None:
    async def play() -> None:
        async with SlowDatabase() as database:
            pool = Pool(database.port, size=1, patience=30.0, query_timeout=30.0)
            tasks = [asyncio.create_task(pool.query(do="ping")) for _ in range(3)]
            while pool.waiting < 2:
                await asyncio.sleep(0)
            pool.send_waiting_away()
            outcomes = await asyncio.gather(*tasks[1:], return_exceptions=True)
            assert [type(o) for o in outcomes] == [PoolClosed, PoolClosed]
            database.may_answer.set()
            await tasks[0]
            await pool.query(do="ping")
            assert (pool.in_use, pool.waiting) == (0, 0)
            pool.close()

    asyncio.run(play())


def scaled(cpus: list[float], seconds: float, start: int = 3) -> list[int]:
    """Return how many instances there are each second, when all use CPU as told."""
    scaler, count, seen = Autoscaler(3, 6), start, []
    for second in range(int(seconds)):
        total = sum(cpus)
        count = scaler.decide(float(second), count, [total / count] * count)
        seen.append(count)
    return seen


def test_the_autoscaler_grows_on_sustained_cpu_and_not_on_a_spike() -> None:
    # 0.7 of a core over three is 0.233 on average, so ceil(3 x 0.233 / 0.15) = 5; over five, within 10 %.
    sizes = scaled([0.7], GROW_AFTER + 60)
    assert sizes[0] == 3
    assert sizes[-1] == 5
    assert sizes.index(5) == GROW_AFTER
    scaler = Autoscaler(3, 6)
    spike = [scaler.decide(float(s), 3, [0.9 if s == 15 else 0.01] * 3) for s in range(40)]
    assert set(spike) == {3}


def test_the_autoscaler_stays_within_its_limits_and_tolerance() -> None:
    assert max(scaled([6.0], 60)) == 6
    assert set(scaled([3 * TARGET * 1.09], 60)) == {3}
    assert set(scaled([0.0], 200)) == {3}


def test_the_autoscaler_shrinks_only_after_a_calm_time() -> None:
    sizes = scaled([0.03], SHRINK_AFTER + 5, start=6)
    assert sizes[int(SHRINK_AFTER) - 1] == 6
    assert sizes[-1] == 3


def test_a_quota_asks_for_the_share_that_is_owed_and_forgives_old_debts() -> None:
    quota = Quota(0.8, now=0.0)
    assert quota.slice(0.01, longest=1.0) == pytest.approx(0.008)
    quota.burned(0.010)
    assert quota.slice(0.02, longest=1.0) == pytest.approx(0.006)
    quota.burned(0.006)
    assert quota.slice(100.0, longest=9.0) == LARGEST_DEBT


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 0.0), (0.1, 0.2 * 0.1 / (1 - 0.2))])
def test_a_lost_segment_costs_a_retransmission_that_doubles(loss: float, expected: float) -> None:
    # The mean of 0.2 x (2^k - 1) with k losses in a row, each of probability p: 0.2 x p / (1 - 2 p).
    chance = random.Random(7)
    delays = [retransmission_delay(loss, chance) for _ in range(20_000)]
    assert sum(delays) / len(delays) == pytest.approx(expected, rel=0.15)
    assert {round(d, 1) for d in delays} >= ({0.0, 0.2, 0.6, 1.4} if loss else {0.0})


def test_a_line_that_loses_everything_is_a_black_hole_and_not_an_endless_loop() -> None:
    assert retransmission_delay(1.0, random.Random(1)) > 120


def test_a_queued_payment_survives_the_death_of_its_instance(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    outbox = Outbox(path)
    outbox.add("a", 1)
    outbox.add("b", 2)
    outbox.booked()
    with path.open("ab") as file:
        file.write(b'["c", 3')
    again = Outbox(path)
    assert again.first() == ("a", 1), "booking twice does no harm; forgetting would"
    assert len(again) == 2
    again.booked()
    again.booked()
    empty = Outbox(path)
    assert len(empty) == 0
    for box in (outbox, again, empty):
        box.close()


def test_an_order_paid_twice_is_one_payment(tmp_path: Path) -> None:
    store = Store(tmp_path / "base")
    for amount in (5, 7):
        assert store.answer({"do": "pay", "id": "a", "amount": amount}) == {"ok": True}
    assert store.answer({"do": "find", "id": "a"}) == {"ok": True, "amount": 5}
    assert store.answer({"do": "pay"})["ok"] is False
    store.close()


def test_prometheus_can_read_what_is_counted() -> None:
    numbers = Numbers({"hits": "Hits.", "wait_seconds": "Waits.", "level": "Level."}, {"instance": "x-1"})
    for code in ("200", "200", "503"):
        numbers.count("hits", code=code)
    for seconds in (0.001, 0.3, 60.0):
        numbers.observe("wait_seconds", seconds)
    numbers.gauge("level", lambda: 2)
    page = numbers.exposition()[1].decode()
    samples = {
        (s.name, s.labels.get("code") or s.labels.get("le")): s.value
        for family in text_string_to_metric_families(page)
        for s in family.samples
    }
    assert samples["hits_total", "200"] == 2
    assert samples["level", None] == 2
    assert samples["wait_seconds_bucket", "0.001"] == 1
    assert samples["wait_seconds_bucket", "0.5"] == 2
    assert samples["wait_seconds_bucket", "+Inf"] == samples["wait_seconds_count", None] == 3
    assert json.dumps(samples["wait_seconds_sum", None]) == "60.301"
