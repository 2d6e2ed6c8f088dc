"""The command's entry point."""

import subprocess
import sys

ENTRY = [sys.executable, "-c", "from tailrace.cli.main import main; main()"]


def test_a_reader_that_goes_away_is_no_error():
    command = subprocess.Popen(
        [*ENTRY, "-h"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    command.stdout.close()
    _, errors = command.communicate(timeout=30)
    assert errors == ""
    assert command.returncode == 0


def test_the_version_names_what_it_is_compatible_with():
    done = subprocess.run([*ENTRY, "--version"], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[1] == "compatible with Fluent Bit v5.1.1"
