import base64
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from IPython.core.formatters import format_display_data
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot as plt

from d2lcompanion.plotting.figure import Figure, show
from d2lcompanion.plotting.fingerprint import fingerprint
from d2lcompanion.plotting.style import COLOURS, GREY, WIDTH, legend_above, new_figure


def example(rows: int = 1) -> Figure:
    fig, ax = new_figure(rows=rows, squeeze=False)
    ax[0, 0].plot([0, 1, 2], [1.0, 0.1, 0.01], "--o", label=r"$\sqrt{\kappa}$")
    ax[0, 0].set(xlabel="step", ylabel="f(x) − f*, √κ", yscale="log")
    legend_above(fig, ax)
    return show(fig)


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_svg_is_deterministic_and_well_formed():
    first, second = example().svg(), example().svg()
    assert first == second
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"


def test_drawing_again_gives_the_same_bytes():
    figure = example(rows=2)
    first = figure.svg()
    figure.png()
    assert figure.svg() == first


def test_svg_of_another_figure_differs():
    other = example()
    other.figure.axes[0].lines[0].set_ydata([1.0, 0.1, 0.02])
    assert other.svg() != example().svg()


def test_text_in_svg_is_text_with_a_generic_font():
    svg = example().svg()
    assert ">step<" in svg
    assert "√κ" in svg
    assert svg.count("'DejaVu Sans'") == svg.count("'DejaVu Sans', sans-serif") > 0


def test_svg_has_no_background_and_no_date():
    svg = example().svg()
    assert "<dc:date>" not in svg
    assert "#ffffff" not in svg.lower()
    assert "fill: white" not in svg


def test_jupyter_gets_svg_and_the_fingerprint(shell):
    figure = example()
    data, _ = format_display_data(figure)  # what display() and myst_nb.glue() call
    assert set(data) == {"image/svg+xml", "text/plain"}
    assert data["text/plain"] == fingerprint(figure.figure) == repr(figure)
    assert data["image/svg+xml"] == figure.svg()


def test_glue_stores_the_figure(shell):
    from myst_nb import glue

    sent = []
    shell.display_pub.publish = lambda data, metadata=None, **_: sent.append((data, metadata))
    glue("gd-figure", example(), display=False)
    (data, metadata) = sent[0]
    assert metadata["scrapbook"]["name"] == "gd-figure"
    assert any(key.endswith("image/svg+xml") for key in data)
    assert any(key.endswith("text/plain") for key in data)


def test_images_become_png():
    fig, ax = new_figure()
    ax.imshow(np.eye(4))
    bundle = show(fig)._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle == show(fig)._repr_mimebundle_()


def test_show_closes_what_pyplot_holds():
    fig, _ = plt.subplots()
    assert plt.fignum_exists(fig.number)
    figure = show(fig, digits=3)
    assert not plt.fignum_exists(fig.number)
    assert figure.digits == 3
    assert show(figure) is figure


def test_new_figures_are_never_pyplots():
    before = plt.get_fignums()
    fig, axes = new_figure(columns=2, rows=3, height=2.0)
    assert plt.get_fignums() == before
    assert axes.shape == (3, 2)
    assert tuple(fig.get_size_inches()) == (WIDTH, 6.0)


def test_the_style_does_not_leak():
    before = dict(plt.rcParams)
    example().svg()
    assert dict(plt.rcParams) == before


def test_figures_need_no_display_and_no_jupyter():
    code = (
        "import sys; from d2lcompanion.plotting.convergence import plot_convergence;"
        "print(plot_convergence({'a': [1, .1]}, ylabel='gap').svg()[:4]);"
        "assert 'IPython' not in sys.modules"
    )
    environment = {"PATH": "", "MPLCONFIGDIR": "/tmp", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "<svg"


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def inverted(colour: str) -> str:
    """CSS invert(1) hue-rotate(180deg), by the matrices of the Filter Effects specification."""
    rgb = 1 - np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    weights = np.array([0.213, 0.715, 0.072])
    rotation = 2 * np.outer(np.ones(3), weights) - np.eye(3)  # at 180°: cos = −1, sin = 0
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in (rotation @ rgb).clip(0, 1))


@pytest.mark.parametrize("colour", [*COLOURS, GREY])
def test_colours_have_contrast_on_light_and_on_inverted_pages(colour):
    on_white = (1 + 0.05) / (luminance(colour) + 0.05)
    on_dark = (luminance(inverted(colour)) + 0.05) / (luminance("#121212") + 0.05)
    assert min(on_white, on_dark) >= 3  # WCAG 1.4.11


def oklab(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB [..., 3] in Björn Ottosson's perceptually even space."""
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear.clip(0, 1) @ np.transpose(to_lms)) @ np.transpose(to_lab)


@pytest.mark.parametrize(
    "view",
    [
        np.eye(3),
        # Deuteranopia and protanopia: Machado, Oliveira & Fernandes (2009), severity 1.
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    ],
    ids=["normal", "deuteranopia", "protanopia"],
)
def test_colours_stay_apart_for_colour_blind_readers(view):
    rgb = np.array([[int(c[k : k + 2], 16) / 255 for k in (1, 3, 5)] for c in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = oklab(linear @ np.transpose(view))
    distance = np.linalg.norm(seen[:, None] - seen, axis=-1) + np.eye(len(COLOURS))
    assert distance.min() > 0.13  # a just noticeable difference is about 0.02
