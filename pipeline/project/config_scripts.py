"""Which scripts of a project (`rebar.config.script`, `NAME.app.src.script`) need nothing but what they are given.

rebar3 evaluates a `FILE.script` beside a `FILE`. A script may do anything; most look at the environment, the version of
Erlang/OTP and the configuration.
"""

import re

#: Comments, strings, quoted atoms and characters: what stands in them is no call, but an atom may name a module.
_TOKENS = re.compile(r"%[^\n]*|\"(?:\\.|[^\"\\])*\"|(?P<atom>'(?:\\.|[^'\\])*')|\$(?:\\.|.)", re.DOTALL)
#: Functions that ask nothing but their arguments, and those that ask the environment or what runs the script, or print.
_HARMLESS = re.compile(
    r"\b(?:"
    r"(?:binary|dict|gb_sets|gb_trees|lists|maps|math|orddict|ordsets|proplists|re|sets|string|unicode|io_lib)\s*:\s*\w+"
    r"|filename\s*:\s*(?:join|dirname|basename|extension|rootname|split)"
    r"|os\s*:\s*(?:getenv|type|version)"
    r"|io\s*:\s*(?:format|fwrite|put_chars|nl)"
    r"|error_logger\s*:\s*\w+_msg"
    r"|erlang\s*:\s*(?:system_info|function_exported|error|throw|exit|length|size|element|is_\w+|\w+_to_\w+)"
    r")\s*(?=[(/])"
)
#: Functions that need no module's name: they call any other one, start something, or tell the time.
_ANYTHING = re.compile(r"\b(?:apply|spawn\w*|open_port|halt|load_module|now|date|time)\s*[(/]")


def is_plain(text: str) -> bool:
    """Tell whether a script reads no file and runs no command; of one that cannot be understood, no."""
    code = _TOKENS.sub(lambda found: "Quoted" if found["atom"] else " ", text)
    rest = _HARMLESS.sub(" ", code).replace(":=", " ")
    # Strings of OTP 27 have other rules: those in triple quotes, and sigils (~). A colon that is left calls another
    # function, or one whose name is computed.
    return '"""' not in text and "~" not in rest and ":" not in rest and not _ANYTHING.search(rest)
