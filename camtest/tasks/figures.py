"""The matplotlib back end of scripts and apps: `show` sends each figure as a picture to the panel."""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import FigureManagerBase, _Backend
from matplotlib.backends.backend_agg import FigureCanvasAgg

from camtest.tasks.child import Figures


class FigureManagerPanel(FigureManagerBase):
    """A figure whose window is the panel."""

    def show(self) -> None:
        """Sends the figure."""
        Figures.show(self.canvas.figure, int(self.num))


class FigureCanvas(FigureCanvasAgg):
    """Draws pictures."""

    manager_class = FigureManagerPanel


@_Backend.export
class _BackendPanel(_Backend):
    FigureCanvas = FigureCanvas
    FigureManager = FigureManagerPanel

    @classmethod
    def show(cls, *args: Any, **kwargs: Any) -> None:
        """Sends all figures and closes them: there is nobody to close a window."""
        from matplotlib import pyplot

        for number in pyplot.get_fignums():
            pyplot.figure(number).canvas.manager.show()  # type: ignore[union-attr]
        pyplot.close("all")
