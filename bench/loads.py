#!/usr/bin/env python3
"""Loads beside which keys are echoed: each runs until SIGTERM and then prints how much it did.

  loads.py lists HOST PORT CA PATH     reads a whole list, page by page, again and again, on two connections
  loads.py flood SPEC                  prints a large file in a second terminal, again and again
The bearer comes on stdin."""
import http.client, json, os, signal, ssl, sys, threading

done = threading.Event()


def lists(host, port, ca, path):
    headers = {"Authorization": f"Bearer {sys.stdin.readline().strip()}"}
    context = ssl.create_default_context(cafile=ca)
    rows = [0, 0]

    def read(lane):
        door = http.client.HTTPSConnection(host, int(port), context=context)
        cursor = ""
        while not done.is_set():
            door.request("GET", f"{path}?limit=200{cursor}", headers=headers)
            answer = door.getresponse()
            page = json.loads(answer.read())
            if answer.status != 200:
                raise SystemExit(f"{answer.status} {page}")
            rows[lane] += len(page["items"])
            following = page.get("next_cursor")
            cursor = f"&cursor={following}" if following else ""

    threads = [threading.Thread(target=read, args=(lane,)) for lane in (0, 1)]
    return threads, lambda: {"rows": sum(rows)}


def flood(spec):
    import terminal
    target = terminal.WsSpec(spec)
    got = [0]

    def read():
        connection = target.open()
        terminal.ready(target, connection)
        while not done.is_set():
            connection.send(f"cat {target.file}; echo D''ONE_MARK\r".encode())
            tail = b""
            while not done.is_set() and b"DONE_MARK" not in tail:
                data = connection.recv(1)
                got[0] += len(data)
                tail = (tail + data)[-64:]
        connection.close()

    return [threading.Thread(target=read)], lambda: {"MB": round(got[0] / 1e6)}


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    threads, said = {"lists": lists, "flood": flood}[sys.argv[1]](*sys.argv[2:])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(said()))
