"""Draws the picture of how-to/streaming.md: quality against latency of three converters in chunks of three sizes.

python docs/streaming_picture.py FOLDER; needs playwright and Chromium. In FOLDER it makes weights of made-up values for
kNN-VC, whose WavLM is a small one, and streams 12 pairs of the demo; started again, it goes on where it was cut off.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

from vceval.cli import main as vceval

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # where the small WavLM and the search for Chromium are

#: Milliseconds of window, look-ahead and cross-fade by those of the hop.
SIZES = {160: (600, 80, 40), 320: (800, 120, 40), 640: (1000, 160, 40), 1280: (1600, 160, 40)}
OUT = Path(__file__).parent / "pages" / "how-to" / "streaming.png"


def weights(folder: Path) -> dict[str, object]:
    """Write made-up weights for kNN-VC; the options that use them. Its loudness is left as it is: windows have none."""
    import small_wavlm

    from vceval import registry
    from vceval.checkpoints.known_files import WAVLM_LARGE
    from vceval.conformance import made_up_files

    for file in registry.load("converter", "knnvc").files:
        if (folder / file.name).exists():
            continue
        if file.name == WAVLM_LARGE.name:
            small_wavlm.write(folder / file.name, small_wavlm.settings(8))
        else:
            made_up_files.write(file, folder)
    return {"weights": str(folder), "loudness": None, "vad": 0}


def main() -> None:
    """Stream, and take the picture from the page."""
    from pages import find_chromium, launch

    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, tuple[str, dict[str, object], tuple[int, ...]]] = {
        "world": ("world", {}, (160, 320, 640)),
        "demo": ("adainvc-demo", {"precision": "float32"}, (160, 320, 640)),
        "knnvc": ("knnvc", weights(folder / "weights"), (320, 640, 1280)),
    }
    systems = {
        f"{name}-{hop}": {
            "converter": "chunked", "of": of, "options": options, "hop": hop,
            **dict(zip(("window", "lookahead", "crossfade"), SIZES[hop], strict=True)),
        }
        for name, (of, options, hops) in chosen.items()
        for hop in hops
    }  # fmt: skip
    (folder / "chunks.yaml").write_text(yaml.safe_dump({"systems": systems}, sort_keys=False), encoding="utf-8")
    asked = ["--limit", "12", "--metrics", "mcd,f0,sv", "--pace", "fast", "--probes", "1", "--device", "cpu"]
    chunks = ["--systems", str(folder / "chunks.yaml"), "--out", str(folder / "run")]
    vceval.main(["stream", "demo", *asked, *chunks])
    program = find_chromium()
    assert program is not None, "Chromium is not installed"
    with sync_playwright() as playwright, launch(playwright, program) as browser:
        page = browser.new_page(viewport={"width": 1040, "height": 800}, device_scale_factor=1.5, color_scheme="light")
        page.goto((folder / "run" / "index.html").as_uri())
        page.locator("#latency .figures").screenshot(path=str(OUT))


if __name__ == "__main__":
    main()
