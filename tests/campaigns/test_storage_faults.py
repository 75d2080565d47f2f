"""Faults around the storage manager with real processes: short forms in the suite, long ones by `make campaign`."""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from egse.confman import ConfigurationManagerProxy
from egse.logger.handler import close_all_zmq_handlers, setup_logging
from egse.proxy import OutcomeUnknownError
from egse.settings import Settings
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox
from egse.storage import StorageFullError, StorageProxy, read_manifest
from egse.telemetry import HousekeepingStore

T = TypeVar("T")

DEVICES = 10
RATE = 10.0
COLUMNS = 50
CORE = ("log_cs", "sm_cs", "cm_cs", "pm_cs", "syn_cs")
SOAK_MINUTES = float(os.environ.get("CGSE_SOAK_MINUTES", "30"))


def scales(short: int, long: int) -> Any:
    return pytest.mark.parametrize("scale", [short, pytest.param(long, marks=pytest.mark.campaign)])


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """The core services of a site of its own, supervised; not started yet."""
    folder = tmp_path / "box"
    sandbox = Sandbox(folder, only_core=True)
    sandbox.create()
    with sandbox.joined():
        Settings.load(force=True)
        try:
            yield sandbox
        finally:
            sandbox.stop()
            release_block(folder)
    Settings.load(force=True)


def data_of(box: Sandbox) -> Path:
    """Returns the data folder of the site."""
    return Path(box.env["PLATO_DATA_STORAGE_LOCATION"]) / box.layout.site_id


def installed(box: Sandbox) -> list[str]:
    return [name for name in CORE if name in box.status()]


def kill(box: Sandbox, name: str) -> float:
    """Kills a service and waits until its supervisor has started it again; returns how long that took [s]."""
    killed = box.kill(name)
    started = time.monotonic()
    while box.status()[name].pid == killed:
        assert time.monotonic() - started < 60, f"nobody noticed that {name} was killed"
        time.sleep(0.05)
    box.wait_for(name, 60.0)
    return time.monotonic() - started


class Device(threading.Thread):
    """What a control server does for its housekeeping: a row at a fixed rate into the store."""

    def __init__(self, number: int, end: threading.Event, rate: float = RATE) -> None:
        super().__init__(name=f"device-{number}", daemon=True)
        self.origin = f"DEV{number:02d}"
        self.store = HousekeepingStore(self.origin)
        self.count = 0
        self._end = end
        self._period = 1.0 / rate

    def run(self) -> None:
        due = time.monotonic()
        while not self._end.is_set():
            self.save()
            due = max(due + self._period, time.monotonic() - 1.0)
            self._end.wait(max(0.0, due - time.monotonic()))

    def save(self) -> None:
        self.store.save(
            {"n": self.count, **{f"GDEV_{c:02d}": self.count + c / 7 for c in range(COLUMNS - 2)}}
        )
        self.count += 1


def rows_in(paths: Iterator[Path]) -> list[int]:
    numbers = []
    for path in sorted(paths):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                assert None not in row.values(), f"a torn row in {path}"
                numbers.append(int(row["n"]))
    return numbers


def check_rows(data: Path, devices: list[Device]) -> int:
    """Every row that a device has made is in the daily files, once; returns how many there are."""
    lost = doubled = total = 0
    for device in devices:
        seen = Counter(rows_in(data.glob(f"daily/*/*_{device.origin}.csv")))
        lost += sum(number not in seen for number in range(device.count))
        doubled += sum(count - 1 for count in seen.values())
        total += device.count
        assert device.store.acknowledged == device.count
    assert (lost, doubled) == (0, 0)
    return total


