"""Samples on disk: nothing lost in silence, and read back as they were."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaosdrill.errors import RecordUnusable
from chaosdrill.model.signal import Sample
from chaosdrill.record import samples
from chaosdrill.record.samples import SampleWriter, read_samples

SOME = [
    Sample(1000.25, "pay", 0.0125, True, "200"),
    Sample(1000.5, "pay", 2.0, False, "timeout"),
    Sample(1000.75, "pay", None, False, "refused"),
    Sample(1001.0, "instances.ready", 3.0, True),
]


def written(path: Path, made: list[Sample]) -> Path:
    writer = SampleWriter(path)
    for sample in made:
        writer.write(sample)
    writer.close()
    return path


def rows(path: Path, signal: str) -> list[tuple[float, float | None, bool, str]]:
    found = read_samples(path).of(signal)
    return [
        (t, None if math.isnan(v) else v, bool(ok), found.details[code])
        for t, v, ok, code in zip(found.t, found.value, found.ok, found.detail, strict=True)
    ]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", SOME)
    assert rows(path, "pay") == [(s.t, s.value, s.ok, s.detail) for s in SOME if s.signal == "pay"]
    assert rows(path, "instances.ready") == [(1001.0, 3.0, True, "")]
    assert path.read_text().splitlines()[:2] == ["t,signal,value,ok,detail", "1000.25000,pay,0.0125,1,200"]
    assert read_samples(path).last == 1001.0
    assert read_samples(path).unreadable == 0


def test_requests_are_read_in_the_order_in_which_they_were_due(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", [SOME[2], SOME[0], SOME[1]])
    assert [row[0] for row in rows(path, "pay")] == [1000.25, 1000.5, 1000.75]


@given(
    st.lists(
        st.builds(
            Sample,
            st.integers(0, 10**6).map(lambda i: round(1000 + i / 1000, 3)),
            st.sampled_from(["pay", 'odd, "name"', "instances.ready"]),
            st.none() | st.integers(0, 10**6).map(lambda i: i / 1000),
            st.booleans(),
            st.sampled_from(["200", "timeout", "", 'a "quoted", detail']),
        ),
        max_size=40,
    )
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
    deadline=None,
)
def test_any_samples_survive_the_file(tmp_path: Path, made: list[Sample]) -> None:
    path = written(tmp_path / "samples.csv", made)
    for signal in {s.signal for s in made}:
        expected = [(s.t, s.value, s.ok, s.detail) for s in made if s.signal == signal]
        assert sorted(rows(path, signal), key=repr) == sorted(expected, key=repr)


def test_no_file_is_no_samples(tmp_path: Path) -> None:
    found = read_samples(tmp_path / "samples.csv")
    assert found.signals == {}
    assert found.last is None
    assert len(found.of("pay")) == 0


def test_a_torn_last_line_is_left_out_even_when_it_looks_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", SOME)
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, whole.index(b"\n"), -1):
        path.write_bytes(whole[:cut])
        found = read_samples(path)
        lines = whole[:cut].count(b"\n") - 1
        assert sum(len(r) for r in found.signals.values()) == lines
        assert found.unreadable == 0


def test_rows_that_make_no_sense_are_counted_and_the_others_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", SOME)
    with path.open("a") as file:
        file.write('x,pay,1,1,200\n1,pay\n1002,pay,1,maybe,200\n\n1003,pay,"1\n1004.0,pay,0.5,1,200\n')
    found = read_samples(path)
    assert [row[0] for row in rows(path, "pay")] == [1000.25, 1000.5, 1000.75, 1004.0]
    assert found.unreadable == 5


def test_readers_see_samples_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    writer = SampleWriter(path)
    try:
        writer.write(SOME[0])
        waited = threading.Event()
        while not read_samples(path).signals and not waited.wait(0.02):
            pass
        assert len(read_samples(path).of("pay")) == 1
    finally:
        writer.close()


def test_many_threads_write_whole_rows(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "samples.csv")

    def some(k: int) -> None:
        for i in range(500):
            writer.write(Sample(1000 + i, f"s{k}", i / 7, True, "200"))

    threads = [threading.Thread(target=some, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = read_samples(tmp_path / "samples.csv")
    assert {name: len(r) for name, r in found.signals.items()} == {f"s{k}": 500 for k in range(4)}
    assert found.unreadable == 0


def test_closing_twice_is_right_and_a_late_sample_is_ignored(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "samples.csv")
    writer.close()
    writer.write(SOME[0])
    writer.close()
    assert read_samples(tmp_path / "samples.csv").signals == {}


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordUnusable, match="cannot be written"):
        SampleWriter(tmp_path / "missing" / "samples.csv")


def test_a_full_disk_is_reported_once_and_the_losses_are_counted() -> None:
    told: list[str] = []
    reported = threading.Event()

    def tell(message: str) -> None:
        told.append(message)
        reported.set()

    # The kernel's own full disk. The header is lost too, so one row more than was handed in.
    writer = SampleWriter(Path("/dev/full"), tell)
    writer.write(SOME[0])
    assert reported.wait(30)
    writer.write(SOME[1])
    with pytest.raises(RecordUnusable, match=r"3 samples could not be written.*No space left") as raised:
        writer.close()
    assert "make room" in str(raised.value)
    assert len(told) == 1
    assert "/dev/full" in told[0]


def test_after_a_full_disk_no_row_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    script = f"""
import resource, signal, threading
from pathlib import Path
from chaosdrill.errors import RecordUnusable
from chaosdrill.model.signal import Sample
from chaosdrill.record.samples import SampleWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
failed = threading.Event()
writer = SampleWriter(Path({str(path)!r}), lambda message: failed.set())
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for i in range(10):
    writer.write(Sample(1000.0 + i, "pay", 0.5, True, "200"))
assert failed.wait(30)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.write(Sample(1010.0, "pay", 0.5, True, "200"))
writer.close()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert [row[0] for row in rows(path, "pay")] == [1000.0 + i for i in range(11)]
    assert read_samples(path).unreadable == 0


def test_memory_stays_bounded_while_the_disk_refuses() -> None:
    writer = SampleWriter(Path("/dev/full"))
    sample = Sample(1000.0, "pay" * 1000, 0.5, True, "200")
    for _ in range(2 * samples.MOST_WAITING // 3000):
        writer.write(sample)
    with pytest.raises(RecordUnusable, match="could not be written"):
        writer.close()
    assert writer.lost > 0


def test_a_hundred_thousand_rows_take_little_memory(tmp_path: Path) -> None:
    path = written(
        tmp_path / "samples.csv",
        [Sample(1000 + i / 200, "pay", i / 1e6, True, "200") for i in range(100_000)],
    )
    found = read_samples(path).of("pay")
    size = sum(len(c) * c.itemsize for c in (found.t, found.value, found.ok, found.detail))
    assert size == 100_000 * 21 < path.stat().st_size
