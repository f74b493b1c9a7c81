"""Starts real tracking servers, MLflow's own on SQLite or PostgreSQL, kills and restarts them, and spoils the line.

All listen on this machine alone and are stopped by their process ids.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
INITDB = BINARIES[-1] if BINARIES else shutil.which("initdb")
# On Debian: apt-get install postgresql.
NO_POSTGRES = (
    "PostgreSQL is not installed, so no tracking server on it was tested"
    if not INITDB
    else ""
    if importlib.util.find_spec("psycopg2")
    else "psycopg2 is not installed"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def unprivileged() -> dict[str, object]:
    """Returns the user for PostgreSQL, which does not run as root: root starts it as the user that came with it."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def postgresql() -> Iterator[str]:
    """Starts a PostgreSQL server, and yields the address of its empty database."""
    # Of its own user, and with a short path, since a socket's name has 107 characters at most.
    folder = Path(f"/tmp/ganbench-postgres-{os.getpid()}")
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    port, binaries = free_port(), Path(INITDB).parent
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **unprivileged()}
    server = None
    try:
        options = ["-D", folder / "data", "-A", "trust", "-U", "tester", "--no-sync"]
        subprocess.run([binaries / "initdb", *options], check=True, **quiet)
        where = ["-h", "127.0.0.1", "-p", str(port), "-k", folder]
        server = subprocess.Popen([binaries / "postgres", "-D", folder / "data", "-F", *where], **quiet)
        for _ in range(200):
            if not subprocess.run([binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], **quiet).returncode:
                break
            time.sleep(0.1)
        yield f"postgresql+psycopg2://tester@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


class MlflowServer:
    """An MLflow server on a store, with its artifacts in a folder. A restart keeps its address."""

    def __init__(self, store: str, folder: Path) -> None:
        self.store, self.folder, self.port = store, folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it, and returns once it answers."""
        words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--workers", "1", "--backend-store-uri", self.store]
        words += ["--artifacts-destination", str(self.folder / "store")]
        log = self.folder / "server.log"
        with open(log, "ab") as said:
            self.process = subprocess.Popen(words, stdout=said, stderr=said, start_new_session=True)
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
                return
            except OSError:
                assert self.process.poll() is None, log.read_text()
                time.sleep(0.1)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the server and its workers: everything in its session of processes."""
        if self.running:
            os.killpg(self.process.pid, how)
            self.process.wait(60)


class BadLine:
    """A proxy before a server that passes requests on, answers them with errors, or takes its time.

    mode: "pass"; "error", which answers 500 without asking the server; "lost", which asks it and then answers 500, so
    that what arrived is not known to have arrived; "slow", which waits for `seconds` before each answer.
    """

    def __init__(self, target: str, seconds: float = 0.0) -> None:
        self.target, self.mode, self.seconds = target, "pass", seconds
        self.seen: dict[str, int] = {}
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                mode = line.mode
                line.seen[mode] = line.seen.get(mode, 0) + 1
                if mode == "slow":
                    time.sleep(line.seconds)
                status, headers, data = (500, {}, b"no") if mode == "error" else line.passed(self, body)
                if mode == "lost":
                    status, headers, data = 500, {}, b"lost"
                self.send_response(status)
                for name in ("Content-Type", "Content-Disposition"):
                    if name in headers:
                        self.send_header(name, headers[name])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def passed(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        skipped = ("host", "content-length", "connection", "accept-encoding")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in skipped}
        asked = urllib.request.Request(
            self.target + request.path, data=body or None, headers=headers, method=request.command
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()
        except OSError:
            return 502, {}, b"gone"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
