#!/usr/bin/env python3
"""Long lists in the consoles: a demo with many nodes and allocations in its database, whose pages a headless Chromium
scrolls to the end and filters. One line of figures a list.

  bench/lists.py [--bins target/debug] [--nodes 5000] [--allocations 10000] [--changes 0]

--changes: how many times a second one of the nodes is cordoned or opened meanwhile, so that the pages follow changes."""
import argparse, pathlib, subprocess, sys, threading
from fleet import ROOT, Demo, post


class Changes:
    """Cordons a node of the list and opens it again, so many times a second."""

    def __init__(self, demo, rate):
        self.done, self.made = threading.Event(), 0
        node = f"{demo.url('operator')}/api/v1/admin/nodes/{demo.ready['pids']['agents'][0]['node_id']}"
        token = demo.bearer("operator")

        def act():
            while not self.done.wait(1 / rate):
                post(f"{node}/{('cordon', 'uncordon')[self.made % 2]}", {}, token)
                self.made += 1

        self.thread = threading.Thread(target=act)
        if rate:
            self.thread.start()

    def end(self):
        self.done.set()
        if self.made:
            self.thread.join()


def release_one(demo):
    """An allocation that is over: what the others are copies of."""
    token = demo.bearer("user")
    launched = post(f"{demo.url('user')}/api/v1/allocations", {"sku": "h100", "command": ["true"], "release_on_exit": True}, token)
    return launched["allocation_ids"][0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bins", type=pathlib.Path, default=ROOT / "target/debug")
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--allocations", type=int, default=10_000)
    parser.add_argument("--changes", type=float, default=0)
    args = parser.parse_args()
    demo = Demo(args.bins, 1)
    changes = None
    try:
        release_one(demo)
        database = pathlib.Path(demo.ready["data_dir"]) / "muster.db"
        subprocess.run([args.bins / "muster-seed", database, str(args.nodes), str(args.allocations)], check=True, stdout=sys.stderr)
        changes = Changes(demo, args.changes)
        script = ["node", ROOT / "bench/lists.mjs", demo.dir / "ready.json", str(args.nodes + 1), str(args.allocations + 1)]
        subprocess.run(script, check=True)
    finally:
        if changes:
            changes.end()
        demo.stop()


if __name__ == "__main__":
    main()
