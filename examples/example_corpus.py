"""A corpus: one folder a speaker, such as ``ann-F``, with a text beside every recording."""

from collections.abc import Iterator

from vceval.corpora.base import Corpus, CorpusInfo
from vceval.records import Utterance


class Folders(Corpus):
    """Reads ``ann-F/ann_001.flac`` and ``ann-F/ann_001.txt``."""

    info = CorpusInfo("folders", "Speaker folders", ("en",), 16_000, "that of the recordings", "", "")

    def read(self) -> Iterator[Utterance]:
        """Walk the folders in order; what is missing is noted, never guessed."""
        for path in sorted(self.root.glob("*-[FM]/*.flac")):
            text = path.with_suffix(".txt")
            if not text.is_file():
                self.note(path, f"there is no {text.name} beside it; left out")
                continue
            speaker, _, gender = path.parent.name.rpartition("-")
            said = text.read_text(encoding="utf-8").strip()
            yield Utterance(path.stem, path, "Speaker folders", speaker, "F" if gender == "F" else "M", "en", said)
