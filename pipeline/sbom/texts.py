"""Which licence the text of a file is, by the texts of SPDX's own list."""

import hashlib
import re
from collections.abc import Iterable

from pipeline.sbom.licence import License

#: By `digest` of the text at spdx.org/licenses, its identifier; a test computes them anew.
KNOWN = {
    "04562111c2324b1aaf27f34c347cd25e5e65679d10acd3df6c1c2acbd912eb31": "0BSD",
    "6ab43cdbaf13735e30a40dc8bd2c4e5d48ed74ff9a521c4e819ba703ee4902df": "Apache-2.0",
    "66ca649f670cf3e65d4f36cac947e8e41320fcb153e50630a60ada0bc9a48e30": "BSD-2-Clause",
    "1cee56fdf7eb5531ff7dbd0f3489935a0c39e7a2dc0985c55d3c6ead580454cd": "BSD-3-Clause",
    "355a29d1fc11e461afef6488930cf25f81af37a2de145a51d9b9c351f63bda02": "ISC",
    "1722b60ce851534beccd0d36ebb7581f57243358016d8feb6e7562e44e83745e": "MIT",
    "fad6cec35054397427e317bbbe3e95bbe7ea6c46881543b5720aa54e1c585e28": "MPL-2.0",
    "8a01c9af3eec2e3e552d465ebad407c1c35bf53070db4ed682716cd3443fbf8a": "Unlicense",
    "6639a2a838439b2f70d60db893a595aca137c59bd50f4b6f5ec2be9ada5db66e": "Zlib",
}
#: Before the words of a licence: its name, whose copyright it is, and marks of Markdown.
_COPYRIGHT = r"copyright:? ((\(c\)|©)|[<\[]?(\d{4}|by\b|year\b)).*|(\(c\)|©) ?\d{4}.*"
#: What is to be filled in.
_FORM = r"[<\[{](year|yyyy|name|owner|copyright)"
_HEADING = re.compile(
    r"\W*((the )?(mit|isc|apache|bsd|new bsd|simplified bsd|[23]-clause bsd|mozilla public|bsd[ -][23][ -]clause)\b"
    r".{0,40}licen[cs]e.{0,40}|unlicense|all rights reserved\.?"
    rf"|{_COPYRIGHT})",
    re.IGNORECASE,
)
#: Where a text has names of its own.
_HOLES = (
    (r"as is and .{1,80}? disclaims all", "as is and X disclaims all"),
    (r"in no event shall .{1,120}? be liable", "in no event shall X be liable"),
    (r"neither the name of .{1,160}? may be used", "neither the name of X may be used"),
    (r"software is provided by .{1,80}? as is", "software is provided by X as is"),
    # Both are in use (the template of ISC at SPDX).
    (r"modify and or distribute", "modify and distribute"),
    # Of the Apache License what follows is how to apply it.
    (r"end of terms and conditions( .{0,1600}limitations under the license)?$", "end of terms and conditions"),
)


def concluded(text: str) -> License | None:
    """Return the licence whose whole text this is, but for names; nothing if there is more, or another text."""
    known = KNOWN.get(digest(text))
    return License(known, spdx=True) if known else None


def digest(text: str) -> str:
    """Return the SHA-256 of the words that count (spdx.github.io/spdx-spec/v2.3/license-matching-guidelines)."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [re.sub(r"^(\d\.|\(?[a-d]\)|[*-])\s", "", line) for line in lines if not _HEADING.fullmatch(line)]
    plain = " ".join(kept).lower().replace("licence", "license").replace("http://", "https://")
    words = " ".join(re.findall(r"[a-z0-9]+", plain))
    for pattern, name in _HOLES:
        words = re.sub(pattern, name, words)
    return hashlib.sha256(words.encode()).hexdigest()


def copyrights(texts: Iterable[str]) -> tuple[str, ...]:
    """Return whose copyright some texts say it is, each line once; of a licence's own form none."""
    lines = [re.sub(r"^[\s%#*/-]+", "", line).strip() for text in texts for line in text.splitlines()]
    found = [
        line
        for line in lines
        if re.fullmatch(_COPYRIGHT, line, re.IGNORECASE) and not re.search(_FORM, line, re.IGNORECASE)
    ]
    return tuple(dict.fromkeys(found))
