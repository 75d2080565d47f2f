"""Reference frames: a tree of named frames, each placed in its parent, and links between frames on one rigid body.

    lab = ReferenceFrame("lab")
    table = lab.child("table", translation=(0, 0, 850))
    camera = table.child("camera", rotation=(0, 0, 30))
    star = camera.transformation_to(lab)          # 4x4: coordinates in `camera` -> coordinates in `lab`
    apply(star, [0, 0, 1])

A frame moves with its parent. What is bound together without being parent and child (a mirror cube and the mirror, each
measured by the laser tracker in the lab) is *linked*: when one moves, all that are linked to it move alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from egse.coordinates.rotations import (
    Matrix,
    apply,
    check_rigid,
    from_vector,
    inverse,
    rigid,
    rotation,
    to_vector,
)

Triple = Sequence[float]


class FrameError(ValueError):
    """A frame that does not exist, exists already, or would be its own ancestor."""


class ReferenceFrame:
    """A right-handed frame with a place in its parent.

    Args:
        name: unique in its tree.
        parent: the frame it is placed in; None for the root (master) of a tree.
        translation: of its origin in the parent [mm].
        rotation: about the parent's axes x, then y, then z [deg].
    """

    def __init__(
        self,
        name: str,
        parent: ReferenceFrame | None = None,
        translation: Triple = (0.0, 0.0, 0.0),
        rotation: Triple = (0.0, 0.0, 0.0),
    ) -> None:
        if not name:
            raise FrameError("a reference frame needs a name")
        if parent is not None and name in parent.root:
            raise FrameError(f"there is a frame {name!r} in this tree already")
        self.name = name
        self.parent = parent
        self.children: list[ReferenceFrame] = []
        self._links: set[ReferenceFrame] = set()
        self._placement = from_vector([*translation, *rotation])
        if parent is None:
            if self._placement.tolist() != rigid().tolist():
                raise FrameError(f"{name}: a frame without parent has no place")
        else:
            parent.children.append(self)

    def child(
        self, name: str, translation: Triple = (0.0, 0.0, 0.0), rotation: Triple = (0.0, 0.0, 0.0)
    ) -> ReferenceFrame:
        """Returns a new frame in this one."""
        return ReferenceFrame(name, self, translation, rotation)

    def __repr__(self) -> str:
        if self.parent is None:
            return f"<ReferenceFrame {self.name}>"
        six = " ".join(f"{value:g}" for value in self.vector)
        return f"<ReferenceFrame {self.name} in {self.parent.name}: {six}>"

    # -- the tree

    @property
    def root(self) -> ReferenceFrame:
        """The frame at the root of its tree."""
        frame = self
        while frame.parent is not None:
            frame = frame.parent
        return frame

    def __iter__(self) -> Iterator[ReferenceFrame]:
        """Yields this frame and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child

    def __contains__(self, name: object) -> bool:
        return any(frame.name == name or frame is name for frame in self)

    def __getitem__(self, name: str) -> ReferenceFrame:
        """Returns a frame of the tree below this one by name.

        Raises:
            FrameError: when there is none.
        """
        for frame in self:
            if frame.name == name:
                return frame
        known = ", ".join(frame.name for frame in self)
        raise FrameError(f"there is no frame {name!r} in {self.name} (there are: {known})")

    # -- where it is

    @property
    def placement(self) -> Matrix:
        """Its place in the parent, shape (4, 4): takes its coordinates to those of the parent."""
        return self._placement.copy()

    @property
    def vector(self) -> Matrix:
        """Its place in the parent as Tx Ty Tz [mm] Rx Ry Rz [deg], shape (6,)."""
        return to_vector(self._placement)

    def _to_root(self) -> Matrix:
        matrix, frame = self._placement, self.parent
        while frame is not None:
            matrix, frame = frame._placement @ matrix, frame.parent
        return matrix

    def transformation_to(self, other: ReferenceFrame) -> Matrix:
        """Returns the passive transformation: what takes coordinates in this frame to coordinates in another.

        Returns:
            Shape (4, 4).

        Raises:
            FrameError: when the frames have no tree in common.
        """
        if self.root is not other.root:
            raise FrameError(f"{self.name} and {other.name} are not in one tree")
        return inverse(other._to_root()) @ self._to_root()

    def motion_to(self, other: ReferenceFrame) -> Matrix:
        """Returns the active transformation: the motion, in coordinates of this frame, that brings it onto another.

        Returns:
            Shape (4, 4); the inverse of `transformation_to`.
        """
        return other.transformation_to(self)

    def vector_in(self, other: ReferenceFrame) -> Matrix:
        """Returns its place in any other frame as Tx Ty Tz [mm] Rx Ry Rz [deg], shape (6,)."""
        return to_vector(self.transformation_to(other))

    def coordinates_in(self, other: ReferenceFrame, points: Any) -> Matrix:
        """Returns the coordinates of points of this frame in another.

        Args:
            other: frame of the result.
            points: shape (3,) or (n, 3) [mm].
        """
        return apply(self.transformation_to(other), points)

    # -- moving it

    def place(self, translation: Triple, rotation: Triple) -> Self:
        """Gives it a place in its parent; what is linked to it moves along.

        Args:
            translation: of its origin [mm].
            rotation: about the parent's axes x, then y, then z [deg].
        """
        return self._move_to(from_vector([*translation, *rotation]))

    def put(self, placement: Any) -> Self:
        """As `place`, from a matrix of shape (4, 4)."""
        return self._move_to(check_rigid(placement))

    def move(self, translation: Triple = (0, 0, 0), rotation: Triple = (0, 0, 0)) -> Self:
        """Moves it in its own axes, with what is linked to it; translation first."""
        return self._move_to(self._placement @ from_vector([*translation, *rotation]))

    def move_in(
        self, axes: ReferenceFrame, translation: Triple = (0, 0, 0), turn: Triple = (0, 0, 0)
    ) -> Self:
        """Moves it along the axes of another frame and turns it about its own origin, parallel to these axes."""
        here = self.transformation_to(axes)
        there = rigid(rotation(*turn) @ here[:3, :3], here[:3, 3] + translation)
        base = rigid() if self.parent is None else axes.transformation_to(self.parent)
        return self._move_to(base @ there)

    def _move_to(self, placement: Matrix) -> Self:
        if self.parent is None:
            raise FrameError(f"{self.name} is the root of its tree: everything else is placed relative to it")
        before = self._to_root()
        body = self.rigid_body()
        places = {frame: frame._to_root() for frame in body}
        displacement = self.parent._to_root() @ placement @ inverse(before)
        for frame in self.root:  # parents first: a child finds its parent where it now is
            if frame in body and frame.parent is not None:
                frame._placement = inverse(frame.parent._to_root()) @ displacement @ places[frame]
        return self

    # -- links

    def link(self, *others: ReferenceFrame) -> Self:
        """Binds frames to this one: from now on they move together.

        Raises:
            FrameError: when they are not in one tree, or one of them is its root.
        """
        for other in others:
            if other.root is not self.root or other is self:
                raise FrameError(f"{self.name} cannot be linked to {other.name}")
            if self.parent is None or other.parent is None:
                raise FrameError("the root of a tree does not move: it cannot be linked")
            self._links.add(other)
            other._links.add(self)
        return self

    def unlink(self, *others: ReferenceFrame) -> Self:
        """Takes links away."""
        for other in others:
            self._links.discard(other)
            other._links.discard(self)
        return self

    @property
    def links(self) -> frozenset[ReferenceFrame]:
        """The frames that it is linked to directly."""
        return frozenset(self._links)

    def rigid_body(self) -> set[ReferenceFrame]:
        """Returns all frames that move when it moves because they are linked, directly or not; itself included."""
        found, todo = {self}, [self]
        while todo:
            new = todo.pop()._links - found
            found |= new
            todo.extend(new)
        return found


