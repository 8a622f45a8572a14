"""Croissant, the description of data sets by MLCommons, in JSON-LD (version 1.1): a suite as a data set of pairs."""

from __future__ import annotations

import hashlib
from typing import Any

from vceval.corpora.base import CorpusInfo
from vceval.protocol import suite as suites
from vceval.protocol.pairlist import TABLE
from vceval.protocol.suite import Suite
from vceval.reports.bibliography import corpus_key, entry_text

__all__ = ["LIST", "croissant"]

#: The pair list in the repository; the hub makes of this name the split ``test``.
LIST = "test.csv"
_CROISSANT, _SPLIT = "http://mlcommons.org/croissant/", "pairs"
#: Terms of Croissant that stand for themselves in the context that its specification prescribes.
_TERMS = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
    "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": _CROISSANT,
    "rai": f"{_CROISSANT}RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(suite: Suite, corpus: CorpusInfo, pairs: bytes | None, repository: str, published: str) -> dict[str, Any]:
    """Describe a suite.

    Args:
        suite: the suite.
        corpus: where its recordings come from; they are not in the data set.
        pairs: the bytes of its list; None where that is drawn, or nobody else's business.
        repository: at Hugging Face, such as ``owner/name``; empty where none is known.
        published: when, as ``YYYY-MM-DD``.
    """
    ours = suite.name in suites.names() and suites.load(suite.name).file == suite.file
    facts = [suite.description]
    where = f"recordings are those of {corpus.title} ({corpus.licence}), which is not part of this: {corpus.url}"
    facts.append(f"The {where}" if corpus.url else "The recordings are private, and not part of this")
    if suite.pairs_count is not None:
        facts.append(f"The list has {suite.pairs_count} pairs and the SHA-256 {suite.pairs_sha256}")
    key = corpus_key(corpus.name)
    owner = repository.partition("/")[0] or ("The vceval authors" if ours else "")
    language = suite.language or (corpus.languages[0] if len(corpus.languages) == 1 else "")
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_CROISSANT}1.1",
        "name": suite.name,
        "description": ". ".join(text.rstrip(". ") for text in facts) + ".",
        "alternateName": suite.title,
        "version": f"{suite.version}.0.0",
        "datePublished": published,
        **({"license": "https://www.apache.org/licenses/LICENSE-2.0"} if ours else {}),
        **({"url": f"https://huggingface.co/datasets/{repository}"} if repository else {}),
        **({"creator": {"@type": "sc:Organization", "name": owner}} if owner else {}),
        **({"inLanguage": language} if language else {}),
        "keywords": ["voice conversion", "speech", "benchmark", suite.label],
        **({"citeAs": entry_text(key)} if key else {}),
        "isLiveDataset": False,
        **({} if pairs is None else _listed(pairs)),
    }


def _listed(pairs: bytes) -> dict[str, Any]:
    return {
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": LIST,
                "name": LIST,
                "description": "Pairs to be converted; recordings by the ids of their corpus.",
                "contentUrl": LIST,
                "contentSize": f"{len(pairs)} B",
                "encodingFormat": "text/csv",
                "sha256": hashlib.sha256(pairs).hexdigest(),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": _SPLIT,
                "name": _SPLIT,
                "description": "One record a pair.",
                "key": {"@id": f"{_SPLIT}/{TABLE.columns[0].name}"},
                "field": [
                    {
                        "@type": "cr:Field",
                        "@id": f"{_SPLIT}/{column.name}",
                        "name": column.name,
                        "description": f"{column.use[:1].upper()}{column.use[1:]}.",
                        "dataType": "sc:Text",
                        "source": {"fileObject": {"@id": LIST}, "extract": {"column": column.name}},
                    }
                    for column in TABLE.columns
                ],
            }
        ],
    }