def persistently(call: Callable[[], T]) -> T:
    """Asks again until there is an answer, as clients do that may."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except (ConnectionError, OutcomeUnknownError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Observations:
    """Observations one after the other, kept alive by a thread, as a runner does."""

    def __init__(self) -> None:
        self._manager = ConfigurationManagerProxy(timeout=5.0)
        self._end = threading.Event()
        self.started: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._lock = threading.Lock()
        self._open = False
        self.start()
        self._thread.start()

    def start(self) -> None:
        run_id = f"run-{len(self.started)}"
        with self._lock:
            self.started.append(
                persistently(lambda: self._manager.start_observation(run_id, "kill()", "", True, 30.0, {}))
            )
            self._open = True

    def _renew(self) -> None:
        while not self._end.wait(2.0):
            with self._lock, contextlib.suppress(ConnectionError, OutcomeUnknownError):
                if self._open:
                    self._manager.renew_lease(self.started[-1]["run_id"])

    def finish(self) -> dict[str, Any]:
        run_id = self.started[-1]["run_id"]
        deadline = time.monotonic() + 60
        with self._lock:
            self._open = False
            while True:
                state = persistently(lambda: self._manager.end_observation(run_id, "done"))
                if state["state"] == "closed":
                    return state
                assert time.monotonic() < deadline, state
                time.sleep(0.1)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._manager.disconnect_cs()


@scales(1, 20)
def test_core_services_killed_at_random_moments(box: Sandbox, scale: int) -> None:
    box.start()
    names = installed(box)
    end = threading.Event()
    devices = [Device(number, end) for number in range(DEVICES)]
    for device in devices:
        device.start()
    generator = random.Random(scale)
    observations = Observations()
    victims = names * scale
    generator.shuffle(victims)
    back = dict.fromkeys(names, 0.0)
    for number, name in enumerate(victims, 1):
        end.wait(0.5 + generator.random())
        back[name] = max(back[name], kill(box, name))
        if number % 10 == 0:
            observations.finish()
            observations.start()
    end.wait(1.0)
    observations.finish()
    end.set()
    for device in devices:
        device.join()
        assert device.store.flush(60.0), f"{device.origin} has {device.store.waiting} rows left"
    data = data_of(box)
    total = check_rows(data, devices)
    obsids = [observation["obsid"] for observation in observations.started]
    assert len(set(obsids)) == len(obsids), "an obsid was used twice"
    mirrored = check_observations(data, devices, len(obsids))
    with StorageProxy() as storage:
        assert {device.origin for device in devices} <= set(storage.get_registry_names())
    observations.close()
    for device in devices:
        device.store.close()
    print(
        f"{len(victims)} kills of {', '.join(names)}: {total} rows of {DEVICES} devices at {RATE:g} Hz, 0 lost, "
        f"0 doubled; {len(obsids)} observations closed as done with {mirrored} rows; back after at most "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in back.items())
    )


def check_observations(data: Path, devices: list[Device], count: int) -> int:
    """Each observation is closed with its true status; its rows are those of its time, without a gap."""
    folders = sorted((data / "obs").iterdir())
    assert len(folders) == count
    mirrored = 0
    for folder in folders:
        manifest = read_manifest(folder)
        assert manifest is not None
        assert manifest.status == "done"
        for device in devices:
            numbers = rows_in(folder.glob(f"*_{device.origin}_*.csv"))
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            mirrored += len(numbers)
    return mirrored


@scales(1, 10)
def test_two_producers_of_one_name_and_a_kill(box: Sandbox, scale: int) -> None:
    box.start()
    end = threading.Event()
    devices = [Device(0, end, rate=50.0), Device(0, end, rate=50.0)]
    for device in devices:
        device.start()
    for _ in range(scale):
        end.wait(0.7)
        kill(box, "sm_cs")
    end.wait(0.5)
    end.set()
    for device in devices:
        device.join()
        assert device.store.flush(60.0)
    seen = Counter(rows_in(data_of(box).glob("daily/*/*_DEV00.csv")))
    expected = Counter([*range(devices[0].count), *range(devices[1].count)])
    assert seen == expected
    for device in devices:
        device.store.close()
    print(f"{scale} kills, two producers of one name: {sum(seen.values())} rows, 0 lost, 0 doubled")


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mounts a small file system at `folder`."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if (mounted := subprocess.run(command, capture_output=True, text=True)).returncode != 0:
        pytest.skip(f"no small file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@scales(1, 10)
def test_disk_filled_to_the_last_byte_in_an_observation(box: Sandbox, scale: int) -> None:
    root = Path(box.env["PLATO_DATA_STORAGE_LOCATION"])
    saved = {path.name: path.read_bytes() for path in data_of(box).glob("*") if path.is_file()}
    with small_disk(root, 32):
        data_of(box).mkdir(exist_ok=True)
        for name, content in saved.items():
            (data_of(box) / name).write_bytes(content)
        try:
            total = _fill_and_empty(box, root, scale)
        finally:
            box.stop()
    print(f"{scale} full disks in an observation: {total} rows, 0 lost, 0 doubled, no service restarted")


def _fill_and_empty(box: Sandbox, root: Path, scale: int) -> int:
    box.start()
    pids = {name: box.status()[name].pid for name in installed(box)}
    end = threading.Event()
    devices = [Device(number, end) for number in range(DEVICES)]
    for device in devices:
        device.start()
    observations = Observations()
    filler = root / "filler"
    with StorageProxy() as storage:
        for _ in range(scale):
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            assert os.statvfs(root).f_bavail == 0
            with pytest.raises(StorageFullError, match="the data disk is full"):
                _save_for_ever(storage, devices[0].origin)
            assert storage.get_disk_usage()["level"] == "critical"
            end.wait(1.0)
            filler.unlink()
    end.wait(0.5)
    observations.finish()
    end.set()
    for device in devices:
        device.join()
        assert device.store.flush(60.0)
    total = check_rows_but(data_of(box), devices)
    assert {name: box.status()[name].pid for name in pids} == pids
    observations.close()
    for device in devices:
        device.store.close()
    return total


def _save_for_ever(storage: StorageProxy, origin: str) -> None:
    while True:
        storage.save({"origin": origin, "data": {"n": -1, "GDEV_00": "x" * 4000}})


def check_rows_but(data: Path, devices: list[Device]) -> int:
    """As `check_rows`; the first device's file also holds rows of the test itself, numbered -1."""
    for device in devices:
        numbers = [number for number in rows_in(data.glob(f"daily/*/*_{device.origin}.csv")) if number >= 0]
        assert numbers == list(range(device.count))
    return sum(device.count for device in devices)


