import json

from promptgrid.leaderboard import write_report
from promptgrid.leaderboard.contributed.report_files import read_report


def test_a_report_as_it_is_written_now_is_read_back_whole(make_report, tmp_path):
    written = write_report(make_report(shots=(1, 16)), tmp_path)
    found = read_report(written.folder)
    assert not found.findings
    header = found.told["header"]
    assert (header["selection"], header["precision"], header["views"]) == ("last", "fp32", 0)
    assert header["shots"] == [1, 16]


def test_a_report_of_the_version_before_had_it_all_in_its_header(make_report, tmp_path):
    written = write_report(make_report(shots=(1, 16)), tmp_path)
    told = json.loads(written.json.read_text())
    told["header"] |= told.pop("run")
    written.json.write_text(json.dumps(told))
    found = read_report(written.folder)
    assert [one.where for one in found.findings] == ["report.json"], "its digest alone"
    assert found.told["header"]["selection"] == "last"
