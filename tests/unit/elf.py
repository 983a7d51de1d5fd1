"""Small ELF files: what a loader reads of one, and sections that nothing loads."""

import struct
from collections.abc import Mapping, Sequence

MACHINES = {"amd64": 62, "arm64": 183}
_HEADER = 64
_PROGRAM, _SECTION = 56, 64
_NEEDED, _STRTAB, _RUNPATH, _VERDEF, _VERNEED = 1, 5, 29, 0x6FFFFFFC, 0x6FFFFFFE


def elf(
    needed: Sequence[str] = (),
    *,
    machine: str = "amd64",
    interpreter: str = "",
    runpath: str = "",
    wants: Mapping[str, str] | None = None,
    defines: Sequence[str] = (),
    unloaded: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a library, or a program if it has an interpreter.

    Parameters
    ----------
    needed
        Names of libraries.
    machine
        Its processor.
    interpreter
        Path of the loader.
    runpath
        Folders, separated by colons.
    wants
        By library, the version of a symbol that is wanted of it.
    defines
        The versions of its own symbols.
    unloaded
        Sections behind what is loaded, by name; `.symtab` gets its `.strtab`.
    """
    strings = b"\0"

    def string(text: str) -> int:
        nonlocal strings
        at = len(strings)
        strings += text.encode() + b"\0"
        return at

    dynamic = [(_NEEDED, string(name)) for name in needed]
    if runpath:
        dynamic.append((_RUNPATH, string(runpath)))
    verneed = b""
    for left, (library, version) in reversed(list(enumerate((wants or {}).items()))):
        following = 0 if left == len(wants or {}) - 1 else 32
        record = struct.pack("<HHIII", 1, 1, string(library), 16, following)
        verneed = record + struct.pack("<IHHII", 0, 0, 2, string(version), 0) + verneed
    verdef = b""
    for left, version in reversed(list(enumerate(defines))):
        following = 0 if left == len(defines) - 1 else 28
        verdef = struct.pack("<HHHHIII", 1, 0, 1, 1, 0, 20, following) + struct.pack("<II", string(version), 0) + verdef

    programs = 3 if interpreter else 2
    # One segment holds all; its address is another than its place in the file, as in real ones.
    base = 0x10000
    at = _HEADER + programs * _PROGRAM
    places = {}
    loaded = b""
    for name, data in (("interp", interpreter.encode() + b"\0"), ("str", strings), ("need", verneed), ("def", verdef)):
        places[name] = at + len(loaded)
        loaded += data
    loaded += b"\0" * (-(at + len(loaded)) % 8)
    dynamic.append((_STRTAB, base + places["str"]))
    if verneed:
        dynamic.append((_VERNEED, base + places["need"]))
    if verdef:
        dynamic.append((_VERDEF, base + places["def"]))
    places["dynamic"] = at + len(loaded)
    table = b"".join(struct.pack("<QQ", *entry) for entry in [*dynamic, (0, 0)])
    loaded += table
    end = at + len(loaded)

    headers = [(1, 5, 0, base, end), (2, 6, places["dynamic"], base + places["dynamic"], len(table))]
    if interpreter:
        headers.append((3, 4, places["interp"], base + places["interp"], len(interpreter) + 1))
    packed = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size, 8)
        for kind, flags, offset, address, size in headers
    )
    sections, count, names_index = _sections(unloaded or {}, end, base, places["str"], len(strings))
    shoff = end + len(sections) - count * _SECTION if count else 0
    header = b"\x7fELF\2\1\1" + b"\0" * 9
    header += struct.pack("<HHIQQQI", 3, MACHINES[machine], 1, 0, _HEADER, shoff, 0)
    header += struct.pack("<HHHHHH", _HEADER, _PROGRAM, programs, _SECTION, count, names_index)
    return header + packed + loaded + sections


def _sections(unloaded: Mapping[str, bytes], end: int, base: int, dynstr: int, size: int) -> tuple[bytes, int, int]:
    """Return what stands behind the segments, how many sections there are, and which holds their names."""
    if not unloaded:
        return b"", 0, 0
    names = b"\0"
    rows: list[tuple[int, ...]] = [(0,) * 10]
    body = b""

    def named(name: str) -> int:
        nonlocal names
        at = len(names)
        names += name.encode() + b"\0"
        return at

    rows.append((named(".dynstr"), 3, 2, base + dynstr, dynstr, size, 0, 0, 1, 0))
    for name, data in unloaded.items():
        link = len(rows) + 1 if name == ".symtab" else 0
        rows.append((named(name), 2 if name == ".symtab" else 1, 0, 0, end + len(body), len(data), link, 0, 1, 0))
        body += data
        if name == ".symtab":
            rows.append((named(".strtab"), 3, 0, 0, end + len(body), 5, 0, 0, 1, 0))
            body += b"\0main"
    index = len(rows)
    at = named(".shstrtab")
    rows.append((at, 3, 0, 0, end + len(body), len(names), 0, 0, 1, 0))
    body += names
    body += b"\0" * (-(end + len(body)) % 8)
    return body + b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows), len(rows), index
