"""A site role that asks for the client's certificate only after it has read the request, as IIS does without
clientcertnegotiation: by post-handshake authentication (TLS 1.3) or by renegotiation (TLS 1.2). In Python, because
rustls does neither."""

import json
import socket
import ssl
import subprocess
import sys
import threading

version, behaviour, certificate, key, authority = sys.argv[1:]


def ready(port):
    print(json.dumps({"ready": True, "role": f"127.0.0.1:{port}"}), flush=True)


def tell(what):
    print(json.dumps({"message": str(what)}), file=sys.stderr, flush=True)


def serve(connection):
    try:
        connection.do_handshake()
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return
            head += piece
        try:
            connection.verify_client_post_handshake()
        except ssl.SSLError as error:
            tell(error)
        if behaviour == "refuse":
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.unwrap()
    except OSError as error:
        tell(error)
    finally:
        connection.close()


def post_handshake():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.post_handshake_auth = True
    listener = socket.create_server(("127.0.0.1", 0))
    ready(listener.getsockname()[1])
    while True:
        accepted, _ = listener.accept()
        connection = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def renegotiation():
    """openssl's own server renegotiates and asks for a certificate when it reads R."""
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-cert", certificate, "-key", key]
    command += ["-CAfile", authority]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    for line in iter(server.stdout.readline, b""):
        tell(line.decode(errors="replace").strip())
        if line.startswith(b"ACCEPT "):
            ready(line.split(b":")[-1].decode().strip())
        elif line.lower().startswith(b"host:"):
            server.stdin.write(b"R\n")


{"1.3": post_handshake, "1.2": renegotiation}[version]()
