"""Words that a run is told may be said: of lists and files, and not too many."""

from pathlib import Path

import pytest

from longscribe.errors import OptionError
from longscribe.options import check_options
from longscribe.text.hotwords import with_hotwords


def words(*entries: str) -> tuple[str, ...]:
    return with_hotwords(check_options(recording="a.wav", hotwords=entries)).hotwords


def test_words_are_separated_by_commas() -> None:
    assert words("Ana  Lima, Longscribe,", " Ana Lima ", "TCP/IP") == (
        *("Ana Lima", "Longscribe", "TCP/IP"),
    )
    assert words() == words("", " , ") == ()


def test_one_text_is_a_list_of_one() -> None:
    options = check_options(recording="a.wav", hotwords="Ana, Omar")
    assert with_hotwords(options).hotwords == ("Ana", "Omar")


def test_an_accent_of_its_own_is_a_letter_s() -> None:
    assert words("Sa\u0303o Paulo") == ("São Paulo",)


def test_a_file_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\ufeff# people\nAna Lima\n\nOmar, Beatriz\n", encoding="utf-8")
    assert words(str(path), "Omar") == ("Ana Lima", "Omar", "Beatriz")


def test_chunks_are_kept_under_the_words_and_not_under_their_file(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("Ana\n", encoding="utf-8")
    before = with_hotwords(check_options(recording="a.wav", hotwords=(str(path),))).for_chunks
    path.write_text("Omar\n", encoding="utf-8")
    after = with_hotwords(check_options(recording="a.wav", hotwords=(str(path),))).for_chunks
    assert (before.hotwords, after.hotwords) == (("Ana",), ("Omar",))


def test_a_word_that_a_service_marks_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Ana").write_text("secret", encoding="utf-8")
    assert words("Ana") == ("secret",)
    assert words("Ana,") == ("Ana",)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--hotwords: cannot read"):
        words(str(tmp_path / "missing.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"--hotwords: .* UTF-8"):
        words(str(tmp_path / "bytes.txt"))


def test_too_many_and_too_long_words_are_refused() -> None:
    assert len(words(",".join(map(str, range(1000))))) == 1000
    with pytest.raises(OptionError, match=r"^--hotwords: 1001 words are too many; .* 1000\.$"):
        words(",".join(map(str, range(1001))))
    assert words("x" * 100) == ("x" * 100,)
    for text in ("x" * 101, "y" * 5000):  # the latter longer than any file's name
        with pytest.raises(OptionError, match=r"^--hotwords: .* at most 100 characters"):
            words(text)
