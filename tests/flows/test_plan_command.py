"""`longscribe plan`, as people and programs read it."""

import json

import pytest

from longscribe.flows.command_line import main


def ran(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["plan", *arguments])
    return caught.value.code, *capfd.readouterr()


def test_people_read_it_in_a_hundred_columns(capfd: pytest.CaptureFixture[str]) -> None:
    for hours in ("0.5", "500", "1000000"):
        code, out, err = ran(
            capfd, "--hours-per-day", hours, "--model", "medium", "--core-hour-price", "0.04"
        )
        assert (code, err) == (0, "")
        assert max(map(len, out.splitlines())) < 100
        for word in ("workers", "memory", "disk", "server", "database", "money", "Estimated"):
            assert word in out


def test_programs_read_json(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capfd, "--hours-per-day", "500", "--json")
    assert code == 0
    made = json.loads(out)
    assert made["load"]["model"] == "turbo"
    assert made["machines"] >= 1
    assert made["price_per_day"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hours-per-day", "2000000"], "less than or equal to 1000000 (it is 2000000.0)"),
        (["--hours-per-day", "0"], "--hours-per-day: input should be greater than"),
        (["--hours-per-day", "nan"], "--hours-per-day: input should be"),
        (["--hours-per-day", "many"], "--hours-per-day"),
        ([], "--hours-per-day"),
        (["--hours-per-day", "5", "--model", "whale"], "--model: 'whale'"),
        (["--hours-per-day", "5", "--processor", "z80"], "--processor: 'z80'"),
        (
            ["--hours-per-day", "5", "--hours-of-work", "25"],
            "--hours-of-work: input should be less",
        ),
        (["--hours-per-day", "5", "--spare-percent", "100"], "--spare-percent: input should be"),
        (["--hours-per-day", "5", "--core-hour-price", "-1"], "--core-hour-price: "),
    ],
)
def test_bad_input_gets_a_sentence(
    capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code, out, err = ran(capfd, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
