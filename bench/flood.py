#!/usr/bin/env python3
"""What one flooding terminal does to the others, in one run: echo of a quiet terminal without and with a flood
beside it, block by block in turns, and how soon Ctrl-C is felt in the flooding shell. Beside it, in the same run
and under the same flood, the echo of a local PTY: what the flood costs any process of this machine.

  bench/flood.py [--n 200] [--rounds 6] [--interrupts 100] [--bins target/release]
"""
import argparse, importlib, json, os, pathlib, statistics, sys, time

os.environ.setdefault("BENCH_WORK", "/var/tmp/muster-bench")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
terminal, fleet = importlib.import_module("terminal"), importlib.import_module("fleet")


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
    parser.add_argument("--bins", default=fleet.ROOT / "target/release")
    args = parser.parse_args()
    demo = fleet.Demo(args.bins, 1)
    try:
        bearer = demo.bearer("user")
        noisy, quiet = launch(demo, bearer), launch(demo, bearer)
        noisy, quiet = [terminal.WsSpec(spec(demo, bearer, allocation)) for allocation in (noisy, quiet)]
        for target in (noisy, quiet):
            target.start()
        filled = noisy.open()
        terminal.ready(noisy, filled)
        filled.send(b"seq -f '%.0f step loss=0.123456 lr=3.0e-04 tokens/s=0123456 gpu0=97%% ok' 400000 > bulk.txt; echo FIL''LED\r")
        terminal.until(filled, b"FILLED", 60)
        filled.close()
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
        demo.stop()


def launch(demo, bearer):
    made = fleet.post(demo.url("user") + "/api/v1/allocations", {"sku": "h100", "ssh_key_ids": []}, bearer)
    request = fleet.urllib.request.Request(demo.url("user") + f"/api/v1/allocations/{made['allocation_ids'][0]}",
        headers={"Authorization": f"Bearer {bearer}"})
    while True:
        with fleet.urllib.request.urlopen(request) as answer:
            item = json.load(answer)
        if item["state"] == "active":
            return item["id"]
        time.sleep(0.05)


def spec(demo, bearer, allocation):
    """A target for terminal.py: its token is minted before each open, outside the timing."""
    minter = demo.dir / f"mint-{allocation}"
    minter.write_text(f"#!/bin/sh\nexec curl -s -X POST -H 'Content-Type: application/json' -H 'Authorization: Bearer {bearer}' "
        f"-d '{{}}' {demo.url('user')}/api/v1/allocations/{allocation}/terminal-token "
        "| sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/'\n")
    minter.chmod(0o700)
    path = demo.dir / f"{allocation}.json"
    path.write_text(json.dumps({
        "port": int(demo.url("user").rsplit(":", 1)[1]), "path": f"/ws/terminal/{allocation}", "hello_cmd": [str(minter)],
        "hello": [{"text": '{"t":"auth","token":"$TOKEN","cols":80,"rows":24}'}],
        "in": {"kind": "raw", "op": 2}, "out": {"kind": "raw", "op": 2},
        "credit": {"every": 131072, "json": {"t": "ack", "output": "$TOTAL"}}}))
    return str(path)


if __name__ == "__main__":
    main()
