"""Keys: who a server is, who a person is, and which keys a server accepts.

A key folder holds

    server.key, server.key_secret     the key pair of this site's control servers
    NAME.key, NAME.key_secret         the key pair of a person
    authorized_keys                   which keys the servers accept, as which person, in which role

The folder has mode 0700 and is named by the environment variable `PLATO_KEYS_LOCATION` or by `SITE: KEYS` in the
Settings. On a client machine it holds the person's key pair and the public `server.key` only. Secrets are created with
mode 0600 (never widened afterwards), and files that others may read are refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import logging
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from egse.env import KEY_NAME, KEYS_LOCATION, EnvError
from egse.files import fsync_folder, write_atomically
from egse.security.roles import Caller, Role
from egse.settings import Settings, SettingsError

"""The environment variable that says whose key this process uses; the user's login name when it is not set."""

SERVER = "server"
"""Name of the key pair that all control servers of a site share."""

AUTHORIZED = "authorized_keys"

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_KEY_LINE = re.compile(r'^\s*(public|secret)-key\s*=\s*"(.{40})"\s*$', re.MULTILINE)
_KEY = re.compile(r"[!-~]{40}")
_RELOAD_DELAY = 0.25
"""How long a change of the authorised keys may take to reach connections that stand already [s]."""


class KeysError(EnvError):
    """Keys are missing, unsafe or not usable; the text says what to do."""

    def __init__(self, problem: str) -> None:
        super().__init__(KEYS_LOCATION, problem)


def keys_location() -> Path | None:
    """Returns the key folder: `PLATO_KEYS_LOCATION`, or `SITE: KEYS` of the Settings; None when neither names one."""
    value = os.environ.get(KEYS_LOCATION, "").strip() or str(Settings.load("SITE").get("KEYS") or "").strip()
    return Path(value).expanduser() if value else None


