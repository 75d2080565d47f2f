"""Configuration, storage and log manager as real processes, killed at every fail point."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from egse.command import CommandError
from egse.confman import ConfigurationManagerProxy, ObservationError, read_records
from egse.confman.failpoints import FAIL_POINTS
from egse.confman.recordfile import check_chain
from egse.proxy import OutcomeUnknownError
from egse.registration import services_of
from egse.setup import SetupError
from egse.storage import StorageError, read_manifest
from egse.storage.files import sha256_of

if TYPE_CHECKING:
    from .conftest import PrivateSite

PUNA = {"origin": "PUNA", "persistence_class": "CSV", "prep": {"column_names": ["timestamp", "x"]}}


def begin(cm: ConfigurationManagerProxy, run_id: str = "r1", lease: float = 600.0) -> dict[str, Any]:
    return cm.start_observation(run_id, 'acquire(n="3")', "a test", True, lease, {"notebook": "sft.ipynb"})


def repeat(
    site: PrivateSite, request: Callable[[ConfigurationManagerProxy], dict[str, Any]]
) -> dict[str, Any]:
    """Sends a request again until it is answered, as a client that got no answer does."""
    waiting = threading.Event()
    for _ in range(60):
        try:
            with site.cm() as cm:
                return request(cm)
        except (ConnectionError, OutcomeUnknownError):
            waiting.wait(0.1)
    raise AssertionError(f"no answer: {site.errors()}")


def check_record(site: PrivateSite, statuses: list[str]) -> None:
    """Compares the record with what is in the archive."""
    path = site.data / "observations.jsonl"
    records, problems = read_records(path)
    assert problems == check_chain(path) == []
    found = list(records.values())
    assert [record.info.test_id for record in found] == list(range(1, len(found) + 1))
    assert [record.status for record in found] == statuses
    for record in found:
        assert record.state == "closed"
        folder = site.data / "obs" / record.info.prefix
        manifest = read_manifest(folder)
        assert manifest is not None
        assert (manifest.status, manifest.run_id) == (record.status, record.info.run_id)
        assert record.manifest_sha256 == sha256_of(folder / "manifest.json")
        assert (folder / f"{record.info.prefix}_setup.yaml").exists()
        assert {entry.path for entry in manifest.files} == {p.name for p in folder.iterdir()} - {
            "manifest.json"
        }
        for entry in manifest.files:
            assert sha256_of(folder / entry.path) == entry.sha256
    table = (site.data / "obsid-table.txt").read_text().splitlines()
    assert [line[:16] for line in table] == [f"{r.info.test_id:05d} CSL1 00084" for r in found]


@pytest.mark.parametrize("name", FAIL_POINTS)
def test_killed_at_a_fail_point_the_record_equals_what_happened(private_site: PrivateSite, name: str) -> None:
    site = private_site
    server = f"{name.partition('.')[0]}_cs"
    site.start_core(**{server: name})
    at_start = ".start." in name
    if at_start:
        pending = threading.Thread(target=_ignore_loss, args=(site, begin), daemon=True)
    else:
        with site.cm() as cm, site.sm() as sm:
            begin(cm)
            sm.register(PUNA)
            sm.save({"origin": "PUNA", "data": [{"timestamp": "t1", "x": 1}]})
        pending = threading.Thread(target=_ignore_loss, args=(site, _end), daemon=True)
    pending.start()
    site.killed(server)
    site.start(server)
    pending.join(60)
    assert not pending.is_alive()
    started = repeat(site, begin) if at_start else None
    if started is not None:
        assert (started["test_id"], started["state"]) == (1, "open")
    ended = repeat(site, _end)
    assert (ended["state"], ended["status"], ended["reason"]) == ("closed", "done", "all well")
    if not at_start:
        mirror = next(Path(ended["folder"]).glob("*_PUNA_*.csv"))
        assert mirror.read_text() == "timestamp,x\nt1,1\n"
    second = repeat(site, lambda cm: begin(cm, "r2"))
    assert second["test_id"] == 2
    repeat(site, lambda cm: cm.end_observation("r2", "failed", "x"))
    check_record(site, ["done", "failed"])


def _end(cm: ConfigurationManagerProxy) -> dict[str, Any]:
    return cm.end_observation("r1", "done", "all well")


def _ignore_loss(site: PrivateSite, request: Callable[[ConfigurationManagerProxy], object]) -> None:
    """Sends a request whose answer may be lost."""
    try:
        with site.cm() as cm:
            request(cm)
    except (ConnectionError, OutcomeUnknownError):
        pass


def test_client_and_configuration_manager_die_together(private_site: PrivateSite) -> None:
    site = private_site
    site.start_core(cm_cs="cm.start.after_record")
    with site.cm() as cm, pytest.raises(OutcomeUnknownError):
        begin(cm, lease=1.0)
    site.killed("cm_cs")
    site.start("cm_cs")
    # Nobody comes back for it: the lease lapses and the record says so.
    ended = wait_for(site, lambda cm: cm.list_observations(1)[0], lambda record: record["state"] == "closed")
    assert ended["status"] == "interrupted"
    check_record(site, ["interrupted"])


def listener_names(cm: ConfigurationManagerProxy) -> list[str]:
    with services_of(lambda: cm) as services:
        return services.get_listener_names()


def wait_for(
    site: PrivateSite,
    look: Callable[[ConfigurationManagerProxy], Any],
    condition: Callable[[Any], bool],
) -> Any:
    waiting = threading.Event()
    with site.cm() as cm:
        for _ in range(600):
            found = look(cm)
            if condition(found):
                return found
            waiting.wait(0.1)
    raise AssertionError(f"{found}\n{site.errors()}")


def test_rows_survive_kills_of_the_storage_manager(private_site: PrivateSite) -> None:
    site = private_site
    site.start_core()
    with site.cm() as cm, site.sm() as sm:
        begin(cm)
        sm.register(PUNA)
        for number in range(60):
            if number in (20, 40):
                site.kill("sm_cs")
                site.start("sm_cs")
            sm.save({"origin": "PUNA", "data": {"timestamp": f"t{number}", "x": number}})
            assert sm.append_events("r1", number, [{"n": number}]) == number + 1
        files = [Path(name) for name in sm.get_filenames({"origin": "PUNA"})]
        cm.end_observation("r1", "done")
    assert len(files) == 2
    for path in files:
        assert [line.split(",")[1] for line in path.read_text().splitlines()] == ["x", *map(str, range(60))]
    check_record(site, ["done"])


def test_the_command_lines_say_what_the_manual_shows(private_site: PrivateSite) -> None:
    site = private_site
    site.start_core()
    wait_for(site, listener_names, lambda names: names == ["Storage CS"])
    status = site.run("cm_cs", "status").stdout.splitlines()
    assert status[:5] == [
        "Configuration manager:",
        "  Status: active",
        "  Site ID: CSL1",
        "  No observation running",
        "  Setup loaded: 00084",
    ]
    assert status[6].startswith("  Monitoring port: ")
    assert status[-1] == "  Listeners: Storage CS"
    listing = site.run("cm_cs", "list-setups").stdout
    assert listing.splitlines()[1].split() == ["00084", "CSL1", "the", "first", "one", "chimay"]
    assert site.run("cm_cs", "list-setups", "camera__ID=achel").stdout.strip() == "no Setups"
    loaded = site.run("cm_cs", "load-setup", "84")
    assert loaded.stdout.startswith("Setup loaded: 00084")
    refused = site.run("cm_cs", "load-setup", "12")
    assert refused.returncode != 0
    assert "there is no Setup 00012" in refused.stderr
    with site.cm() as cm:
        begin(cm)
    assert (
        "  Observation running: CSL1_00084_00001, started at " in site.run("cm_cs", "status", "--full").stdout
    )
    refused = site.run("cm_cs", "load-setup", "84")
    assert "an observation is running: obsid CSL1_00084_00001" in refused.stderr
    full = site.run("sm_cs", "status", "--full").stdout
    for text in (
        "Storage Manager:",
        f"  Storage location: {site.data}",
        "  Loaded Setup: 00084",
        "'obsid'",
        "    " + str(site.data / "obsid-table.txt"),
        "  An observation is registered: CSL1_00084_00001",
        "  Free disk space: ",
    ):
        assert text in full


def test_two_submitters_at_once_get_two_ids_and_the_loaded_setup_survives(private_site: PrivateSite) -> None:
    site = private_site
    site.start_core()
    answers: list[int] = []

    def submit(number: int) -> None:
        with site.cm() as cm:
            text = f"Setup:\n  camera:\n    ID: achel\n  number: {number}\n"
            answers.append(cm.submit_setup(text, f"number {number}")["setup_id"])

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [85, 86, 87, 88]
    with site.cm() as cm, pytest.raises(SetupError, match="root key"):
        cm.submit_setup("a: 1", "no Setup")
    site.kill("cm_cs")
    site.start("cm_cs")
    with site.cm() as cm:
        assert cm.get_setup()["setup_id"] == 88
        assert begin(cm)["obsid"] == "CSL1_00088_00001"
        with pytest.raises(ObservationError, match="an observation is running") as caught:
            cm.load_setup(85)
        assert "Traceback of the control server" in "".join(caught.value.__notes__)


def test_all_three_end_cleanly_and_log_to_one_file(private_site: PrivateSite) -> None:
    site = private_site
    site.start("log_cs")
    site.start_core()
    with site.cm() as cm, site.sm() as sm:
        begin(cm)
        assert wait_for(
            site, lambda _: sm.get_registry_names(), lambda names: {"CM", "SM", "obsid"} <= set(names)
        )
    for name in ("cm_cs", "sm_cs", "log_cs"):
        site.stop(name)  # its own limit of 4 s would have shown in its exit code
    log = (site.root / "log/general.log").read_text()
    assert "process=cm_cs" in log
    assert "process=sm_cs" in log
    assert 'msg="Observation started with obsid=CSL1_00084_00001' in log
    assert "level=ERROR" not in log


def test_a_storage_manager_that_starts_late_is_waited_for(private_site: PrivateSite) -> None:
    site = private_site
    site.start("cm_cs")
    with site.cm() as cm:
        cm.load_setup(84)
        thread = threading.Thread(target=site.start, args=("sm_cs",))
        thread.start()
        assert begin(cm)["state"] == "open"
        thread.join()
        assert cm.end_observation("r1", "done")["state"] == "closed"
    check_record(site, ["done"])


def test_storage_proxy_reports_errors_as_themselves(private_site: PrivateSite) -> None:
    private_site.start("sm_cs")
    observation = {
        "run_id": "r",
        "test_id": 1,
        "site_id": "CSL1",
        "setup_id": 84,
        "start": "2026-01-01T00:00:00Z",
    }
    with private_site.sm() as sm:
        assert sm.get_storage_location() == str(private_site.data)
        sm.start_observation(observation, {})
        with pytest.raises(ValueError, match="file name"):
            sm.add_file("r", "../x", b"x")
        with pytest.raises(StorageError, match="not registered"):
            sm.save({"origin": "NOBODY", "data": {"a": 1}})
        with pytest.raises(CommandError, match="no observation"):
            sm.start_observation({"run_id": "r"}, {})
