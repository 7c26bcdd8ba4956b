"""``./vard check`` asks every tool, says what failed and how to mend it. The tools are stand-ins: what they find is theirs."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from conftest import REPOSITORY, Vard

TOOLS = ("ruff", "mypy", "lint-imports", "buf")
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$ASKED"
case "$(basename "$0") $*" in
  $FAULTY) echo "a fault of $1"; exit 1 ;;
esac
"""


@pytest.fixture
def checkout(vard: Vard, tmp_path: Path) -> Vard:
    """A checkout whose tools, and Maven, note what they are asked."""
    home = tmp_path / "home"
    shutil.copytree(vard.home, home, symlinks=True)
    (home / ".ci").mkdir()
    shutil.copy(REPOSITORY / ".ci" / "check", home / ".ci")
    programs = home / ".vard" / "check" / "bin"
    programs.mkdir(parents=True)
    for name in (*TOOLS, "mvn", "python"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    lock = hashlib.sha256((home / "python-worker" / "requirements-check.lock").read_bytes()).hexdigest()
    stamp = hashlib.sha256(f"{lock}  requirements-check.lock\n".encode()).hexdigest()
    (home / ".vard" / "check" / "vard-stamp").write_text(f"{stamp}  -\n")
    return Vard(home, home / "python-worker" / ".venv" / "bin" / "python", home / ".vard" / "vard.jar")


def check(checkout: Vard, *options: str, faulty: str = "none") -> tuple[int, str, list[str]]:
    """The exit code, what was said, and what the tools were asked."""
    asked = checkout.home / "asked"
    path = f"{checkout.home / '.vard' / 'check' / 'bin'}:{os.environ['PATH']}"
    done = checkout("check", *options, cwd=checkout.home, PATH=path, ASKED=str(asked), FAULTY=faulty)
    return done.returncode, done.stdout + done.stderr, asked.read_text().splitlines() if asked.exists() else []


def test_asks_every_tool(checkout: Vard) -> None:
    code, said, asked = check(checkout)

    assert code == 0, said
    assert {line.split()[0] for line in asked} == {*TOOLS, "mvn"}
    assert [line for line in said.splitlines() if not line.startswith("ok ")] == []


def test_a_fault_is_shown_with_its_cure_and_hides_no_other(checkout: Vard) -> None:
    code, said, asked = check(checkout, faulty="ruff*format*")

    assert code == 1
    assert "FAILED  form of Python (ruff)\n        a fault of format\n        To mend: ./vard check --fix\n" in said
    assert {line.split()[0] for line in asked} == {*TOOLS, "mvn"}


def test_a_fault_of_java_fails_too(checkout: Vard) -> None:
    code, said, _ = check(checkout, faulty="mvn*FloorsTest*")

    assert code == 1
    assert "FAILED  faults and nulls in Java (Error Prone, NullAway), floors (ArchUnit)" in said


def test_fix_writes_and_then_checks(checkout: Vard) -> None:
    code, said, asked = check(checkout, "--fix", "--quick")

    assert code == 0, said
    written = [i for i, line in enumerate(asked) if "spotless:apply" in line]
    assert len(written) == 1
    assert all(i > written[0] for i, line in enumerate(asked) if "spotless:check" in line or "--diff" in line)


def test_quick_compiles_nothing(checkout: Vard) -> None:
    _, _, asked = check(checkout, "--quick")

    assert not [line for line in asked if line.startswith("mypy") or "FloorsTest" in line]


def test_an_option_that_it_does_not_have(checkout: Vard) -> None:
    assert check(checkout, "--fast") == (2, "vard check: unknown option --fast (there are --fix and --quick)\n", [])