def is_required(what: str) -> bool:
    """Says whether the Settings ask for a protection, `SITE: CURVE: required` or `SITE: CONTROL: required`.

    Raises:
        SettingsError: when the value is neither `required` nor `auto` (the default, also when it is empty).
    """
    value = str(Settings.load("SITE").get(what) or "auto").strip().lower()
    if value not in ("required", "auto"):
        # A slip of the pen must not switch a protection off.
        raise SettingsError(f"SITE: {what} in the settings is {value!r}: it must be `required` or `auto`")
    return value == "required"


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, in the text form of ZeroMQ (Z85, 40 characters)."""

    name: str
    public: bytes
    secret: bytes = field(repr=False)


class KeyFolder:
    """A key folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_site(cls) -> KeyFolder:
        """Returns the key folder that environment or Settings name.

        Raises:
            KeysError: when they name none.
        """
        path = keys_location()
        if path is None:
            raise KeysError(
                f"no key folder is configured: export {KEYS_LOCATION}=FOLDER or set SITE: KEYS in the local settings"
            )
        return cls(path)

    @property
    def authorized_file(self) -> Path:
        """The file that says which keys are accepted."""
        return self.path / AUTHORIZED

    def create(self, name: str) -> KeyPair:
        """Makes a key pair; the folder too when it is missing.

        Raises:
            KeysError: when the name is none, a key of that name exists or the folder is open to others.
        """
        _check_name(name)
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700, parents=True)
        self.check()
        public, secret = zmq.curve_keypair()
        _write_secret(self._secret_file(name), _format(name, public, secret))
        _write_public(self._public_file(name), _format(name, public))
        fsync_folder(self.path)
        return KeyPair(name, public, secret)

    def check(self) -> None:
        """Makes sure that nobody else can get into the folder.

        Raises:
            KeysError: otherwise, with the remedy.
        """
        try:
            found = self.path.stat()
        except OSError as exc:
            raise KeysError(
                f"key folder {self.path}: {exc.strerror}; make it with `cgse keys create {SERVER}`"
            ) from exc
        if not stat.S_ISDIR(found.st_mode):
            raise KeysError(f"key folder {self.path} is no folder")
        _refuse_others(self.path, found, 0o077, "700")

    def names(self) -> list[str]:
        """Returns the names of the key pairs and public keys in the folder."""
        return sorted(p.name.removesuffix(".key") for p in self.path.glob("*.key"))

    def has_secret(self, name: str) -> bool:
        """Says whether the secret half of this key is here."""
        return self._secret_file(name).is_file()

    def pair(self, name: str) -> KeyPair:
        """Returns a key pair.

        Raises:
            KeysError: when it is missing, open to others or damaged.
        """
        self.check()
        path = self._secret_file(name)
        keys = _read_keys(path, f"make it with `cgse keys create {name}`", secret=True)
        return KeyPair(name, keys["public"], keys["secret"])

    def public(self, name: str) -> bytes:
        """Returns a public key; raises KeysError when it is missing or damaged."""
        hint = "get it from the machine of the servers" if name == SERVER else f"`cgse keys create {name}`"
        return _read_keys(self._public_file(name), hint)["public"]

    def client_name(self) -> str:
        """Returns whose key this process uses as a client: `PLATO_KEY_NAME`, or the login name."""
        return _check_name(os.environ.get(KEY_NAME, "").strip() or getpass.getuser())

    def authorize(self, name: str, role: Role, file: Path | None = None) -> None:
        """Has servers accept a key; a person has one role, the last one given.

        Args:
            name: the person.
            role: what the person may do.
            file: public key file from another machine; the key of that name in this folder when None.

        Raises:
            KeysError: when the key is missing or damaged, or belongs to somebody else.
        """
        _check_name(name)
        if name == SERVER:
            raise KeysError(f"`{SERVER}` is the key of the servers themselves, no person")
        self.check()
        public = _read_keys(file, "it is the NAME.key of the person")["public"] if file else self.public(name)
        key = public.decode()
        with self._locked():
            entries = self.entries()
            for other, caller in entries.items():
                if other == key and caller.person != name:
                    raise KeysError(f"this key is authorised as {caller.person} already; revoke that first")
            # One key may be authorised several times under one name only by a new one taking the place of the old.
            kept = {k: c for k, c in entries.items() if c.person != name}
            self._write({**kept, key: Caller(name, role, True)})
        if file is not None and not self._public_file(name).exists():
            _write_public(self._public_file(name), _format(name, public))

    def revoke(self, name: str) -> bool:
        """Has servers refuse the keys of a person, also on connections that stand already.

        Returns:
            False when none was authorised.
        """
        self.check()
        with self._locked():
            entries = self.entries()
            kept = {k: c for k, c in entries.items() if c.person != name}
            self._write(kept)
        return len(kept) < len(entries)

    def entries(self) -> dict[str, Caller]:
        """Returns who is authorised, by public key; lines that make no sense are reported and accept nobody.

        Raises:
            KeysError: when others could have written the file, or it cannot be read.
        """
        path = self.authorized_file
        try:
            with path.open("rb") as file:
                _refuse_others(path, os.fstat(file.fileno()), 0o022, "600")
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return {}
        except OSError as exc:
            if isinstance(exc, KeysError):
                raise
            raise KeysError(f"{path} cannot be read: {exc.strerror}") from exc
        return _parse_entries(text, path)

    def _write(self, entries: dict[str, Caller]) -> None:
        lines = ["# Keys that the control servers of this site accept: ROLE PUBLIC-KEY PERSON"]
        lines += [
            f"{c.role} {key} {c.person}" for key, c in sorted(entries.items(), key=lambda e: e[1].person)
        ]
        write_atomically(self.authorized_file, ("\n".join(lines) + "\n").encode(), 0o600)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _public_file(self, name: str) -> Path:
        return self.path / f"{_check_name(name)}.key"

    def _secret_file(self, name: str) -> Path:
        return self.path / f"{_check_name(name)}.key_secret"


