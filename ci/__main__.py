"""ci/preview [--stack STACK | --file FILE] [--out FILE]: a preview as a comment with costs and risks.

Without --file the engine is asked for the preview. The comment goes to --out (default: standard output), to the pull
request that GitHub Actions runs for when GITHUB_TOKEN is set, and to GITHUB_STEP_SUMMARY.
Exit code: 0 nothing blocks; 1 blocked (budget, loss of data without the override label, guard rail, failed preview);
2 the comment could not be made or posted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from ci import github, parse
from ci.assess import OVERRIDE, assess
from ci.redact import redact, secrets_in
from ci.render import render
from ops import up
from ops.engine import LOCAL, POLICIES, OperatorError
from ops.local import engine_of
from ops.show import json_line, say


def ask_engine(stack: str) -> str:
    """What `pulumi preview --json` prints for `stack`; its messages where it did not come to a preview."""
    engine = up.prepared(engine_of(stack))
    up.tell_cost(engine, engine.outputs())
    printed, messages = engine.attempt("preview", "--json", "--show-sames", *POLICIES)
    return printed if '"config"' in printed else messages or printed


def comment(text: str, stack: str, labels: tuple[str, ...] = (), commit: str = "") -> tuple[str, list[str]]:
    """The comment on a preview's text, and the words for what blocks it."""
    secrets: set[str] = set()
    try:
        preview = parse.parse(text)
        preview = replace(preview, stack=preview.stack or stack)
        secrets = secrets_in(json.loads(text))
    except parse.NoPreviewError:
        preview = parse.failed(stack, text)
    made = assess(preview, labels)
    return render(made, secrets, commit), sorted({risk.blocks for risk in made.blocked})


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    where = github.pull_request(environ)
    text = Path(options.file).read_text() if options.file else ask_engine(options.stack)
    labels = where.labels if where else tuple(filter(None, environ.get("LABELS", "").split(",")))
    body, blocks = comment(text, options.stack, labels, where.commit if where else "")
    if options.out:
        Path(options.out).write_text(body)
    else:
        print(body)
    if summary := environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a") as file:
            file.write(body)
    if where and where.token:
        done = github.publish(where, body, body.splitlines()[0])
        say(f"comment on {where.repository}#{where.number} {done}")
    elif where:
        say("no GITHUB_TOKEN: the comment was not posted")
    if blocks:
        hint = f"; label {OVERRIDE} lets a loss of data pass" if "data loss" in blocks else ""
        say(f"blocked: {', '.join(blocks)}{hint}")
    json_line({"blocked": blocks, "characters": len(body)})
    return 1 if blocks else 0


def main(arguments: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run; see the module."""
    parser = argparse.ArgumentParser(prog="ci/preview", description=__doc__)
    parser.add_argument("--stack", default=LOCAL)
    parser.add_argument("--file", help="what `pulumi preview --json --show-sames` printed")
    parser.add_argument("--out", help="write the comment here")
    try:
        return run(parser.parse_args(arguments), environ)
    except (OperatorError, github.GitHubError, httpx.HTTPError, OSError) as error:
        say(redact(str(error), set()))
        return 2


if __name__ == "__main__":
    sys.exit(main())
