"""In place of longscribe.deployments.run_host: does what an order's environment says."""

import json
import os
import socket
import sys
import time

if __name__ == "__main__":
    worker = socket.socket(fileno=int(sys.argv[sys.argv.index("--descriptor") + 1]))
    for line in worker.makefile("rb"):
        asked = json.loads(line)["environment"]
        if "KILL" in asked:
            os.kill(os.getpid(), int(asked["KILL"]))
            time.sleep(60)
        if "LEAVE" in asked:
            sys.exit(int(asked["LEAVE"]))
        answer = {"exit_code": int(asked.get("CODE", "0")), "stays": "GO" not in asked}
        worker.sendall(json.dumps(answer).encode() + b"\n")
