"""Reads a ctest report: prints verdict|test|log|seconds a test, keeps the output of failed ones.

usage: junit.py REPORT LOG_DIRECTORY PREFIX
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

VERDICTS = {"run": "passed", "fail": "failed", "notrun": "skipped", "disabled": "skipped"}


def verdict_of(case):
    verdict = VERDICTS.get(case.get("status"), "failed")
    skipped = case.find("skipped")
    # A test whose executable is missing is "not run" as well, and that is no skip.
    if verdict == "skipped" and "SKIP_RETURN_CODE" not in (
            skipped.get("message", "") if skipped is not None else ""):
        return "failed"
    return verdict


def main(report, log_directory, prefix):
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = case.get("name")
        verdict = verdict_of(case)
        log = Path(log_directory, f"{prefix}_{name}.log".replace("/", "_"))
        if verdict == "failed":
            output = case.findtext("system-out") or ""
            reason = case.find("failure")
            if reason is not None:
                output += f"\nctest: {reason.get('message', '')}\n"
            log.write_text(output)
        seconds = int(float(case.get("time") or 0))
        print(f"{verdict}|{name}|{log}|{seconds}")


if __name__ == "__main__":
    main(*sys.argv[1:])
