"""What schemas cannot say: whether manifests agree with each other and with project.toml.

Each check takes the documents and the settings, and yields complaints."""

import os
import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy/kubernetes"
# What the supervisor answers at the admin listener.
PROBES = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "KB": 2**10, "MB": 2**20, "GB": 2**30}


def environment():
    """This process's, without what appliance would take for settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("APPLIANCE_")}


def seconds(text):
    number, unit = re.fullmatch(r"([0-9]+)(s|m|h)", text).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def size(text):
    number, unit = re.fullmatch(r"([0-9]+)([KMG][iB])", text).groups()
    return int(number) * UNITS[unit]


def of_kind(documents, *kinds):
    return [document for document in documents if document["kind"] in kinds]


def templates(documents):
    """Workloads with their pods: name, labels, specification."""
    for document in of_kind(documents, "Deployment", "StatefulSet", "Job"):
        template = document["spec"]["template"]
        yield document, template["metadata"]["labels"], template["spec"]


def web(documents):
    return next(spec for document, _, spec in templates(documents) if document["kind"] == "Deployment")


def ports(documents, settings):
    """Container ports are those of project.toml, and the probes ask the admin listener."""
    container = web(documents)["containers"][0]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    written = {
        "http": settings["site"][0]["listen"][0].rpartition(":")[2],
        "admin": settings["server"]["admin"].rpartition(":")[2],
    }
    for name, port in written.items():
        if named.get(name) != int(port):
            yield f"port `{name}` is {named.get(name)}, and in project.toml {port}"
    for probe, path in PROBES.items():
        asks = container[probe]["httpGet"]
        if asks["path"] != path:
            yield f"{probe} asks for `{asks['path']}`, the admin listener has `{path}`"
        if asks["port"] != "admin":
            yield f"{probe} asks port `{asks['port']}`"


def times(documents, settings):
    """A stop may take as long as the project says, and so may a start."""
    pod = web(documents)
    container = pod["containers"][0]
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needs = waits + seconds(settings["server"]["stop_timeout"])
    if pod["terminationGracePeriodSeconds"] <= needs:
        yield f"a grace of {pod['terminationGracePeriodSeconds']} s, where preStop and stop_timeout need {needs} s"
    probe = container["startupProbe"]
    has = probe["periodSeconds"] * probe["failureThreshold"]
    if has < seconds(settings["python"].get("start_timeout", "2m")):
        yield f"{has} s to start, and python.start_timeout is more"
    readiness = container["readinessProbe"]
    if waits < readiness["periodSeconds"]:
        yield f"preStop waits {waits} s, less than a readiness probe's period"


def memory(documents, settings):
    limit = size(web(documents)["containers"][0]["resources"]["limits"]["memory"])
    python = settings["python"]
    # 64 MB for the supervisor and what requests are held in.
    if limit < python["processes"] * size(python["memory_limit"]) + 64 * 2**20:
        yield f"{limit >> 20} MB for {python['processes']} workers of {python['memory_limit']}"


def selectors(documents, settings):
    """What selects pods finds some, and what a workload selects are its own."""
    labels = [labels for _, labels, _ in templates(documents)]
    found = lambda wanted: any(wanted.items() <= has.items() for has in labels)
    for document in of_kind(documents, "Service"):
        if not found(document["spec"]["selector"]):
            yield f"Service {document['metadata']['name']} selects no pod"
    for document in of_kind(documents, "PodDisruptionBudget", "NetworkPolicy"):
        kind = document["kind"]
        selector = document["spec"].get("selector") or document["spec"]["podSelector"]
        if not found(selector.get("matchLabels", {})):
            yield f"{kind} {document['metadata']['name']} selects no pod"
        for term in selector.get("matchExpressions", []):
            for value in term["values"]:
                if not found({term["key"]: value}):
                    yield f"{kind} {document['metadata']['name']} selects no pod by `{value}`"
    for document, has, spec in templates(documents):
        wanted = document["spec"].get("selector", {}).get("matchLabels", {})
        if not wanted.items() <= has.items():
            yield f"{document['kind']} {document['metadata']['name']} does not select its own pods"
        for spread in spec.get("topologySpreadConstraints", []):
            if not spread["labelSelector"]["matchLabels"].items() <= has.items():
                yield f"{document['metadata']['name']} is spread by others' labels"
    services = of_kind(documents, "Service")
    for monitor in of_kind(documents, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        chosen = [s for s in services if wanted <= s["metadata"]["labels"].items()]
        names = [port["name"] for service in chosen for port in service["spec"]["ports"]]
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in names:
                yield f"ServiceMonitor: no Service has port `{endpoint['port']}`"


def references(documents, settings):
    """What is named is there."""
    for document, _, spec in templates(documents):
        name = document["metadata"]["name"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        claims = [t["metadata"]["name"] for t in document["spec"].get("volumeClaimTemplates", [])]
        for container in spec["containers"]:
            for mount in container["volumeMounts"]:
                if mount["name"] not in [*volumes, *claims]:
                    yield f"{name}: there is no volume `{mount['name']}`"
        for volume in volumes.values():
            for kind, wanted in (
                ("ConfigMap", volume.get("configMap", {}).get("name")),
                ("PersistentVolumeClaim", volume.get("persistentVolumeClaim", {}).get("claimName")),
            ):
                if wanted and wanted not in [d["metadata"]["name"] for d in of_kind(documents, kind)]:
                    yield f"{name}: there is no {kind} `{wanted}`"
    services = {s["metadata"]["name"]: s for s in of_kind(documents, "Service")}
    for service in services.values():
        for port in service["spec"]["ports"]:
            names = [p["name"] for _, _, spec in templates(documents) for p in spec["containers"][0].get("ports", [])]
            if port["targetPort"] not in names:
                yield f"Service {service['metadata']['name']}: no container has port `{port['targetPort']}`"
    for ingress in of_kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                if backend["name"] not in services:
                    yield f"Ingress: no Service `{backend['name']}`"
                elif backend["port"]["name"] not in [p["name"] for p in services[backend["name"]]["spec"]["ports"]]:
                    yield f"Ingress: Service `{backend['name']}` has no port `{backend['port']['name']}`"
            hosts = [e["value"] for e in web(documents)["containers"][0]["env"] if e["name"] == "DEMO_HOSTS"]
            if rule["host"] not in " ".join(hosts).split():
                yield f"Ingress: the application does not answer to `{rule['host']}`"
            if not any(rule["host"] in tls["hosts"] for tls in ingress["spec"]["tls"]):
                yield f"Ingress: no certificate for `{rule['host']}`"
    example = yaml.safe_load((DEPLOY / "secret.example.yaml").read_text())
    text = yaml.safe_dump_all([spec for _, _, spec in templates(documents)])
    for key in re.findall(r"key: ([a-z-]+)", text):
        if key not in example["stringData"]:
            yield f"secret.example.yaml has no `{key}`"
    for secret in of_kind(documents, "Secret"):
        yield f"a Secret is among what is applied: {secret['metadata']['name']}"


def confinement(documents, settings):
    """Every pod: nobody's root, no capability, a system that is read-only."""
    for document, _, spec in templates(documents):
        name = document["metadata"]["name"]
        pod = spec["securityContext"]
        if not pod.get("runAsNonRoot") or not pod.get("runAsUser"):
            yield f"{name} may be root"
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name} has no seccomp profile"
        if spec.get("automountServiceAccountToken", True) or spec.get("enableServiceLinks", True):
            yield f"{name} is told of the cluster what it does not need"
        for container in spec["containers"]:
            own = container.get("securityContext", {})
            if own.get("allowPrivilegeEscalation", True):
                yield f"{name} may gain privileges"
            if not own.get("readOnlyRootFilesystem"):
                yield f"{name}: its system is not read-only"
            if own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name} keeps capabilities"
            resources = container["resources"]
            if not {"cpu", "memory"} <= resources["requests"].keys() or "memory" not in resources["limits"]:
                yield f"{name} says not what it needs"


