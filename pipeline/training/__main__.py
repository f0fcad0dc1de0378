"""The worker process: `python -m pipeline.training SPEC.json` trains one job and reports on stdout (see protocol.py).

Exit code 0 after Succeeded, Stopped or Failed; else one of deaths.py, 1 for a bug, with the traceback on stderr.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import msgspec

from pipeline.durable import read_file
from pipeline.errors import InputError
from pipeline.models import environment
from pipeline.models.exit_codes import exit_status
from pipeline.process.privacy import settle_process
from pipeline.training.examples import ExamplesError
from pipeline.training.journal import Journal
from pipeline.training.protocol import Failed, Report, decode_spec


def main(spec_file: Path) -> None:
    """Train the job that `spec_file` describes, until it has succeeded, failed, or stdin says stop."""
    settle_process()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole terminal; the server says stop if it means it
    reports = _claim_stdout()
    stop = threading.Event()
    threading.Thread(target=_obey_stdin, args=(stop,), daemon=True).start()
    encoder = msgspec.json.Encoder()

    def say(said: Report) -> None:
        os.write(reports, encoder.encode(said) + b"\n")

    spec = decode_spec(read_file(spec_file))
    report = Journal(spec.work_dir, say).report
    try:
        if spec.trainer == "scripted":
            from pipeline.training import scripted

            scripted.train(spec, report, stop)
        else:
            environment.require_libraries()
            environment.settle_worker()
            with environment.imported_for_good():
                from pipeline.training import lora

            lora.train(spec, report, stop)
    except ExamplesError as error:
        kind = error.param.removesuffix("_file")
        report(Failed(f"invalid_{error.param}", f"The job failed due to an invalid {kind} file. {error}", error.param))
    except InputError as error:
        report(Failed("invalid_input", str(error)))
    except Exception as error:  # noqa: BLE001  whatever it was, the log has it and the server is told in one number
        with contextlib.suppress(OSError):  # the log lies on the disk that may be full
            traceback.print_exc()
        os._exit(exit_status(error))


def _claim_stdout() -> int:
    """Keep stdout for reports: whatever libraries print from here on goes to stderr."""
    reports = os.dup(1)
    os.dup2(2, 1)
    return reports


def _obey_stdin(stop: threading.Event) -> None:
    """Pass on `stop`; at the end of file the server is gone, and nobody is left to work for."""
    with open(0, "rb", closefd=False) as stdin:  # a descriptor, not a path
        for line in stdin:
            if line.strip() == b"stop":
                stop.set()
    os._exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pipeline.training SPEC.json")
    main(Path(sys.argv[1]))
