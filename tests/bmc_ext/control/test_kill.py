"""kill -9 in the middle of announcing: every answer that was given still holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bmc_ext.security.audit import verify
from bmc_ext.state import StateDirectory

SCRIPT = Path(__file__).with_name("announcing_process.py")
ROOT = Path(__file__).resolve().parents[3]
ANSWERS = 40


def test_every_answer_survives_kill_9(tmp_path: Path) -> None:
    """After SIGKILL the book has every answer that was given, and at most one more."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    answers = [json.loads(process.stdout.readline()) for _ in range(ANSWERS)]
    process.kill()
    answers += [
        json.loads(line) for line in process.stdout.read().splitlines() if line.endswith("}")
    ]
    process.wait(10)
    process.stdout.close()

    state = StateDirectory(tmp_path)
    database = state.database("workloads", durable=True)
    kept = {
        json.loads(announcement)["workload_id"]: json.loads(answer)
        for announcement, answer in database.execute("SELECT announcement, answer FROM workload")
    }
    database.close()
    state.close()
    assert len(answers) >= ANSWERS
    for answer in answers:
        assert kept[answer["workload_id"]] == answer
    assert len(kept) <= len(answers) + 1
    report = verify(tmp_path / "audit")
    assert report.ok
    assert report.entries >= 2 * len(answers)
