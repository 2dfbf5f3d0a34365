import dataclasses

import pytest


def test_a_record_under_a_foreign_key_is_refused(full):
    first, second = list(full.records)[:2]
    with pytest.raises(ValueError, match="verify the store"):
        dataclasses.replace(full, records={first: full.records[second]})


def test_a_record_with_the_wrong_status_is_refused(full):
    key = next(iter(full.records))
    with pytest.raises(ValueError, match="is done, expected failed"):
        dataclasses.replace(full, failures={key: full.records[key]})


def test_a_record_without_the_headline_is_refused_and_says_what_it_has(full):
    with pytest.raises(ValueError, match="no metric 'top5'; it has accuracy, macro_f1"):
        dataclasses.replace(full, headline="top5")
