#!/usr/bin/env python3
"""What one flooding terminal does to the others, in one run: echo of a quiet terminal without and with a flood
beside it, block by block in turns, and how soon Ctrl-C is felt in the flooding shell. Beside it, in the same run
and under the same flood, the echo of a local PTY: what the flood costs any process of this machine.

  bench/flood.py [--n 200] [--rounds 6] [--interrupts 100] [--bins target/release]
"""
import argparse, importlib, json, os, pathlib, statistics, sys, time

os.environ.setdefault("BENCH_WORK", "/var/tmp/muster-bench")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
terminal, run = importlib.import_module("terminal"), importlib.import_module("run")


class Flood:
    """A terminal whose shell prints as fast as it is read. A process of its own reads it, so that the reader's
    Python does not hold up the one that measures."""

    def __init__(self, target):
        self.reader = os.fork()
        if self.reader == 0:
            conn = target.open()
            terminal.ready(target, conn)
            conn.send(b"cat bulk.txt bulk.txt bulk.txt bulk.txt bulk.txt bulk.txt bulk.txt bulk.txt\r")
            while True:
                conn.recv(2)
        time.sleep(1.5)

    def end(self):
        os.kill(self.reader, 9)
        os.waitpid(self.reader, 0)


def interrupts(target, count):
    """From Ctrl-C to the shell's next words, which come behind all that was in flight: an upper bound."""
    conn, took = target.open(), []
    terminal.ready(target, conn)
    for number in range(count):
        mark = b"BACK%d" % number
        # The shell says so itself once `yes` is gone; the words are not in what the terminal echoes.
        conn.send(b"yes 0123456789012345678901234567890123456789; echo BA''CK%d\r" % number)
        terminal.until(conn, b"0123456789\r\n0123456789", 10)
        seen = 0
        while seen < 4 << 20:
            seen += len(conn.recv(2))
        began = terminal.now()
        conn.send(b"\x03")
        conn.send(b"echo BA''CK%d\r" % number)
        terminal.until(conn, mark, 10)
        took.append((terminal.now() - began) * 1e3)
        terminal.drain(conn, .05)
    conn.close()
    return took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--interrupts", type=int, default=100)
    parser.add_argument("--bins")
    args = parser.parse_args()
    if args.bins:
        run.BINS = pathlib.Path(args.bins).resolve()
        run.MUSTER = str(run.BINS / "muster")
    world = run.World("flood")
    try:
        (noisy, _), (quiet, _) = run.launch(world), run.launch(world)
        script = "for i in $(seq 400000); do echo \"$i step loss=0.123456 lr=3.0e-04 tokens/s=0123456 gpu0=97% ok\"; done > bulk.txt"
        run.run(run.MUSTER, "exec", noisy, "--", "sh", "-c", script, env=world.env)
        # The minter of tokens runs the command line, which finds its profile in the environment.
        os.environ.update({key: world.env[key] for key in ("MUSTER_CONFIG_DIR", "PATH")})
        noisy, quiet = [terminal.target(spec(world, allocation)) for allocation in (noisy, quiet)]
        for target in (noisy, quiet):
            target.start()
        lanes = {"muster": terminal.Lane("muster", quiet, args), "pty": terminal.Lane("pty", terminal.target("pty"), args)}
        taken = {name: {False: [], True: []} for name in lanes}
        for _ in range(args.rounds):
            for flooding in (False, True):
                flood = Flood(noisy) if flooding else None
                for name, lane in lanes.items():
                    lane.xs = []
                    lane.block(args.n, 0.002)
                    taken[name][flooding] += lane.xs
                if flood:
                    flood.end()
                    time.sleep(0.5)
        rows = {}
        for name, both in taken.items():
            for flooding, xs in both.items():
                rows[name, flooding] = terminal.pct(xs, .99)
                print(json.dumps(dict(target=name, flood=flooding, n=len(xs), median_us=round(statistics.median(xs), 1),
                    p90_us=round(terminal.pct(xs, .9), 1), p99_us=round(terminal.pct(xs, .99), 1))), flush=True)
        ratios = {name: round(rows[name, True] / rows[name, False], 2) for name in lanes}
        print(json.dumps(dict(echo_p99_flood_over_quiet=ratios)), flush=True)
        took = interrupts(noisy, args.interrupts)
        print(json.dumps(dict(interrupt_ms=dict(n=len(took), median=round(statistics.median(took), 2),
            p99=round(terminal.pct(took, .99), 2), max=round(max(took), 2)))), flush=True)
    finally:
        world.stop()


def spec(world, allocation):
    """`run.spec` writes one file; two targets need two."""
    made = pathlib.Path(run.spec(world, allocation)[3:])
    own = made.with_name(f"{allocation}.json")
    text = made.read_text()
    minter = world.dir / f"mint-{allocation}"
    (world.dir / "mint").rename(minter)
    own.write_text(text.replace(str(world.dir / "mint"), str(minter)))
    return f"ws:{own}"


if __name__ == "__main__":
    main()
