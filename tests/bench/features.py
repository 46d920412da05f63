"""What a feature costs when it is on: one appliance with a site for each, measured in turn.

All sites serve the same file and the same view from the same workers, so that only the feature
differs. A proxied request passes the server twice, and both passes are counted; the one by https
goes to the site with TLS.
"""

import dataclasses
import subprocess

import load
import prepare
import process
import servers

# What a site has besides its address and its routes. `{folder}` is where logs and certificates go.
SITES = {
    "off": "",
    "access log to a file": 'access_log = "{folder}/access.log"',
    "access log in JSON": 'access_log = "{folder}/access.json"\naccess_log_format = "json"',
    "rate limit": 'rate_limit = "1000000/s"',
    "two fields and the security preset":
        'security_headers = true\nheaders = {{ X-One = "1", X-Two = "2" }}',
    "compression, which the client does not ask for": "compress = true",
    "TLS": "",
    "another server (proxy)": "",
    "another server by https, HTTP/2 (proxy)": "",
}
TLS = '[site.tls]\ncertificate = "{folder}/certificate.pem"\nkey = "{folder}/key.pem"\n'
PATHS = {"index.html, 3 KB": prepare.SMALL, "trivial view": servers.PLAIN.path}


@dataclasses.dataclass(frozen=True)
class Features:
    """wrk with `connections` against each site and path."""

    key: str
    title: str
    threads: dict
    connections: int = 64

    def run(self, plan):
        if "appliance" not in plan.names:
            return {}
        ports = {name: servers.free_port() for name in SITES}
        folder = prepare.WORK / "features"
        folder.mkdir()
        certificate(folder)
        sites = "".join(site(name, folder, ports) for name in SITES)
        app = dataclasses.replace(servers.PLAIN, routes=servers.ROUTES + sites)
        with servers.serve("appliance", app, self.threads["appliance"], plan.binary) as server:
            urls = {name: f"{'https' if name == 'TLS' else 'http'}://127.0.0.1:{port}"
                    for name, port in ports.items()}
            rounds = {name: {label: [] for label in PATHS} for name in SITES}
            for number in range(-1, plan.rounds):  # the first warms up
                for name, url in urls.items():
                    for label, path in PATHS.items():
                        one = self.measure(server, url + path, plan.seconds)
                        if number >= 0:
                            rounds[name][label].append(one)
        return {name: summary(name, figures) for name, figures in rounds.items()}

    def measure(self, server, url, seconds):
        before = process.cpu_seconds(server.pids())
        with load.Wrk(url, self.connections, max(1, int(seconds))) as running:
            figures = running.result()
        cpu = process.cpu_seconds(server.pids()) - before
        return {"cpu_us": cpu / max(figures["requests"], 1) * 1e6,
                "errors": figures["failed"] + figures["status"]}


def site(name, folder, ports):
    scheme = "https://" if name == "TLS" else ""
    routes = servers.ROUTES
    if "https" in name:
        to = f'to = "https://127.0.0.1:{ports["TLS"]}", ca = "{folder}/certificate.pem"'
        routes = f'"/" = {{ proxy = {{ {to} }} }}\n'
    elif name.startswith("another server"):
        routes = f'"/" = {{ proxy = "http://127.0.0.1:{ports["off"]}" }}\n'
    head = f'\n[[site]]\nlisten = ["{scheme}127.0.0.1:{ports[name]}"]\n'
    more = SITES[name].format(folder=folder) + "\n"
    tls = TLS.format(folder=folder) if name == "TLS" else ""
    return f"{head}{more}{tls}[site.routes]\n{routes}"


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
                   check=True, capture_output=True, timeout=30)


def summary(name, figures):
    # The least of the rounds: what else runs on the machine can only add to it.
    least = {label: min(one["cpu_us"] for one in rounds) for label, rounds in figures.items()}
    errors = sum(one["errors"] for rounds in figures.values() for one in rounds)
    return {"label": name, "cpu_us": least, "errors": errors, "rounds": figures}
