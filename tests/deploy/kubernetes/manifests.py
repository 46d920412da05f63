"""What kustomize has rendered: by Kubernetes's schemas, by what schemas cannot say, and by mistakes,
each of which has to be found.

    manifests.py BINARY FOLDER      in FOLDER: demo.yaml, production.yaml
"""

import copy
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml
from checks import CHECKS, environment
from jsonschema import Draft7Validator

# `sleep` of a preStop needs the first; the other is the newest that the package knows.
VERSIONS = ("1.30", "1.37")
DEPLOY = Path(__file__).parents[3] / "deploy/kubernetes"

# Kubernetes knows no ServiceMonitor: the fields that are used here, of the operator's own definition.
SERVICE_MONITOR = yaml.safe_load("""
type: object
additionalProperties: false
required: [apiVersion, kind, metadata, spec]
properties:
  apiVersion: {const: monitoring.coreos.com/v1}
  kind: {const: ServiceMonitor}
  metadata: {type: object, required: [name]}
  spec:
    type: object
    additionalProperties: false
    required: [selector, endpoints]
    properties:
      selector:
        type: object
        additionalProperties: false
        properties: {matchLabels: {type: object, additionalProperties: {type: string}}}
      endpoints:
        type: array
        items:
          type: object
          additionalProperties: false
          properties:
            port: {type: string}
            path: {type: string}
            interval: {type: string, pattern: '^[0-9]+(ms|s|m|h)$'}
            scrapeTimeout: {type: string, pattern: '^[0-9]+(ms|s|m|h)$'}
""")


def by_schema(documents):
    """Complaints of the schemas."""
    for document in documents:
        name = f"{document.get('kind')} {document.get('metadata', {}).get('name')}"
        if document.get("kind") == "ServiceMonitor":
            for error in Draft7Validator(SERVICE_MONITOR).iter_errors(document):
                yield f"{name}: {error.message}"
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{name}, Kubernetes {version}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield f"{name}, Kubernetes {version}: {error.message}"


def by_appliance(project, binary):
    """Complaints of `appliance check`, in a copy of the demo as its image has it."""
    with tempfile.TemporaryDirectory() as folder:
        for made in ("backend/static_root", "frontend/dist", ".venv/bin"):
            Path(folder, made).mkdir(parents=True)
        Path(folder, "frontend/dist/index.html").touch()
        Path(folder, ".venv/bin/python").symlink_to(sys.executable)
        Path(folder, "backend/requirements-postgresql.txt").touch()
        Path(folder, "project.toml").write_text(project)
        checked = subprocess.run(
            [binary, "check"], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
        )
        if checked.returncode:
            yield f"project.toml: {checked.stderr.strip()}"


def project_of(documents):
    found = [d["data"]["project.toml"] for d in documents if d["kind"] == "ConfigMap"]
    return found[0] if len(found) == 1 else ""


def complaints(documents, binary):
    """Everything that is wrong."""
    found = list(by_schema(documents))
    project = project_of(documents)
    found += by_appliance(project, binary)
    if not found:
        settings = tomllib.loads(project)
        for check in CHECKS:
            found += check(documents, settings)
    return found


def one(documents, kind, name="web"):
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)


def pod(documents):
    return one(documents, "Deployment")["spec"]["template"]["spec"]


def settings(documents, old, new):
    config = next(d for d in documents if d["kind"] == "ConfigMap")
    text = config["data"]["project.toml"]
    assert old in text, old
    config["data"]["project.toml"] = text.replace(old, new)


