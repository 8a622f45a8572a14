"""Draws the picture of how-to/tables.md: eight systems and five measures in one column, as LaTeX sets them.

python docs/table_picture.py RUN, where RUN is a scored folder of conversions; needs pdflatex and pdftoppm.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

SYSTEMS = "AdaIN-VC,AutoVC,FragmentVC,MediumVC,AGAIN-VC,MAE-VC,FreeVC,YourTTS"
MEASURES = "sv_accept,sv_cosine,sv_source,fake_score,sanity_flags"
#: A page as wide as a column of Interspeech, with a margin.
PAGE = r"""\documentclass[10pt]{article}\usepackage{times,booktabs}
\usepackage[paperwidth=86mm,paperheight=150mm,margin=3mm]{geometry}\pagestyle{empty}
\begin{document}\input{results.tex}\end{document}
"""
OUT = Path(__file__).parent / "pages" / "how-to" / "table.png"


def main() -> None:
    """Make the table, set it, and cut it out of its page."""
    with tempfile.TemporaryDirectory() as place:
        table = ["vceval", "table", sys.argv[1], "--systems", SYSTEMS, "--measures", MEASURES, "--style", "interspeech"]
        subprocess.run([*table, "--out", f"{place}/results.tex"], check=True)
        Path(place, "page.tex").write_text(PAGE, encoding="utf-8")
        for command in ("pdflatex -interaction=batchmode page.tex", "pdftoppm -r 200 -png -singlefile page.pdf page"):
            subprocess.run(command.split(), cwd=place, check=True)
        page = Image.open(Path(place, "page.png")).convert("L")
        left, top, right, bottom = ImageChops.invert(page).getbbox() or (0, 0, *page.size)
        page.crop((left - 12, top - 12, right + 12, bottom + 12)).quantize(16).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
