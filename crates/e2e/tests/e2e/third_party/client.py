"""A client in Python's requests: a device with a certificate that reads, writes and resumes. And one in its
http.client, which sends targets as they are."""

import hashlib
import http.client
import json
import socket
import ssl
import sys

import requests

authority, certificate, key, address, service, post, get = sys.argv[1:]
host, port = address.rsplit(":", 1)

# The service name leads to the gateway of the test.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda name, *rest, **more: resolve(host if name == service else name, *rest, **more)
origin = f"https://{service}:{port}"

device = requests.Session()
# Whatever the machine's environment says about proxies and authorities is not for this test.
device.trust_env = False
device.verify = authority
device.cert = (certificate, key)
checks = 0


def check(condition, what):
    global checks
    if not condition:
        sys.exit(f"failed: {what}")
    checks += 1


answer = device.get(origin + get)
check(answer.status_code == 200 and answer.json()["method"] == "GET", "GET")

body = b"0123456789" * 30_000
answer = device.post(origin + post, data=body)
seen = answer.json()
check(seen["body_sha256"] == hashlib.sha256(body).hexdigest(), "POST with a length")

pieces = (body[at : at + 7_000] for at in range(0, len(body), 7_000))
seen = device.request("CCM_POST", origin + post, data=pieces).json()
check(seen["body_sha256"] == hashlib.sha256(body).hexdigest(), "CCM_POST in chunks")

with device.get(origin + "/open/_/static/a.bin?bytes=3000000", stream=True) as answer:
    whole = b"".join(answer.iter_content(65_536))
check(len(whole) == 3_000_000, "a streamed download")

part = device.get(origin + "/open/_/static/a.bin?bytes=3000000", headers={"Range": "bytes=2000000-"})
check(part.status_code == 206 and part.content == whole[2_000_000:], "a part by range")

device.cert = None
device.close()
stranger = device.get(origin + get)
code = "CMGService_ClientCertificateRequired"
check((stranger.status_code, stranger.reason, stranger.json()["code"]) == (403, code, code), "no certificate")

context = ssl.create_default_context(cafile=authority)
context.load_cert_chain(certificate, key)
plain = http.client.HTTPSConnection(service, int(port), context=context)
published = get.rsplit("/", 2)[0]
for target in ["/CCM_Incoming/{4F2C51B7-0C2D}", "/CCM_Client/sccm?/file", "/SMS_MP/.sms_aut?MPLIST2&PS1", "/SMS_MP/a%7Eb"]:
    plain.putrequest("GET", published + target, skip_host=True, skip_accept_encoding=True)
    plain.putheader("Host", service)
    plain.endheaders()
    seen = json.load(plain.getresponse())
    check(seen["target"] == target, f"the target {target} as it is, not {seen['target']}")

print(f"{checks} checks passed")
