#!/usr/bin/env python3
"""Terminal peers bench: keystroke echo RTT, bulk output MB/s, memory per idle session, open-to-prompt time.

  terminal.py echo  TARGET... [--n 1000] [--gap-ms 2] [--rounds 10]   (all targets up together, interleaved blocks)
  terminal.py bulk  TARGET... [--file $BENCH_WORK/bulk.txt] [--runs 3]   (interleaved too)
  terminal.py idle  TARGET... [--sessions 100]
  terminal.py open  TARGET... [--n 20]
  terminal.py loaded TARGET --load NAME=COMMAND... (echo alone and beside each load, blocks in turn)
Targets: tcp pty socat-tls ssh ssh-jump sshx
         ws:SPEC.json  (any WebSocket terminal, ours; see WsSpec below)
Every target gives a shell (/bin/sh); the harness types `exec cat` (echo) or `cat FILE` (bulk) into it, so all do the same.
The client is blocking sockets + hand-made WebSocket frames: it costs ~10 us, no asyncio. Loopback only.
Everything started is killed by pid."""
import argparse, base64, json, os, pty, select, shutil, signal, socket, ssl, statistics as st, struct, subprocess, sys, time, re, fcntl, termios, urllib.request
W = os.environ.get("BENCH_WORK", "/var/tmp/muster-bench")
now = time.perf_counter
PROCS = []
ENV = dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm-256color", PS1="$ ")
def spawn(cmd, **k):
    k.setdefault("stdout", subprocess.DEVNULL); k.setdefault("stderr", subprocess.DEVNULL); k.setdefault("stdin", subprocess.DEVNULL)
    k.setdefault("env", ENV)
    p = subprocess.Popen(cmd, start_new_session=True, **k); PROCS.append(p); return p
def descend(pid):
    out = [pid]
    try:
        for t in os.listdir(f"/proc/{pid}/task"):
            for c in open(f"/proc/{pid}/task/{t}/children").read().split(): out += descend(int(c))
    except OSError: pass
    return out
def reap():
    for p in reversed(PROCS):
        ids = descend(p.pid)
        for i in ids:
            try: os.kill(i, signal.SIGKILL)
            except OSError: pass
        try: p.wait(3)
        except Exception: pass
    PROCS.clear()
def wait_port(port, t=20):
    e = now() + t
    while now() < e:
        try: socket.create_connection(("127.0.0.1", port), 1).close(); return
        except OSError: time.sleep(.05)
    raise SystemExit(f"port {port} did not open")
# ---------- connections
class FdConn:
    def __init__(s, r, w=None, proc=None): s.r, s.w, s.proc = r, w if w is not None else r, proc
    def send(s, b): os.write(s.w, b)
    def recv(s, timeout):
        if not select.select([s.r], [], [], timeout)[0]: return b""
        try: d = os.read(s.r, 1 << 18)
        except OSError: d = b""
        if not d: raise EOFError
        return d
    def close(s):
        for f in {s.r, s.w}:
            try: os.close(f)
            except OSError: pass
        if s.proc: s.proc.kill(); s.proc.wait(); PROCS.remove(s.proc) if s.proc in PROCS else None
class SockConn:
    def __init__(s, port, tls=False):
        s.s = socket.create_connection(("127.0.0.1", port)); s.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
            s.s = c.wrap_socket(s.s, server_hostname="localhost")
        s.tls = tls
    def send(s, b): s.s.sendall(b)
    def recv(s, timeout):
        if not (s.tls and s.s.pending()) and not select.select([s.s], [], [], timeout)[0]: return b""
        d = s.s.recv(1 << 18)
        if not d: raise EOFError
        return d
    def close(s): s.s.close()
