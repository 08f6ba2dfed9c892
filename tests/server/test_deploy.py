"""The files in `deploy/`: they parse, name options that exist, and leave more time than the server needs to stop."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("fastapi", reason="the server needs the extra serve")

import httpx

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROGRAM = [sys.executable, "-c", "import sys; from spear_accel.cli.main import run; sys.exit(run(sys.argv[1:]))"]


def options_of_serve() -> set[str]:
    shown = subprocess.run([*PROGRAM, "serve", "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(re.findall(r"--[a-z-]+", shown.stdout))


def words_of_docker(instruction: str) -> list[str]:
    found = re.search(rf"^{instruction} (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    words = yaml.safe_load(found[1])
    assert isinstance(words, list)
    return words


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "spear-accel.service")
    return parser


def test_every_file_names_options_that_there_are() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["spear-accel"]
    words = [*words_of_docker("CMD"), *service["command"], *shlex.split(unit()["Service"]["ExecStart"])]
    assert {word for word in words if word.startswith("--")} <= options_of_serve()
    assert words_of_docker("ENTRYPOINT") == ["spear-accel", "serve"]
    assert shlex.split(unit()["Service"]["ExecStart"])[1] == "serve"


def test_a_server_that_ends_is_started_again_and_has_time_to_stop() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["spear-accel"]
    assert service["restart"] == "unless-stopped" and unit()["Service"]["Restart"] == "always"
    drain = int(service["command"][service["command"].index("--drain") + 1])
    assert int(service["stop_grace_period"].removesuffix("s")) > drain
    words = shlex.split(unit()["Service"]["ExecStart"])
    assert int(unit()["Service"]["TimeoutStopSec"]) > int(words[words.index("--drain") + 1])


def test_the_image_copies_what_is_in_the_checkout() -> None:
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["spear-accel"]
    assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
    assert (DEPLOY / ".." / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"


@pytest.mark.slow
def test_a_killed_server_serves_again_on_the_same_port(shared_voice: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _ in range(2):
        server = start(shared_voice, port)
        try:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/v1/audio/speech", json={"input": "Hello.", "response_format": "pcm"}
            )
            assert answer.status_code == 200 and answer.content
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait(30)


def start(voice: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen([*PROGRAM, "serve", "--voice", str(voice), "--port", str(port)], env=environment)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.poll() is None
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not start in a minute")
