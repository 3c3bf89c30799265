"""`python -m canario.platforms.local --model NAME`: the supervisor as a process; `canario up` starts it."""

from __future__ import annotations

import argparse
import logging
import sys

from canario.errors import CanarioError
from canario.platforms.local.supervisor import supervise


def main() -> int:
    """Supervise one model; the exit code says how it ended."""
    parser = argparse.ArgumentParser(prog="python -m canario.platforms.local", description=__doc__)
    parser.add_argument("--model", required=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        supervise(parser.parse_args().model)
    except CanarioError as error:
        logging.getLogger(__name__).error("%s%s", error, f"; {error.hint}" if error.hint else "")  # noqa: TRY400 - the text says it all
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
