"""Papers as methods name them (``Zhou et al., IJCV 2022, arXiv:2109.01134``): links and BibTeX."""

from __future__ import annotations

import re
from urllib.parse import quote

_ARXIV = re.compile(r"arXiv:\s?(\d{4}\.\d{4,5})", re.IGNORECASE)
_DOI = re.compile(r"\b(?:doi:\s?)?(10\.\d{4,9}/[^\s,;]+)", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def paper_link(paper: str) -> str:
    """Where ``paper`` can be read: its arXiv page, else its DOI; empty where it names neither."""
    arxiv, doi = _ARXIV.search(paper), _DOI.search(paper)
    if arxiv:
        return f"https://arxiv.org/abs/{arxiv[1]}"
    return f"https://doi.org/{quote(doi[1].rstrip('.'), safe='/.()-_')}" if doi else ""


def _bare(text: str) -> str:
    """``text`` as a field of BibTeX: no braces, and signs that LaTeX reads as commands escaped."""
    return re.sub(r"([&%#_$])", r"\\\1", re.sub(r"[{}\\]", "", text))


def bibtex(method: str, paper: str) -> str:
    """An entry for the paper of ``method``, from what it is named by; its title is left to the reader's own library."""
    arxiv, doi, year = _ARXIV.search(paper), _DOI.search(paper), _YEAR.search(paper)
    author = paper.split(",")[0].replace(" et al.", " and others").strip()
    fields = {
        "author": _bare(author),
        "year": year[0] if year else "",
        "eprint": arxiv[1] if arxiv else "",
        "archiveprefix": "arXiv" if arxiv else "",
        "doi": doi[1].rstrip(".") if doi and not arxiv else "",
        "note": _bare(paper),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{re.sub('[^a-z0-9]+', '', method.lower())},\n" + ",\n".join(lines) + "\n}"
