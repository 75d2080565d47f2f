"""Commands of the storage manager and the proxy that sends them."""

from __future__ import annotations

from typing import Any

from egse.command import dynamic_interface
from egse.event import EventInterface
from egse.proxy import DynamicProxy
from egse.security.roles import observe
from egse.storage.persistence import format_name


class StorageInterface(EventInterface):
    """Commands of the storage manager (storage ICD, section 6)."""

    @dynamic_interface
    def register(self, item: dict[str, Any]) -> dict[str, Any]:
        """Registers a producer; the registration survives a restart of either side.

        A producer that registers again (after a crash) takes its name over.

        Args:
            item: `origin` (storage mnemonic), `persistence_class` ("CSV", "HDF5", "FITS", "TXT", "SQLite", or the class
                from `egse.storage`), `prep` (mapping, e.g. `{"mode": "a", "column_names": [...]}`, see the class);
                optional `persistence_count` (a permanent file, neither mirrored nor rolled over) and `filename` (the
                file gets exactly this name in the folder `FILE_STORAGE_LOCATION` of the Settings, by default the data
                folder of the site).

        Returns:
            `{"filenames": [...]}`, the paths of the producer's files.

        Raises:
            StorageError: when the item cannot be used.
            StorageFullError: when there is no room for the file.
        """

    @dynamic_interface
    def unregister(self, item: dict[str, Any]) -> None:
        """Forgets a producer (`item["origin"]`) and closes its files; nothing happens for an unknown one."""

    @dynamic_interface
    def new_registration(self, item: dict[str, Any], use_counter: bool = False) -> str:
        """Registers a producer for a new file and returns its path.

        Args:
            item: as for `register`.
            use_counter: number the daily files: `YYYYMMDD_SITE_MNEMONIC_NNNNN`, starting at 1 every UTC day. The file
                of class HDF5 is not made, so that the producer can write it itself (as `.part`) and rename it.
        """

    @dynamic_interface
    def save(self, item: dict[str, Any]) -> int:
        """Writes rows to the files of a producer; they are in the operating system's hands when this returns.

        Args:
            item: `origin`; `data`: one row or a list of rows (what a row is, the persistence class says); optional
                `session` (a text that nobody else uses) and `number` (of the first row within that session, counted
                from 0): rows that are sent again under their number are not stored twice, also by a storage manager
                that was killed in between.

        Returns:
            Number of rows that were given; all of them are stored now.

        Raises:
            StorageError: when the producer is not registered or a row does not fit; nothing was stored.
            StorageFullError: when the disk is full; nothing was stored.
        """

    @observe
    @dynamic_interface
    def read(self, item: dict[str, Any]) -> Any:
        """Returns what the current file of a producer holds.

        Args:
            item: `origin` and optional `select`, a mapping: `last` (number of rows) for every class, more keys as the
                persistence class says.
        """

    @observe
    @dynamic_interface
    def get_filenames(self, item: dict[str, Any]) -> list[str]:
        """Returns the paths of the files of the producer `item["origin"]`: the daily one and that of the observation."""

    @observe
    @dynamic_interface
    def get_registry_names(self) -> list[str]:
        """Returns the names of all producers."""

    @observe
    @dynamic_interface
    def get_storage_location(self) -> str:
        """Returns the data folder of the site."""

    @observe
    @dynamic_interface
    def get_obsid(self) -> str | None:
        """Returns the full obsid of the open observation, None when there is none."""

    @observe
    @dynamic_interface
    def get_disk_usage(self) -> dict[str, Any]:
        """Returns `total`, `used`, `free` [bytes], `percent` used, and `level` (ok, low, critical) of the data disk."""

    @dynamic_interface
    def start_observation(self, observation: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
        """Opens the folder of an observation; for the configuration manager only. Can be repeated.

        Args:
            observation: fields of `egse.storage.ObservationInfo`.
            files: what is in the folder from the beginning, by name without prefix.
        """

    @dynamic_interface
    def end_observation(
        self, run_id: str, status: str, reason: str = "", observation: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Seals an observation with its manifest; for the configuration manager only. Can be repeated.

        Args:
            run_id: name of the run.
            status: done, failed, aborted, interrupted, kernel-lost or orphaned.
            reason: why, for people.
            observation: as for `start_observation`; with it, an observation that was never opened here gets a folder.

        Returns:
            `obsid`, `status`, `end`, `folder`, number of `files` and `external` files, `manifest_sha256`.
        """

    @dynamic_interface
    def add_file(self, run_id: str, name: str, data: bytes) -> str:
        """Puts a file into the open observation, or replaces one put there before.

        Args:
            run_id: name of the run.
            name: letters, digits and `._+-`; the file is called `<prefix>_<name>`.
            data: its content.

        Returns:
            Path of the file.

        Raises:
            StorageError: when the run is not open or the storage manager writes that file itself.
        """

    @dynamic_interface
    def add_supplement(self, obsid: str, name: str, data: bytes) -> str:
        """Adds a derived file (report, reduced data) to a sealed observation and returns its path.

        Nothing is ever replaced; the same content twice is accepted.
        """

    @dynamic_interface
    def adopt_file(self, obsid: str, name: str, path: str) -> str:
        """Moves a finished file into an observation, open or sealed (FITS cubes, which are too big for a message).

        Args:
            obsid: the observation, in any form.
            name: as for `add_file`.
            path: where the file is now: below the data folder of the site, in a folder other than `daily` and `obs`.

        Returns:
            Path of the file in the observation.
        """

    @dynamic_interface
    def append_events(self, run_id: str, first_seq: int, events: list[dict[str, Any]]) -> int:
        """Appends events to `<prefix>_events.jsonl` of the open observation; those that are there are skipped.

        Args:
            run_id: name of the run.
            first_seq: number of the first of `events`; the very first event has number 0.
            events: mappings with plain values.

        Returns:
            The number that is expected next; smaller than `first_seq` when events before it are missing (then
            nothing was written).
        """

    @dynamic_interface
    def register_raw_file(self, path: str, obsid: str | None = None) -> str | None:
        """Makes a finished raw file in `daily/` part of an observation; the manifest lists it as external.

        Args:
            path: the file.
            obsid: full obsid; None for the open observation.

        Returns:
            The obsid it now belongs to, None outside an observation.
        """


class StorageProxy(DynamicProxy, StorageInterface):
    """Client of the storage manager."""

    settings_name = "Storage Control Server"
    server_name = "sm_cs"

    def register(self, item: dict[str, Any]) -> dict[str, Any]:
        """Registers a producer; see `StorageInterface.register`."""
        return super().register(_plain(item))

    def new_registration(self, item: dict[str, Any], use_counter: bool = False) -> str:
        """Registers a producer for a new file; see `StorageInterface.new_registration`."""
        return super().new_registration(_plain(item), use_counter)


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    """Returns an item with its persistence class by name: no code goes over the wire."""
    kind = item.get("persistence_class")
    return {**item, "persistence_class": format_name(kind)} if isinstance(kind, type) else item
