"""The command's entry point."""

import os
import signal
import subprocess
import sys

from tailrace.cli import main
from tailrace.cli.run import run

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


def test_a_working_directory_that_is_not_there_is_an_error(capsys, tmp_path):
    assert run(["-w", str(tmp_path / "nowhere"), "-i", "dummy", "-o", "null"]) == 255
    assert "nowhere" in capsys.readouterr().err


def test_a_mistyped_command_is_answered_with_the_right_one(capsys):
    assert main.run(["chek", "agent.conf"]) == 1
    assert "there is no command 'chek'. Did you mean 'check'?" in capsys.readouterr().err


def test_a_hangup_while_the_agent_starts_does_not_end_it(tmp_path):
    pipe = tmp_path / "agent.conf"
    os.mkfifo(pipe)
    agent = subprocess.Popen([*ENTRY, "-c", str(pipe)], stderr=subprocess.DEVNULL)
    with pipe.open("w") as writer:  # opens when the agent reads its configuration
        agent.send_signal(signal.SIGHUP)
        writer.write(
            "[INPUT]\n    name dummy\n    samples 1\n[OUTPUT]\n    name exit\n    match *\n    flush_count 1\n"
        )
    assert agent.wait(30) == 0


def test_the_package_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "--version"], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.startswith("Tailrace v")
