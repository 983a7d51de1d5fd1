"""JUnit's report, which GitLab and Jenkins show by themselves."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from pipeline.report.report import Report, databases
from pipeline.scan.findings import SUPPRESSED, Status
from pipeline.scan.verdict import Judged

# XML 1.0 has no way to write these, and the title of an advisory may hold anything.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """Return the verdict as a JUnit test suite: a case for each scanner's run and for each finding.

    What breaks the policy is a failure; a scanner that failed, or a database that is too old, an error; what is
    accepted or said not to apply is skipped; what only warns, or is tolerated, passes.
    """
    cases = [*_runs(report), *(_case(item) for item in report.verdict.judged)]
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites, "testsuite", name=_text(report.image), timestamp=report.time.strftime("%Y-%m-%dT%H:%M:%S")
    )
    suite.set("tests", str(len(cases)))
    for plural, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(outcome) is not None for case in cases)))
    known = databases(report)
    if known:
        properties = ET.SubElement(suite, "properties")
        for scanner, database in known.items():
            ET.SubElement(properties, "property", name=f"database of {scanner}", value=_text(database.digest))
    suite.extend(cases)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _runs(report: Report) -> Iterator[ET.Element]:
    for run in report.runs:
        case = ET.Element("testcase", classname="scanners", name=f"{run.scanner} scans the {run.target}")
        if run.failure:
            ET.SubElement(case, "error", message=_text(run.failure))
        elif run.unknown:
            ET.SubElement(case, "skipped", message=_text("; ".join(run.unknown)))
        if run.remarks:
            ET.SubElement(case, "system-out").text = _text("\n".join(run.remarks))
        yield case
    for message in report.verdict.outdated:
        case = ET.Element("testcase", classname="databases", name=_text(message.partition(": ")[2].partition(" ")[0]))
        ET.SubElement(case, "error", message=_text(message))
        yield case


def _case(item: Judged) -> ET.Element:
    finding = item.finding
    case = ET.Element(
        "testcase",
        classname=_text(f"{finding.kind.value}.{finding.package}"),
        name=_text(f"{finding.id} in {finding.package} {finding.version}".strip()),
    )
    if item.status is Status.BREAKING:
        message = f"{finding.severity.name}: {finding.title or finding.id}; {finding.remedy}"
        failure = ET.SubElement(case, "failure", type=finding.severity.name, message=_text(message))
        failure.text = _text("\n".join(filter(None, (str(finding.urgency), item.reason, *finding.purls, finding.url))))
    elif item.status is Status.WARNING:
        ET.SubElement(case, "system-out").text = _text(f"warning: {item.reason}; {finding.remedy}")
    elif item.status in SUPPRESSED:
        ET.SubElement(case, "skipped", message=_text(f"{item.status.value}: {item.reason}"))
    return case


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
