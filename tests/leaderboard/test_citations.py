import pytest

from promptgrid.leaderboard.citations import bibtex, paper_link


@pytest.mark.parametrize(
    ("paper", "link"),
    [
        ("Zhou et al., IJCV 2022, arXiv:2109.01134", "https://arxiv.org/abs/2109.01134"),
        ("Some et al., 2024, doi:10.1000/xyz(1).2", "https://doi.org/10.1000/xyz(1).2"),
        ("A book of 1999", ""),
        ('Evil, arXiv:"><script>', ""),
        ('Evil, doi:10.1000/"><script>', "https://doi.org/10.1000/%22%3E%3Cscript%3E"),
    ],
)
def test_where_a_paper_is_read(paper, link):
    assert paper_link(paper) == link


def test_an_entry_names_who_when_and_where():
    assert bibtex("coop", "Zhou et al., IJCV 2022, arXiv:2109.01134") == (
        "@misc{coop,\n  author = {Zhou and others},\n  year = {2022},\n  eprint = {2109.01134},\n"
        "  archiveprefix = {arXiv},\n  note = {Zhou et al., IJCV 2022, arXiv:2109.01134}\n}"
    )


def test_no_text_breaks_the_file():
    told = bibtex("mine", "A & B {x}, 2020")
    assert "author = {A \\& B x}" in told
    assert told.count("{") == told.count("}")
