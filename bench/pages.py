#!/usr/bin/env python3
"""Figures of pages as they are loaded for the first time, in a headless Chromium whose CPU is slowed down, against a
demo with three nodes. One line a page: of each time the median of several cold loads and the least.

  bench/pages.py [--bins target/debug] [--runs 5] [--slower 4]

kB: all that came over the wire, compressed, with heads. fcp, lcp: the first and the largest paint. shown: heading and
data stand. tbt: what long tasks took beyond 50 ms each, from fcp to tti. tti: shown, and the last long task before two
seconds without one is over."""
import argparse, pathlib, subprocess
from fleet import ROOT, Demo


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bins", type=pathlib.Path, default=ROOT / "target/debug")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slower", type=float, default=4)
    args = parser.parse_args()
    demo = Demo(args.bins, 3)
    try:
        subprocess.run(["node", ROOT / "bench/pages.mjs", demo.dir / "ready.json", str(args.runs), str(args.slower)], check=True)
    finally:
        demo.stop()


if __name__ == "__main__":
    main()
