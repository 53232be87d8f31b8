"""Figures that a notebook shows as SVG and that CI compares as text.

An image tells a program little: two SVG files differ when a font does, and agree in
nothing that a reader would call the content. So each figure carries its *fingerprint*,
a few lines of text with what is drawn: axes, scales, labels, styles, and data to a few
digits. It is the `text/plain` of the cell's output, hence what the reference outputs of
a chapter hold.
"""

import base64
import io
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import rc_context
from matplotlib.figure import Figure as MatplotlibFigure

from d2lcompanion.plotting.fingerprint import fingerprint
from d2lcompanion.plotting.style import STYLE

# The same figure gives the same bytes, and text stays text.
SVG: dict[Any, Any] = {"svg.hashsalt": "d2lcompanion", "svg.fonttype": "none"}


class Figure:
    """A matplotlib figure that displays as SVG (PNG if it holds images) with its fingerprint.

    Attributes:
        figure: the matplotlib figure; it may still be changed, drawing happens at
            display.
        digits: significant digits of the data in the fingerprint.
    """

    def __init__(self, figure: MatplotlibFigure, *, digits: int = 4) -> None:
        self.figure = figure
        self.digits = digits

    def svg(self) -> str:
        """The figure as SVG text: equal figures give equal bytes."""
        with rc_context(SVG):
            text = self._rendered(
                "svg", metadata={"Date": None, "Creator": None}
            ).decode("utf-8")
        # Readers without DejaVu Sans get their own sans-serif, in formulas too.
        text = text.replace("'DejaVu Sans'\"", "'DejaVu Sans', sans-serif\"")
        return text[
            text.index("<svg") :
        ]  # without the XML prologue, so that HTML can hold it

    def png(self, *, dpi: int = 160) -> bytes:
        """The figure as PNG, for photographs and other images."""
        return self._rendered("png", dpi=dpi, metadata={"Software": None})

    def _rendered(self, file_format: str, **options: Any) -> bytes:
        """Draw, then move the axes back: layout starts from where they are, and must not drift."""
        axes = [
            (ax, ax.get_position(original=True).frozen()) for ax in self.figure.axes
        ]
        buffer = io.BytesIO()
        with rc_context(STYLE):
            self.figure.savefig(buffer, format=file_format, **options)
        for ax, position in axes:
            ax._set_position(position)  # type: ignore[attr-defined]  # keeps the layout engine on
        return buffer.getvalue()

    def __repr__(self) -> str:
        return fingerprint(self.figure, digits=self.digits)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, str]:
        """What Jupyter asks for: MIME type → content."""
        text = {"text/plain": repr(self)}
        if any(ax.images for ax in self.figure.axes):
            return {"image/png": base64.b64encode(self.png()).decode("ascii"), **text}
        return {"image/svg+xml": self.svg(), **text}


def show(figure: MatplotlibFigure | Figure, *, digits: int = 4) -> Figure:
    """Make a figure the value of a cell: `show(fig)` as its last line displays it once.

    A figure made by pyplot is closed there, so that the notebook does not show it a
    second time. In the middle of a cell use `IPython.display.display(show(fig))`; for a
    figure to be placed in the text, `myst_nb.glue("name", show(fig), display=False)`.

    Args:
        figure: what to show.
        digits: significant digits in the fingerprint. Fewer for what differs from one
            CPU to the next, such as the training of a network in float32.
    """
    if isinstance(figure, Figure):
        return figure
    plt.close(figure)
    return Figure(figure, digits=digits)