# Each is put into what is right, and has to be complained of in these words.
MISTAKES = {
    "a field nobody knows": (lambda d: pod(d).update(restartpolicy="Always"), "restartpolicy"),
    "a field at the wrong place": (
        lambda d: pod(d)["containers"][0].update(terminationGracePeriodSeconds=45),
        "terminationGracePeriodSeconds",
    ),
    "a number as text": (lambda d: pod(d).update(terminationGracePeriodSeconds="45"), "'45' is not"),
    "a probe without a port": (
        lambda d: pod(d)["containers"][0]["readinessProbe"]["httpGet"].pop("port"),
        "'port' is a required",
    ),
    "an API that has ended": (
        lambda d: one(d, "PodDisruptionBudget").update(apiVersion="policy/v1beta1"),
        "PodDisruptionBudget",
    ),
    "a metric of the wrong type": (
        lambda d: one(d, "HorizontalPodAutoscaler")["spec"]["metrics"][0].update(type=1),
        "1 is not",
    ),
    "a misspelt ServiceMonitor": (
        lambda d: one(d, "ServiceMonitor")["spec"]["endpoints"][0].update(scrapetimeout="5s"),
        "scrapetimeout",
    ),
    "an unknown key in project.toml": (lambda d: settings(d, "processes =", "workers ="), "python.workers"),
    "a probe that asks for another path": (
        lambda d: pod(d)["containers"][0]["livenessProbe"]["httpGet"].update(path="/health"),
        "`/health`",
    ),
    "another port of the admin listener": (lambda d: settings(d, ":9100", ":9101"), "9101"),
    "another port of the site": (lambda d: settings(d, ":8080", ":8000"), "8000"),
    "a Service that finds no pod": (
        lambda d: one(d, "Service")["spec"]["selector"].update(tier="web"),
        "Service web selects no pod",
    ),
    "a budget for nobody": (
        lambda d: one(d, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].update(tier="web"),
        "PodDisruptionBudget web selects no pod",
    ),
    "a grace that is too short": (lambda d: pod(d).update(terminationGracePeriodSeconds=30), "a grace of 30 s"),
    "a longer stop": (lambda d: settings(d, 'stop_timeout = "30s"', 'stop_timeout = "2m"'), "a grace of 45 s"),
    "a start that is killed": (
        lambda d: pod(d)["containers"][0]["startupProbe"].update(failureThreshold=10),
        "20 s to start",
    ),
    "too little memory": (
        lambda d: pod(d)["containers"][0]["resources"]["limits"].update(memory="256Mi"),
        "256 MB for 2 workers",
    ),
    "root": (lambda d: pod(d)["securityContext"].update(runAsNonRoot=False), "may be root"),
    "a system that may be written to": (
        lambda d: pod(d)["containers"][0]["securityContext"].update(readOnlyRootFilesystem=False),
        "its system is not read-only",
    ),
    "capabilities": (
        lambda d: pod(d)["containers"][0]["securityContext"].pop("capabilities"),
        "keeps capabilities",
    ),
    "migrations in each pod": (
        lambda d: pod(d)["containers"][0].update(
            env=[e for e in pod(d)["containers"][0]["env"] if not e["name"].startswith("APPLIANCE")]
        ),
        "runs the hooks",
    ),
    "no volume where one is mounted": (lambda d: pod(d)["volumes"].pop(), "there is no volume `tmp`"),
    "an ingress to nowhere": (
        lambda d: one(d, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="site"),
        "no Service `site`",
    ),
    "a host that Django refuses": (
        lambda d: one(d, "Ingress")["spec"]["rules"][0].update(host="other.example.com"),
        "other.example.com",
    ),
    "a metric that nobody makes": (
        lambda d: one(d, "HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"].update(name="busy"),
        "no rule of the adapter is named `busy`",
    ),
    "Prometheus shut out": (
        lambda d: one(d, "NetworkPolicy", "lantern-lane")["spec"]["ingress"].pop(),
        "nobody may reach `admin`",
    ),
    "a password in a manifest": (
        lambda d: d.append(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": "hunter2"}}
        ),
        "a Secret",
    ),
}


def main(binary, folder):
    rendered = {}
    for overlay in ("demo", "production"):
        documents = [d for d in yaml.safe_load_all(Path(folder, f"{overlay}.yaml").read_text()) if d]
        found = complaints(documents, binary)
        assert not found, f"{overlay}:\n" + "\n".join(found)
        print(f"{overlay}: {len(documents)} resources, no complaint")
        rendered[overlay] = documents
    example = yaml.safe_load((DEPLOY / "secret.example.yaml").read_text())
    assert not list(by_schema([example])), list(by_schema([example]))
    assert not any(example["stringData"].values()), "a secret in the example"

    for mistake, (make, expected) in MISTAKES.items():
        documents = copy.deepcopy(rendered["production"])
        make(documents)
        found = complaints(documents, binary)
        assert any(expected in complaint for complaint in found), f"{mistake} passes: {found}"
    print(f"{len(MISTAKES)} mistakes, each found")


if __name__ == "__main__":
    main(*sys.argv[1:])