def migrations(documents, settings):
    """Hooks are run by the Job, and by no pod of the site; both have one image and one project file."""
    job = next(spec for document, _, spec in templates(documents) if document["kind"] == "Job")
    pod = web(documents)
    hooks = {"name": "APPLIANCE_HOOKS__BEFORE_START", "value": "[]"}
    if hooks not in pod["containers"][0]["env"]:
        yield "each pod of the site runs the hooks"
    if any(variable["name"] == hooks["name"] for variable in job["containers"][0]["env"]):
        yield "nobody runs the hooks"
    if not settings["hooks"]["before_start"]:
        yield "there are no hooks to run"
    if job["containers"][0]["image"] != pod["containers"][0]["image"]:
        yield "the Job has another image"
    projects = {v["configMap"]["name"] for spec in (job, pod) for v in spec["volumes"] if v["name"] == "project"}
    if len(projects) != 1:
        yield "the Job has another project file"


def autoscaling(documents, settings):
    """The metric is one that the adapter makes of what appliance exports (probes.py asks for that)."""
    scaler = of_kind(documents, "HorizontalPodAutoscaler")[0]["spec"]
    rules = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    names = [rule["name"]["as"] for rule in rules]
    for metric in scaler["metrics"]:
        if metric["type"] == "Pods" and metric["pods"]["metric"]["name"] not in names:
            yield f"no rule of the adapter is named `{metric['pods']['metric']['name']}`"
    if not any(metric["type"] == "Resource" for metric in scaler["metrics"]):
        yield "no metric is left where the adapter does not answer"
    if "replicas" in next(d for d in documents if d["kind"] == "Deployment")["spec"]:
        yield "the Deployment has replicas of its own, which each apply would set"


def network(documents, settings):
    """Both ports are reachable for somebody, and the database is."""
    policy = next(d for d in of_kind(documents, "NetworkPolicy") if d["metadata"]["name"] == "lantern-lane")
    open_to = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"] if rule.get("from")]
    for port in web(documents)["containers"][0]["ports"]:
        if port["name"] not in open_to:
            yield f"nobody may reach `{port['name']}`"
    out = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    for port in (53, 5432):
        if port not in out:
            yield f"port {port} is out of reach"


CHECKS = (
    ports,
    times,
    memory,
    selectors,
    references,
    confinement,
    migrations,
    autoscaling,
    network,
)
