"""Runs each timed loop in a process of its own, because allocator settings hold for a whole process.

The parent asks and waits, so that one loop runs at a time. It needs no torch.
"""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import plugins
from benchmarks.timing.cases import Case
from variants.recipe import UserError

# Seconds that a process has to end; chosen, not tuned.
_END_SECONDS = 10.0


class Process:
    """Holds a contestant, named by its class in a module of `benchmarks.timing`, in a process of its own."""

    def __init__(self, contestant: str, case: Case, module: str = "contestants") -> None:
        context = get_context("spawn")
        self._what = f"{contestant} of {case.name}"
        self._pipe, theirs = context.Pipe()
        # It ends when its pipe does.
        self._process = context.Process(target=_serve, args=(theirs, module, contestant, case, tuple(plugins.FILES)))
        try:
            self._process.start()
        finally:
            theirs.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the contestant. Raises UserError where it does, and where the process is gone."""
        self.send(method, *arguments)
        return self.receive()

    def send(self, method: str, *arguments: Any) -> None:
        with suppress(OSError):  # `receive` reports a process that is gone
            self._pipe.send((method, arguments))

    def receive(self) -> Any:
        try:
            good, result = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(_END_SECONDS)
            raise UserError(
                f"the process that timed {self._what} ended unexpectedly, with exit status {self._process.exitcode}"
            ) from None
        if not good:
            raise UserError(result)
        return result

    def end(self) -> None:
        self._pipe.close()
        for end in (lambda: None, self._process.terminate, self._process.kill):
            end()
            self._process.join(_END_SECONDS)
            if not self._process.is_alive():
                return


def _serve(pipe: Connection, module: str, contestant: str, case: Case, files: Sequence[plugins.PluginFile]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if case.threads:
        # For what reads it when it is imported; torch is told below.
        os.environ["OMP_NUM_THREADS"] = str(case.threads)
    there: Any = None
    with suppress(EOFError, OSError):
        while True:
            method, arguments = pipe.recv()
            try:
                if there is None:
                    import torch

                    if case.threads:
                        torch.set_num_threads(case.threads)
                    plugins.adopt(files)
                    there = getattr(import_module(f"benchmarks.timing.{module}"), contestant)(case)
                answer = (True, getattr(there, method)(*arguments))
            except UserError as refused:
                answer = (False, str(refused))
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                answer = (False, f"{contestant} of {case.name} failed: {str(error) or type(error).__name__}")
            pipe.send(answer)
