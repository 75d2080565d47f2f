"""Files that come with the software, by a name that does not depend on where it is installed.

`get_resource(":/data/sandbox/setup.yaml")` is `egse/data/sandbox/setup.yaml` inside the installed package: `data` is the
root that comes with it. Other packages add roots of their own: `add_resource_root("icons", folder)` makes
`":/icons/..."` work.
"""

from __future__ import annotations

from pathlib import Path

from egse.advice import or_meant

_ROOTS: dict[str, Path] = {"data": Path(__file__).resolve().parent / "data"}


class ResourceError(FileNotFoundError):
    """A resource that does not exist, or a name that is none."""


def get_resource(locator: str) -> Path:
    """Finds a resource.

    Args:
        locator: `:/ROOT/path/within/root`; the root alone gives its folder. The last part may be a pattern such as
            `*.png` when it matches exactly one file.

    Returns:
        The path of an existing file or folder.

    Raises:
        ResourceError: when there is no such root or file, when a pattern fits several files, or when the path leads
            out of its root.
    """
    if not locator.startswith(":/"):
        raise ResourceError(f"{locator!r} is no resource: expected ':/ROOT/FILE'")
    name, _, relative = locator[2:].partition("/")
    if name not in _ROOTS:
        raise ResourceError(
            f"no resource root {name!r}{or_meant(name, _ROOTS)} (roots: {', '.join(_ROOTS)}); add_resource_root adds one"
        )
    root = _ROOTS[name]
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ResourceError(f"{locator!r} leads out of {root}")
    if path.exists():
        return path
    matches = sorted(path.parent.glob(path.name)) if any(c in path.name for c in "*?[") else []
    if len(matches) != 1:
        found = f"{len(matches)} files fit" if matches else "there is no such file"
        raise ResourceError(f"resource {locator!r}: {found} ({path})")
    return matches[0]


def resource_roots() -> dict[str, Path]:
    """Returns the roots that `get_resource` knows: name -> folder."""
    return dict(_ROOTS)


def add_resource_root(name: str, folder: str | Path) -> None:
    """Makes the files of a folder available as `:/NAME/...`.

    Args:
        name: without slashes.
        folder: an existing folder.

    Raises:
        ResourceError: when the folder does not exist.
        ValueError: when the name is taken by another folder or contains a slash.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise ResourceError(f"resource root {name!r}: there is no folder {path}")
    if "/" in name or not name:
        raise ValueError(f"no name for a resource root: {name!r}")
    if _ROOTS.setdefault(name, path) != path:
        raise ValueError(f"the resource root {name!r} is already {_ROOTS[name]}")