class Authorized:
    """The authorised keys as a server knows them; follows the file within a quarter of a second.

    Args:
        folder: the key folder.
        server_key: public key of the servers, which command each other.
    """

    def __init__(self, folder: KeyFolder, server_key: bytes) -> None:
        self._folder = folder
        self._server_key = server_key.decode()
        self._state: tuple[int, int, int] | None = (0, 0, 0)
        self._entries: dict[str, Caller] = {}
        self._next_look = 0.0

    def find(self, key: str, *, fresh: bool = False) -> Caller | None:
        """Returns who a public key stands for, None when it is not authorised.

        Args:
            key: the key, as text.
            fresh: look at the file now, not only when it was not looked at for a while.
        """
        if key == self._server_key:
            return _SERVERS
        if fresh or time.monotonic() >= self._next_look:
            self._refresh()
        return self._entries.get(key)

    def _refresh(self) -> None:
        self._next_look = time.monotonic() + _RELOAD_DELAY
        try:
            found = self._folder.authorized_file.stat()
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            state = None
        if state == self._state:
            return
        try:
            self._entries = self._folder.entries()
        except KeysError as exc:
            logger.error("no key is accepted: %s", exc)
            self._entries = {}
        self._state = state


_SERVERS = Caller(SERVER, Role.COMMAND, True)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise KeysError(f"{name!r} is no name for a key: use letters, digits, '.', '_' and '-'")
    return name


def _format(name: str, public: bytes, secret: bytes | None = None) -> bytes:
    head = f"# {'SECRET' if secret else 'Public'} CURVE key of {name}\nmetadata\n    name = {name}\ncurve\n"
    text = head + f'    public-key = "{public.decode()}"\n'
    return (text + f'    secret-key = "{secret.decode()}"\n' if secret else text).encode()


def _write_secret(path: Path, data: bytes) -> None:
    # Exclusive and with its final mode from the first moment: nobody can have it open before the secret is in it.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as exc:
        raise KeysError(f"{path} exists already; a key is never overwritten") from exc
    except OSError as exc:
        raise KeysError(f"{path} cannot be made: {exc.strerror}") from exc
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write_public(path: Path, data: bytes) -> None:
    write_atomically(path, data, 0o644)


def _read_keys(path: Path, hint: str, *, secret: bool = False) -> dict[str, bytes]:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(10_000).decode(errors="replace")
    except OSError as exc:
        raise KeysError(f"key {path}: {exc.strerror}; {hint}") from exc
    # A public key decides whom to trust: who can write it can take the place of the server.
    _refuse_others(path, found, 0o077 if secret else 0o022, "600" if secret else "644")
    keys = {kind: key.encode() for kind, key in _KEY_LINE.findall(text)}
    if "public" not in keys or (secret and "secret" not in keys):
        raise KeysError(f"{path} holds no {'secret' if secret else 'public'} key; {hint}")
    try:
        if secret and zmq.curve_public(keys["secret"]) != keys["public"]:
            raise KeysError(f"{path} is damaged: the two halves of the key do not belong together")
    except ValueError as exc:
        raise KeysError(f"{path} is damaged: {exc}") from exc
    return keys


def _refuse_others(path: Path, found: os.stat_result, forbidden: int, remedy: str) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise KeysError(f"{path} belongs to another user (uid {found.st_uid})")
    if found.st_mode & forbidden:
        raise KeysError(f"{path} is open to others (mode {found.st_mode & 0o777:04o}): chmod {remedy} {path}")


def _parse_entries(text: str, path: Path) -> dict[str, Caller]:
    entries: dict[str, Caller] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("# "):
            continue
        fields = line.split()
        if len(fields) != 3 or fields[0] not in set(Role) or not _KEY.fullmatch(fields[1]):
            logger.error("%s, line %d is not of the form `ROLE PUBLIC-KEY PERSON`: ignored", path, number)
            continue
        entries[fields[1]] = Caller(fields[2], Role(fields[0]), True)
    return entries
