"""`make proof-bucket-key`: what the machine's key can and can't do at the bucket, tried on the machine, with its key.

On the running local stack (make up). Requests are signed by the machine's own code (stage 0), so nothing is installed
there and the key never leaves it.
"""

from __future__ import annotations

import json
import shlex

from infra import object_store
from infra.object_store import Store, StoreConfig
from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.show import json_line, table
from ops.up import ssh_command
from proof.entry import finish
from proof.machine import remote
from proof.operator_copy import outputs

NODE = "sekha-local-1"
POLICY = '{"Version":"2012-10-17","Statement":[]}'
VERSIONING = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
LIFECYCLE = (
    "<LifecycleConfiguration><Rule><ID>x</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>"
    "<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
)
ACL = (
    "<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList><Grant><Grantee "
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>x</ID></Grantee>'
    "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
)
# On the machine: reads [[operation, method, path, query, body], ...] and answers with the HTTP statuses. The query is
# part of what is signed, so the path is signed here and not by Bucket.open.
PROGRAM = """
import json, sys, urllib.error, urllib.parse, urllib.request
sys.path.insert(0, "/usr/local/lib/sekha-deploy/stage0")
from sekha_stage0.bucket import connect
import datetime, hashlib, hmac
config, bucket = connect()
def call(method, key, query, body):
    path = urllib.parse.quote(bucket.prefix + ("/" + key if key else ""), safe="/-_.~")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    digest, scope = hashlib.sha256(body).hexdigest(), now[:8] + "/" + bucket.region + "/s3/aws4_request"
    access, secret, more = bucket.keys()
    headers = {"host": bucket.host, "x-amz-content-sha256": digest, "x-amz-date": now, **more}
    lines = "".join(k + ":" + v + "\\n" for k, v in headers.items())
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    asked = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
    text = "\\n".join((method, path, asked, lines, ";".join(headers), digest))
    mac = b"AWS4" + secret.encode()
    final = "AWS4-HMAC-SHA256\\n" + now + "\\n" + scope + "\\n" + hashlib.sha256(text.encode()).hexdigest()
    for part in (*scope.split("/"), final):
        mac = hmac.digest(mac, part.encode(), "sha256")
    headers["Authorization"] = ("AWS4-HMAC-SHA256 Credential=" + access + "/" + scope + ", SignedHeaders="
        + ";".join(k for k in headers) + ", Signature=" + mac.hex())
    url = bucket.scheme + "://" + bucket.host + path + ("?" + asked if asked else "")
    request = urllib.request.Request(url, body or None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20, context=bucket.tls) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps([call(m, k, q, b.encode()) for _, m, k, q, b in json.loads(sys.stdin.readline())]))
"""
NO_SUCH_OPERATION = 501
Case = tuple[str, str, str, str, str]


def cases(agent: str, version: str, beacon: str) -> list[tuple[bool, Case]]:
    """(allowed?, (operation, method, key, query, body)); `agent`: a release file, `version`: an old status
    of the node, `beacon`: its present one."""
    may, must_not = True, False
    return [
        (may, ("read a release file", "GET", f"releases/files/{agent}", "", "")),
        (may, ("read its desired state", "GET", f"desired/{NODE}", "", "")),
        (may, ("write its status", "PUT", f"status/{NODE}", "", beacon)),
        (may, ("write a backup", "PUT", "backups/proof", "", "x")),
        (may, ("read a backup", "GET", "backups/proof", "", "")),
        (may, ("list the bucket", "GET", "", "list-type=2&max-keys=1", "")),
        (may, ("expire a backup (its version stays)", "DELETE", "backups/proof", "", "")),
        (must_not, ("write a release file", "PUT", f"releases/files/{agent}", "", "x")),
        (must_not, ("delete a release file", "DELETE", f"releases/files/{agent}", "", "")),
        (must_not, ("write its desired state", "PUT", f"desired/{NODE}", "", "{}")),
        (must_not, ("delete its desired state", "DELETE", f"desired/{NODE}", "", "")),
        (must_not, ("read another node's desired state", "GET", "desired/another", "", "")),
        (must_not, ("write another node's status", "PUT", "status/another", "", "{}")),
        (must_not, ("delete its status", "DELETE", f"status/{NODE}", "", "")),
        (must_not, ("read the generations", "GET", f"generations/{NODE}", "", "")),
        (must_not, ("write the generations", "PUT", f"generations/{NODE}", "", "{}")),
        (must_not, ("write the owner", "PUT", "owner.json", "", "{}")),
        (must_not, ("delete a version of its status", "DELETE", f"status/{NODE}", f"versionId={version}", "")),
        (must_not, ("read the bucket's policy", "GET", "", "policy=", "")),
        (must_not, ("change the bucket's policy", "PUT", "", "policy=", POLICY)),
        (must_not, ("delete the bucket's policy", "DELETE", "", "policy=", "")),
        (must_not, ("suspend versioning", "PUT", "", "versioning=", VERSIONING)),
        (must_not, ("change the bucket's access list", "PUT", "", "acl=", ACL)),
        (must_not, ("add a lifecycle rule", "PUT", "", "lifecycle=", LIFECYCLE)),
        (must_not, ("delete the bucket", "DELETE", "", "", "")),
    ]


def main() -> int:
    """0 when everything is as expected."""
    given = outputs()
    config = engine_of(LOCAL).secrets()
    place = StoreConfig.from_config(lambda name: config.get(f"sekha:{name}"))
    s3 = object_store.client(place)
    store = Store(s3, place.name)
    found = s3.list_object_versions(Bucket=place.name, Prefix=f"status/{NODE}").get("Versions", [])
    versions = [str(row.get("VersionId")) for row in found if not row.get("IsLatest")]
    if not versions:
        raise OperatorError(f"status/{NODE} has no older version; is the bucket versioned?")
    manifest = json.loads(store.read_json(f"desired/{NODE}")["manifest"])
    tried = cases(manifest["agent"]["sha256"], versions[0], json.dumps(store.read_json(f"status/{NODE}")))
    command = f"echo {shlex.quote(json.dumps([case for _, case in tried]))} | python3 -I -c {shlex.quote(PROGRAM)}"
    statuses = json.loads(remote(ssh_command(LOCAL, dict(given)), command) or "[]")
    if len(statuses) != len(tried):
        raise OperatorError("the machine did not try; look at `make proof-machine` first")
    rows, broken = [], []
    for (allowed, (name, *_)), status in zip(tried, statuses, strict=True):
        kept = status < 300 if allowed else status in (403, NO_SUCH_OPERATION)
        measured = f"HTTP {status}" + (" (this store has no such operation)" if status == NO_SUCH_OPERATION else "")
        word = "unproven" if status == NO_SUCH_OPERATION else "yes" if kept else "NO"
        rows.append((name, "allowed" if allowed else "denied", measured, word))
        if not kept:
            broken.append(name)
    print(table(["with the machine's key", "expected", "measured", "as expected"], rows))
    json_line({"statuses": dict(zip((row[0] for row in rows), statuses, strict=True)), "broken": broken})
    return 1 if broken else 0


if __name__ == "__main__":
    finish(main)