class Ws(SockConn):
    """raw WebSocket; enc(bytes)->(opcode,payload) ; dec(opcode,payload)->bytes of terminal output (or b'')"""
    def __init__(s, port, path, headers=(), tls=False, host="127.0.0.1"):
        super().__init__(port, tls); s.buf = bytearray(); s.frag = b""; s.fop = 0
        h = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(), *headers]
        s.s.sendall(("\r\n".join(h) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in s.buf:
            d = SockConn.recv(s, 10)
            if not d: raise TimeoutError
            s.buf += d
        head, _, rest = bytes(s.buf).partition(b"\r\n\r\n"); s.buf = bytearray(rest)
        if b" 101 " not in head.split(b"\r\n")[0]: raise SystemExit("ws refused: " + head.decode(errors="replace")[:400])
    def frame(s, op, p):
        n = len(p)
        h = bytes([0x80 | op, 0x80 | n]) if n < 126 else struct.pack("!BBH", 0x80 | op, 0xFE, n) if n < 65536 else struct.pack("!BBQ", 0x80 | op, 0xFF, n)
        s.s.sendall(h + b"\0\0\0\0" + p)            # zero mask: legal, and free
    def msgs(s):
        b = s.buf; i = 0; L = len(b); out = []
        while L - i >= 2:
            n = b[i+1] & 127; k = i + 2
            if n == 126:
                if L - i < 4: break
                n = (b[i+2] << 8) | b[i+3]; k = i + 4
            elif n == 127:
                if L - i < 10: break
                n = int.from_bytes(b[i+2:i+10], "big"); k = i + 10
            if L - k < n: break
            op = b[i] & 15; p = bytes(b[k:k+n]); fin = b[i] & 128; i = k + n
            if op == 9: s.frame(10, p); continue
            if op == 8: raise EOFError(p)
            if op == 10: continue
            if op: s.fop = op; s.frag = p
            else: s.frag += p
            if fin: out.append((s.fop, s.frag))
        del b[:i]; return out
    def send(s, b): s.frame(*s.enc(b))
    def recv(s, timeout):
        if s.buf:
            m = s.msgs()
            if m: return b"".join(s.dec(o, p) for o, p in m)
        d = SockConn.recv(s, timeout)
        if not d: return b""
        s.buf += d
        return b"".join(s.dec(o, p) for o, p in s.msgs())
# ---------- targets: start() once, open() a session with a shell in it, server() pids
class T:
    shell = True
    names = ()
    def __init__(s): s.ps = []
    def run(s, cmd, **k): p = spawn(cmd, **k); s.ps.append(p); return p
    def pids(s):
        out = []
        for p in s.ps:
            for i in descend(p.pid):
                try: c = os.path.basename(os.readlink(f"/proc/{i}/exe"))
                except OSError: continue
                if c not in ("dash", "sh", "bash", "cat"): out.append(i)
        return out
class Tcp(T):
    shell = False
    up = None
    def start(s):
        if not (Tcp.up and Tcp.up.poll() is None): Tcp.up = s.run([W + "/tcpecho", "7001"]); wait_port(7001)
    def open(s): return SockConn(7001)
class Pty(T):
    def start(s): pass
    def open(s):
        m, sl = pty.openpty(); p = spawn(["/usr/bin/setsid", "-c", "/bin/sh"], stdin=sl, stdout=sl, stderr=sl); os.close(sl)
        return FdConn(m, proc=p)
def cert():
    if not os.path.exists(W + "/tls.pem"):
        subprocess.check_call(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost -keyout {W}/tls.key -out {W}/tls.crt 2>/dev/null && cat {W}/tls.key {W}/tls.crt > {W}/tls.pem", shell=True)
class SocatTls(T):
    def start(s): cert(); s.run(["socat", "-b", "65536", f"OPENSSL-LISTEN:7003,bind=127.0.0.1,reuseaddr,nodelay,fork,cert={W}/tls.pem,verify=0", "EXEC:/bin/sh,pty,setsid,ctty,stderr"]); time.sleep(.3)
    def open(s): return SockConn(7003, tls=True)
def sshkeys():   # needs: useradd -M -d $BENCH_WORK/home -s /bin/sh musterbench; usermod -p "*" musterbench (plain sh: no .bashrc in the way)
    d = W + "/ssh"; os.makedirs(d, exist_ok=True); os.makedirs("/run/sshd", exist_ok=True)
    for k in ("host", "id"):
        if not os.path.exists(f"{d}/{k}"): subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/{k}"])
    shutil.copy(d + "/id.pub", d + "/authorized_keys"); return d
SSHD = {}
def sshd(t, port):
    if port in SSHD and SSHD[port].poll() is None: t.ps.append(SSHD[port]); return
    d = sshkeys(); cfg = f"{d}/sshd_{port}.conf"
    open(cfg, "w").write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized_keys\nUsePAM no\nPermitRootLogin yes\nStrictModes no\nPidFile none\nMaxStartups 300\nMaxSessions 300\nPrintMotd no\nPrintLastLog no\n")
    SSHD[port] = t.run(["/usr/sbin/sshd", "-D", "-e", "-f", cfg]); wait_port(port)
def sshopts(): return ["-F", "none", "-i", W + "/ssh/id", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes"]
def piped(cmd):
    a, b = os.pipe(); c, e = os.pipe()
    p = spawn(cmd, stdin=a, stdout=e); os.close(a); os.close(e); return FdConn(c, b, p)
class Ssh(T):
    def start(s): sshd(s, 7022)
    def open(s): return piped(["ssh", *sshopts(), "-tt", "-p", "7022", "musterbench@127.0.0.1", "/bin/sh"])
class SshJump(T):
    def start(s): sshd(s, 7022); sshd(s, 7023)
    def open(s):
        o = " ".join(sshopts())
        return piped(["ssh", *sshopts(), "-o", f"ProxyCommand=ssh {o} -p 7022 -W %h:%p musterbench@127.0.0.1", "-tt", "-p", "7023", "musterbench@127.0.0.1", "/bin/sh"])
class Sshx(T):          # agent --gRPC--> server <--WebSocket-- client: the arrangement closest to ours (end-to-end AES-CTR kept)
    def start(s):
        s.run([W + "/cargo/bin/sshx-server", "--listen", "127.0.0.1", "--port", "7060", "--secret", "x"]); wait_port(7060)
        p = s.run([W + "/cargo/bin/sshx", "--server", "http://127.0.0.1:7060", "--shell", "/bin/sh", "-q"], stdout=subprocess.PIPE)
        url = p.stdout.readline().decode().strip(); s.name, s.key = re.search(r"/s/([^#]+)#(\S+)", url).groups(); s.key = s.key.split(",")[0]
        sys.path.append(next(iter(__import__("glob").glob(W + "/venv/lib/python3*/site-packages"))))
        import cbor2; from argon2.low_level import hash_secret_raw, Type
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        s.c = cbor2
        k = hash_secret_raw(s.key.encode(), b"This is a non-random salt for sshx.io, since we want to stretch the security of 83-bit keys!", 2, 19*1024, 1, 16, Type.ID)
        def seg(stream, off, data):
            e = Cipher(algorithms.AES(k), modes.CTR(struct.pack("!QQ", stream, off >> 4))).encryptor()
            return e.update(b"\0" * (off & 15) + data)[off & 15:]
        s.seg = seg
        e = Cipher(algorithms.AES(k), modes.CTR(b"\0"*16)).encryptor(); s.zeros = e.update(b"\0"*16)
    def open(s):
        w = Ws(7060, f"/api/s/{s.name}"); c = s.c; w.known = None; w.sid = None; w.off = 0; w.last = 0; w.lost = 0
        def enc(b):
            off = w.off; w.off += len(b); return 2, c.dumps({"data": [w.sid, s.seg(0x200000000, off, b), off]})
        # NB the input offset is per shell from 0
        def dec(o, p):
            m = c.loads(p); k = next(iter(m)); v = m[k]
            if k == "chunks":
                i, seq, ch = v; out = b""
                if i != w.sid: return b""
                if seq > w.last: w.lost += seq - w.last
                for d in ch:
                    out += s.seg(0x100000000 | i, seq, d); seq += len(d)
                w.last = seq; return out
            if k == "shells":
                ids = [x[0] for x in v]
                if w.known is None: w.known = set(ids); w.frame(2, c.dumps({"create": [0, 0]}))
                elif w.sid is None:
                    new = [x for x in ids if x not in w.known]
                    if new: w.sid = new[0]; w.frame(2, c.dumps({"subscribe": [w.sid, 0]}))
            elif k in ("error", "invalidAuth"): raise SystemExit(m)
            return b""
        w.enc, w.dec = enc, dec
        w.frame(2, c.dumps({"authenticate": [s.zeros, None]}))
        e = now() + 5
        while w.sid is None and now() < e: w.recv(.5)
        return w
class WsSpec(T):
    """ws:SPEC.json  {"start":[["cmd",..],..] (optional, run in order), "pids":[..] or "pidfiles":[..], "port":8443, "tls":true, "path":"/ws/terminal?node=n1", "headers":["Authorization: Bearer X"],
       "hello":[{"text":"..."}|{"hex":".."}], "in":{"kind":"raw"|"prefix"|"json","op":2,"prefix_hex":"00","template":{"type":"input","data":"$TEXT" or "$B64"}},
       "out":{"kind":"raw"|"prefix"|"json","prefix_hex":"00","match":{"type":"output"},"field":"data","b64":false}, "credit":{"every":262144,"json":{"type":"ack","bytes":262144}} (optional flow control; "$TOTAL" as a value = bytes received so far),
       "hello_cmd":["cmd",..] (optional: run before each open, outside the timing; its output replaces $TOKEN in the hello texts)}"""
    def __init__(s, path):
        super().__init__(); s.j = json.load(open(path))
        if "file" in s.j: s.file = s.j["file"]     # where the bulk file stands on the other side
    def start(s):
        for c in s.j.get("start", []): s.run(c)
        wait_port(s.j["port"])
        for p in s.j.get("pids", []) + [int(open(f).read()) for f in s.j.get("pidfiles", [])]:
            class P: pass
            q = P(); q.pid = p; s.ps.append(q)      # measured, not killed
    def token(s): return subprocess.check_output(s.j["hello_cmd"], text=True).strip()
    def prepare(s):                                 # called by `open` before the clock starts
        if s.j.get("hello_cmd"): s.tokens = [s.token()]
    def open(s):
        j = s.j; tok = s.tokens.pop() if getattr(s, "tokens", None) else (s.token() if j.get("hello_cmd") else "")
        w = Ws(j["port"], j["path"], j.get("headers", []), j.get("tls", False)); i, o, cr = j["in"], j["out"], j.get("credit"); w.acc = w.total = 0
        pre = bytes.fromhex(i.get("prefix_hex", "")); opre = bytes.fromhex(o.get("prefix_hex", "")); op = i.get("op", 2)
        if i["kind"] == "json":
            tpl = json.dumps(i["template"])
            w.enc = lambda b: (op, tpl.replace('"$TEXT"', json.dumps(b.decode(errors="replace"))).replace("$B64", base64.b64encode(b).decode()).encode())
        else: w.enc = lambda b: (op, pre + b)
        def dec(k, p):
            if o["kind"] == "json":
                m = json.loads(p)
                if any(m.get(a) != b for a, b in o.get("match", {}).items()): return b""
                d = m[o["field"]]; d = base64.b64decode(d) if o.get("b64") else d.encode()
            else:
                if k != o.get("op", 2) or not p.startswith(opre): return b""
                d = p[len(opre):]
            if cr:
                w.acc += len(d); w.total += len(d)
                while w.acc >= cr["every"]: w.acc -= cr["every"]; w.frame(1, json.dumps(cr["json"]).replace('"$TOTAL"', str(w.total)).encode())
            return d
        w.dec = dec
        for h in j.get("hello", []): w.frame(1, h["text"].replace("$TOKEN", tok).encode()) if "text" in h else w.frame(2, bytes.fromhex(h["hex"]))
        return w
TARGETS = {"tcp": Tcp, "pty": Pty, "socat-tls": SocatTls, "ssh": Ssh, "ssh-jump": SshJump, "sshx": Sshx}
def target(n): return WsSpec(n[3:]) if n.startswith("ws:") else TARGETS[n]()
# ---------- measuring
def drain(c, quiet=.15, most=5):
    e = now() + most; b = b""
    while now() < e:
        d = c.recv(quiet)
        if not d and not getattr(c, "buf", None): break
        b += d
    return b
def until(c, mark, most, keep=False):
    e = now() + most; tail = b""; n = 0
    while now() < e:
        d = c.recv(2)
        if not d: continue
        n += len(d); tail = tail[-64:] + d
        if mark in tail: return n
    raise TimeoutError(f"no {mark!r}; got {n} bytes; tail {tail[-200:]!r}")
def ready(t, c):
    if t.shell: c.send(b"PS1=; echo REA''DY\r"); until(c, b"READY", 15); drain(c, .05)
def busy():
    f = [int(x) for x in open("/proc/stat").readline().split()[1:9]]; return (sum(f) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK")
def pct(a, p): a = sorted(a); return a[min(len(a) - 1, int(len(a) * p))]
CH = b"QZXJKVWY"
class Lane:
    def __init__(s, name, t, a):
        s.name, s.t, s.a, s.k, s.stale, s.meds, s.xs, s.err = name, t, a, 0, 0, [], [], None
        s.c = t.open(); ready(t, s.c)
        if t.shell: s.c.send(b"exec cat\r"); time.sleep(.2); drain(s.c, .1)
    def block(s, n, gap):
        xs = []; c = s.c
        if s.t.shell: c.send(b"\x15"); drain(c, .05)      # ^U: forget the line (no output line is made, so nothing stale can look like an echo)
        for i in range(n + 10):
            ch = CH[s.k % 8:s.k % 8 + 1]; s.k += 1
            if gap: time.sleep(gap)
            if c.recv(0): s.stale += 1
            t0 = now(); c.send(ch)
            while True:
                d = c.recv(2)
                if ch in d: break
                if not d and now() - t0 > 2: raise TimeoutError("echo lost")
            if i >= 10: xs.append((now() - t0) * 1e6)
            if s.t.shell and i % 70 == 69: c.send(b"\x15"); drain(c, .05)
        s.xs += xs; s.meds.append(st.median(xs))
def echo(names, a):
    """all targets are up at once and take turns, block by block: drift of the machine hits all alike"""
    lanes = []
    try:
        for n in names:
            t = target(n)
            try: t.start(); lanes.append(Lane(n, t, a))
            except (Exception, SystemExit) as e: print(json.dumps(dict(mode="echo", target=n, error=f"{type(e).__name__}: {e}"[:300])), flush=True)
        per = max(1, a.n // a.rounds)
        for r in range(a.rounds):
            for l in lanes[r % len(lanes):] + lanes[:r % len(lanes)]:
                if l.err: continue
                try: l.block(per, a.gap_ms / 1000)
                except Exception as e: l.err = f"{type(e).__name__}: {e}"
        for l in lanes:
            if l.err: print(json.dumps(dict(mode="echo", target=l.name, error=l.err)), flush=True); continue
            q = sorted(l.meds)
            print(json.dumps(dict(mode="echo", target=l.name, gap_ms=a.gap_ms, n=len(l.xs), rounds=a.rounds, median_us=round(st.median(l.xs), 1), round_medians=[round(q[len(q)//4], 1), round(q[-1-len(q)//4], 1)], p90_us=round(pct(l.xs, .9), 1), p99_us=round(pct(l.xs, .99), 1), min_us=round(min(l.xs), 1), stale=l.stale)), flush=True)
    finally: reap()
def loaded(name, a):
    """one target, echoed alone and beside each load; blocks take turns, so that drift of the machine hits all alike"""
    loads = [("quiet", None)] + [(l.partition("=")[0], l.partition("=")[2]) for l in a.load]; token = sys.stdin.readline()
    try:
        t = target(name); t.start(); lane = Lane(name, t, a); rows = {n: ([], []) for n, _ in loads}
        for r in range(a.rounds):
            for n, cmd in loads[r % len(loads):] + loads[:r % len(loads)]:
                p = None
                if cmd:
                    p = spawn(cmd, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE); p.stdin.write(token.encode()); p.stdin.close(); time.sleep(1)
                lane.xs = []; lane.block(max(1, a.n // a.rounds), a.gap_ms / 1000); rows[n][0].extend(lane.xs)
                if p:
                    os.killpg(p.pid, signal.SIGTERM); rows[n][1].append(p.stdout.read().decode().strip()); p.wait()
        for n, (xs, said) in rows.items():
            print(json.dumps(dict(mode="loaded", target=n, gap_ms=a.gap_ms, n=len(xs), median_us=round(st.median(xs), 1), p90_us=round(pct(xs, .9), 1), p99_us=round(pct(xs, .99), 1), load="; ".join(said))), flush=True)
    finally: reap()
def bulk(names, a):
    """all targets up at once; each round every target moves the file once, order rotated"""
    ts, res = [], {}
    try:
        for n in names:
            t = target(n)
            try: t.start(); ts.append((n, t)); res[n] = []
            except (Exception, SystemExit) as e: print(json.dumps(dict(mode="bulk", target=n, error=f"{type(e).__name__}: {e}"[:300])), flush=True)
        size = os.path.getsize(a.file); bad = {}
        for r in range(a.runs):
            for n, t in ts[r % len(ts):] + ts[:r % len(ts)]:
                c = None
                try:
                    c = t.open(); ready(t, c); b0 = busy(); u0 = time.process_time(); t0 = now()
                    c.send(f"cat {getattr(t, 'file', a.file)}; echo D''ONE_MARK\r".encode()); k = until(c, b"DONE_MARK", a.most)
                    w = now() - t0; u = time.process_time() - u0; res[n].append((size / w / 1e6, busy() - b0 - u, k, getattr(c, "lost", 0)))
                except Exception as e: bad.setdefault(n, []).append(f"{type(e).__name__}: {e}"[:160])
                finally:
                    if c: c.close()
                time.sleep(.3)
        for n, _ in ts:
            o = res[n]; m = [x[0] for x in o]
            print(json.dumps(dict(mode="bulk", target=n, file_MB=round(size / 1e6), runs=len(o), **(dict(MBps=round(st.median(m), 1), spread=[round(min(m), 1), round(max(m), 1)], path_cpu_s=round(st.median(x[1] for x in o), 2), bytes_got=o[-1][2], bytes_skipped=sum(x[3] for x in o)) if o else {}), failed=bad.get(n, []))), flush=True)
    finally: reap()
def mem(pids):
    r = p = 0
    for i in pids:
        try:
            s = open(f"/proc/{i}/smaps_rollup").read(); r += int(re.search(r"Rss:\s+(\d+)", s)[1]); p += int(re.search(r"Pss:\s+(\d+)", s)[1])
        except (OSError, TypeError): pass
    return r / 1024, p / 1024
def idle(t, a):
    time.sleep(.5); c = t.open(); ready(t, c); c0 = [c]; m1 = mem(t.pids()); n1 = len(t.pids())
    t0 = now(); cs = []
    for i in range(a.sessions - 1): c = t.open(); ready(t, c); cs.append(c)
    op = now() - t0; time.sleep(1); pids = t.pids(); m = mem(pids)
    b0 = sum(cpu(i) for i in pids); time.sleep(10); b1 = sum(cpu(i) for i in pids)
    for c in cs + c0: c.close()
    return dict(sessions=a.sessions, server_procs=len(pids), rss_MB_1=round(m1[0], 1), pss_MB_1=round(m1[1], 1), rss_MB=round(m[0], 1), pss_MB=round(m[1], 1), pss_MB_per_session=round((m[1] - m1[1]) / (a.sessions - 1), 3), open_s_total=round(op, 2), idle_cpu_pct=round((b1 - b0) * 10, 2))
def cpu(i):
    try: f = open(f"/proc/{i}/stat").read().rpartition(")")[2].split(); return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")
    except OSError: return 0
def opn(t, a):
    xs = []
    for i in range(a.n):
        getattr(t, "prepare", lambda: None)(); t0 = now(); c = t.open(); c.send(b"PS1=; echo REA''DY\r") if t.shell else c.send(b"READY"); until(c, b"READY", 15); xs.append((now() - t0) * 1e3); c.close(); time.sleep(.05)
    return dict(n=a.n, open_to_first_output_ms_median=round(st.median(xs), 2), p99=round(pct(xs, .99), 2))
if __name__ == "__main__":
    ap = argparse.ArgumentParser(); ap.add_argument("mode", choices=["echo", "bulk", "idle", "open", "loaded"]); ap.add_argument("targets", nargs="+")
    ap.add_argument("--n", type=int); ap.add_argument("--gap-ms", type=float, default=2); ap.add_argument("--runs", type=int, default=3); ap.add_argument("--rounds", type=int, default=10); ap.add_argument("--file", default=W + "/bulk.txt"); ap.add_argument("--sessions", type=int, default=100); ap.add_argument("--most", type=float, default=120)
    ap.add_argument("--load", action="append", default=[])
    a = ap.parse_args(); a.n = a.n or (1000 if a.mode in ("echo", "loaded") else 20)
    if a.mode == "loaded": loaded(a.targets[0], a); sys.exit()
    if a.mode in ("echo", "bulk"): {"echo": echo, "bulk": bulk}[a.mode](a.targets, a); sys.exit()
    for n in a.targets:
        t = target(n)
        try: t.start(); r = {"idle": idle, "open": opn}[a.mode](t, a)
        except (Exception, SystemExit) as e: r = dict(error=f"{type(e).__name__}: {e}"[:300])
        finally: reap()
        print(json.dumps({"mode": a.mode, "target": n, **r}), flush=True)
