"""verify.py HOST: print what /health says through Caddy, and the local authority's certificate if that vouches."""

import http.client
import json
import socket
import ssl
import sys
import time
from pathlib import Path

host = sys.argv[1]
root = Path("/srv/sekha/caddy/pki/authorities/local/root.crt")


def ask(context: ssl.SSLContext) -> tuple[int, str]:
    """Status and body of https://HOST/health, asked of the container `caddy`."""
    connection = http.client.HTTPSConnection(host, timeout=10, context=context)
    plain = socket.create_connection(("caddy", 443), timeout=10)
    connection.sock = context.wrap_socket(plain, server_hostname=host)
    connection.request("GET", "/health", headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


end = time.monotonic() + 60
while True:
    try:
        pem = root.read_text() if root.exists() else ""
        try:
            status, body = ask(ssl.create_default_context())
            pem = ""
        except ssl.SSLCertVerificationError:
            status, body = ask(ssl.create_default_context(cadata=pem))
        if status == 200:
            break
        problem = f"{status} {body}"
    except OSError as error:
        problem = str(error)
    if time.monotonic() > end:
        sys.exit(f"https://{host}/health: {problem}")
    time.sleep(0.5)
print(json.dumps({"health": json.loads(body), "ca": pem}))
