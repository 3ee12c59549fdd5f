"""Start a labhub container: prepare the account, run the hooks, drop every privilege, go on.

Started by start.sh as `python3 start COMMAND...`; README.md has the order of the steps. With the
command `labhub-wait` it waits for an owner first (`waiter.py`).
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(os.path.dirname(HERE), "operator_hooks"))


def main(words: list[str]) -> None:
    """Wait for an owner, or start for the one whom the environment names."""
    os.umask(0o022)
    if words[0] == "labhub-wait":
        import waiter  # noqa: PLC0415 # what is needed, and no more: imports are time

        waiter.wait(words[1:])
    import chain  # noqa: PLC0415

    chain.run_command(words)


main(sys.argv[1:])