def frames_from(model: Mapping[str, Mapping[str, Any]]) -> ReferenceFrame:
    """Makes a tree of frames of what stands in a Setup (`csl_model.model`).

    Args:
        model: by name of the frame, with keys `parent` (none for the root), `translation` [mm], `rotation` [deg],
            `links` (names); in any order.

    Returns:
        The root.

    Raises:
        FrameError: when there is not exactly one root, or a parent is missing or below its own child.
    """
    roots = [name for name, entry in model.items() if not entry.get("parent")]
    if len(roots) != 1:
        raise FrameError(f"a tree of frames has one frame without parent, here are {roots or 'none'}")
    root = ReferenceFrame(roots[0])
    todo = {name: entry for name, entry in model.items() if name != root.name}
    while todo:
        ready = [name for name, entry in todo.items() if entry["parent"] in root]
        if not ready:
            raise FrameError(f"no way from the root {root.name} to {', '.join(todo)}: check their parents")
        for name in ready:
            entry = todo.pop(name)
            zero = (0.0, 0.0, 0.0)
            root[entry["parent"]].child(name, entry.get("translation", zero), entry.get("rotation", zero))
    for name, entry in model.items():
        root[name].link(*(root[other] for other in entry.get("links", ())))
    return root


def frames_to(root: ReferenceFrame) -> dict[str, dict[str, Any]]:
    """Returns a tree of frames as it stands in a Setup; the inverse of `frames_from`."""
    model: dict[str, dict[str, Any]] = {}
    for frame in root:
        entry: dict[str, Any] = model.setdefault(frame.name, {})
        if frame.parent is not None and frame is not root:
            six = [float(value) for value in frame.vector]
            entry |= {"parent": frame.parent.name, "translation": six[:3], "rotation": six[3:]}
        names = sorted(other.name for other in frame.links)
        if names:
            entry["links"] = names
    return model
