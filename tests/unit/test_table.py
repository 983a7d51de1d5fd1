from pipeline.table import table


def test_a_table_fits_a_terminal_of_80_columns_with_the_indent_of_an_error() -> None:
    words = "started by the engine, by the image's HEALTHCHECK, which is that of Docker's and of Podman's inspect"
    text = table(("step", "seconds", "seen"), [("service: healthy", "12.0", words), ("stopped", "0.1", "")])
    assert 70 < max(map(len, text.splitlines())) <= 76
    # Nothing is cut off.
    assert set(words.split()) <= set(text.split())
