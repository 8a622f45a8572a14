"""How tables are set for different kinds of papers: widths, intervals, where the words go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT", "STYLES", "Grid", "Style", "environment", "preamble"]


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in points: one column, the whole line, what a page holds.

    ``interval`` is how an interval is set: ``brackets`` prints both ends, ``plusminus`` and ``subscript`` the longer
    arm. ``below`` puts the explanations below the table, for classes that set captions in capitals. Widths are those of
    the narrowest usual class, so that a table fits all of them.
    """

    name: str
    column: float
    line: float
    page: float
    interval: Literal["brackets", "plusminus", "subscript"]
    below: bool = False

    @property
    def interval_note(self) -> str:
        """What a caption says about the intervals."""
        if self.interval == "brackets":
            return "In brackets: 95 % interval (bootstrap over speakers)."
        return "±: longer arm of the 95 % interval (bootstrap over speakers)."


STYLES = {
    style.name: style
    for style in (
        Style("plain", 219, 345, 530, "brackets"),
        Style("acl", 219, 455, 530, "subscript"),
        Style("ieee", 219, 455, 530, "plusminus", below=True),
    )
}
DEFAULT = STYLES["plain"]

_PREAMBLE = r"""% Needs \usepackage{booktabs}. Figures are aligned with \usepackage{siunitx} and without it.
% Define any of these before to change it: interval by its ends, by its arm, arm as subscript, n/expected, signatures.
\providecommand{\vcevalinterval}[2]{{\scriptsize [#1, #2]}}
\providecommand{\vcevalplusminus}[1]{{\scriptsize $\pm$#1}}
\providecommand{\vcevalsubscript}[1]{$_{\pm#1}$}
\providecommand{\vcevaln}[1]{{\scriptsize (#1)}}
\providecommand{\vcevalsignatures}[1]{\par\vspace{3pt}\parbox{\linewidth}{\raggedright\tiny #1\par}}
\providecommand{\vcevalnotes}[1]{\par\vspace{3pt}\parbox{\linewidth}{\raggedright\scriptsize #1\par}}
\providecommand{\vcevalhead}[1]{\begin{tabular}[b]{@{}c@{}}#1\end{tabular}}
\providecommand{\vcevalcell}[1]{\begin{tabular}[t]{@{}r@{}}#1\end{tabular}}
\ifdefined\vcevalsecond\else\protected\def\vcevalsecond#1{\llap{\underline{\phantom{#1}}}}\fi
\ifcsname vcevaltabular\endcsname\else\newenvironment{vcevaltabular}[2]{\ifdefined\sisetup
  \sisetup{detect-weight=true,detect-inline-weight=math,retain-explicit-plus=true}\def\vcevalminus{-}\def\vcevalopen{\tabular{#1}}\else\def\vcevalminus{$-$}\def\vcevalopen{\tabular{#2}}\fi
  \vcevalopen}{\endtabular}\fi
"""


def preamble() -> str:
    r"""Define how a figure, its interval and its n are set, unless the paper has defined it otherwise."""
    return _PREAMBLE


@dataclass(frozen=True, slots=True)
class Grid:
    """One tabular: column kinds with siunitx and without, its lines between the rules, its width in points."""

    kinds: tuple[str, str]
    body: Sequence[str]
    width: float


def environment(
    style: Style,
    identity: str,
    part: int,
    caption: tuple[str, str],
    grids: Sequence[Grid],
    notes: Sequence[str] = (),
    tight: bool = False,
) -> str:
    """Set tabulars, one below the other, as a float over one column where they fit, else over the whole line.

    Args:
        style: of the paper.
        identity: of the table, for its label.
        part: from 0; further ones have labels of their own.
        caption: the entry of a list of tables, and the caption itself; LaTeX already.
        grids: what stands in the table; LaTeX already.
        notes: what stands below the table; LaTeX already.
        tight: set it in smaller type.
    """
    narrow = all(grid.width <= style.column for grid in grids)
    float_kind, place = ("table", "htbp") if narrow else ("table*", "tp")
    size = r"\scriptsize\setlength{\tabcolsep}{2.5pt}" if tight else r"\footnotesize\setlength{\tabcolsep}{4pt}"
    short, text = caption
    body: list[str] = []
    for grid in grids:
        body += [r"\par\vspace{4pt}"] if body else []
        body += [
            rf"\begin{{vcevaltabular}}{{{grid.kinds[0]}}}{{{grid.kinds[1]}}}",
            r"\toprule", *grid.body, r"\bottomrule", r"\end{vcevaltabular}",
        ]  # fmt: skip
    return "\n".join([
        rf"\begin{{{float_kind}}}[{place}]",
        rf"\centering{size}\setlength{{\abovetopsep}}{{3pt}}",
        rf"\caption[{{{short}}}]{{{text}}}",
        rf"\label{{tab:vceval-{identity}{f'-part{part + 1}' if part else ''}}}",
        *body,
        *notes,
        rf"\end{{{float_kind}}}",
        "",
    ])  # fmt: skip