@pytest.mark.parametrize(
    ("minutes", "interval"), [(0.05, 0.3), pytest.param(SOAK_MINUTES, 10.0, marks=pytest.mark.campaign)]
)
def test_soak_at_ten_times_the_nominal_rates(box: Sandbox, minutes: float, interval: float) -> None:
    """20 devices at 10 Hz (nominal: 1 Hz), 20 log records a second, status and observation asked for all the time."""
    box.start()
    setup_logging("soak")
    logging.getLogger("egse.soak").setLevel(logging.DEBUG)
    names = installed(box)
    processes = {name: psutil.Process(box.status()[name].pid) for name in names}
    end = threading.Event()
    devices = [Device(number, end) for number in range(20)]
    for device in devices:
        device.start()
    observations = Observations()
    samples: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    logger = logging.getLogger("egse.soak")
    begun = time.monotonic()
    while not all(device.store.acknowledged >= 5 for device in devices):  # all files are open then
        assert time.monotonic() < begun + 60.0
        time.sleep(0.05)
    finish = time.monotonic() + 60 * minutes
    following = time.monotonic()
    with StorageProxy() as storage, ConfigurationManagerProxy() as manager:
        while time.monotonic() < finish:
            logger.debug("soak %d", devices[0].count)
            assert persistently(storage.get_obsid) == persistently(manager.get_obsid)
            if time.monotonic() >= following:
                following += interval
                for name, process in processes.items():
                    samples[name].append((process.memory_info().rss, process.num_fds()))
            end.wait(0.05)
    observations.finish()
    end.set()
    for device in devices:
        device.join()
        assert device.store.flush(60.0)
    total = check_rows(data_of(box), devices)
    print(f"{minutes:g} minutes, {total} rows of {len(devices)} devices, 0 lost, 0 doubled")
    for name, values in samples.items():
        settled = values[len(values) // 3 :]  # allocator pools and caches fill first
        half = len(settled) // 2
        # Descriptors come and go while files are put on disk: the smallest number of each half tells.
        (memory, files), (memory_after, files_after) = (
            [min(column) for column in zip(*part, strict=True)] for part in (settled[:half], settled[half:])
        )
        print(
            f"  {name:7} memory {memory / 1e6:.1f} -> {memory_after / 1e6:.1f} MB, "
            f"file descriptors {files} -> {files_after}"
        )
        assert memory_after - memory < 5e6, f"{name} grows"
        # In a few seconds the files of an observation or two, one for each device, come and go between two samples.
        spare = 5 if minutes >= 1 else 3 * len(devices)
        assert files_after <= files + spare, f"{name} leaks file descriptors"
    observations.close()
    for device in devices:
        device.store.close()
    close_all_zmq_handlers()
