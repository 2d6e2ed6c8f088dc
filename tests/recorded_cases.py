"""Play the recorded cases of all that is built: `python tests/recorded_cases.py RUNNER AGENT [-k PART]`.

Some cases leave the agent a fraction of a second, which a busy machine may not have: what fails is played once more, one
case at a time, and that counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main(runner: str, agent: str, *more: str) -> int:
    """The exit code of the runner."""
    play = [sys.executable, runner, "--agent", agent]
    play += ["--differences", str(HERE / "conformance_differences.toml")]
    with tempfile.TemporaryDirectory() as folder:
        report, again = Path(folder, "report.json"), Path(folder, "again.txt")
        scope = HERE / "conformance_scope.txt"
        whole = [*play, "--scope", str(scope), "--jobs", "2", "--json", str(report), *more]
        code = subprocess.run(whole).returncode
        if code != 1:
            return code
        cases = json.loads(report.read_text())["cases"]
        failed = [case["id"] for case in cases if case["status"] == "failed"]
        again.write_text("\n".join(failed) + "\n")
        print(f"once more, one at a time: {', '.join(failed)}", flush=True)
        return subprocess.run([*play, "--scope", str(again), "--jobs", "1"]).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
