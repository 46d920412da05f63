"""The requirements of speed and memory, each compared with what was measured.

A target without its figures (scenario or server left out) is `None`, which is not a pass.
"""

import collections

Target = collections.namedtuple("Target", "text measured holds")

PEERS = ("pair", "pair-4", "granian", "granian-4", "bjoern")
OURS = ("appliance", "appliance-4")


def rows(results):
    return [one for make in (static, wsgi, latency, django, busy, idle, demo)
            for one in make(results)]


def static(results):
    for key, what in (("index", "index.html"), ("script", "60 KB script")):
        yield compare(f"{what}: requests per CPU second ≥ 1.3 × nginx's", results, key,
                      lambda f: per_cpu(f, "appliance", "pair"), "× {:.2f}",
                      lambda value: value >= 1.3)
    yield compare("20 MB file: CPU ≤ 1.1 × nginx's", results, "large",
                  lambda f: f["appliance"]["cpu_us"] / f["pair"]["cpu_us"], "× {:.2f}",
                  lambda value: value <= 1.1)


def wsgi(results):
    for name in OURS:
        yield compare(f"trivial view, {threads(name)}: requests per CPU second ≥ 4 × the pair's",
                      results, "wsgi", lambda f, n=name: per_cpu(f, n, "pair"), "× {:.2f}",
                      lambda value: value >= 4)
        yield compare(f"trivial view, {threads(name)}: requests per CPU second ahead of "
                      "Granian's best", results, "wsgi",
                      lambda f, n=name: best(f, ("granian", "granian-4"), "cpu_us")
                      / f[n]["cpu_us"], "× {:.2f}", lambda value: value > 1)


def latency(results):
    for name in OURS:
        yield compare(f"one connection, {threads(name)}: p50 ≤ uWSGI's alone", results,
                      "latency",
                      lambda f, n=name: f[n]["p50_ms"] / f["uwsgi"]["p50_ms"], "× {:.2f}",
                      lambda value: value <= 1)


def django(results):
    for name in OURS:
        yield compare(f"Django view, {threads(name)}: requests per CPU second ahead of every "
                      "peer", results, "django",
                      lambda f, n=name: best(f, PEERS, "cpu_us") / f[n]["cpu_us"], "× {:.2f}",
                      lambda value: value > 1)


def busy(results):
    yield compare("p99 of index.html under busy Python ≤ the pair's", results, "busy",
                  lambda f: f["appliance-4"]["p99_ms"] / f["pair-4"]["p99_ms"], "× {:.2f}",
                  lambda value: value <= 1)


def idle(results):
    yield compare("idle connection ≤ 5 KB", results, "idle",
                  lambda f: f["appliance"]["kb_each"], "{:.2f} KB", lambda value: value <= 5)


def demo(results):
    for key, when in (("pss_start_kb", "at idle"), ("pss_used_kb", "idle after 200 requests")):
        yield compare(f"demo {when}: PSS of all processes below the pair's", results, "demo",
                      lambda f, k=key: f["appliance"][k] / f["pair"][k], "× {:.2f}",
                      lambda value: value < 1)
    yield compare("supervisor < 10 MB RSS", results, "demo",
                  lambda f: f["appliance"]["supervisor_rss_kb"] / 1024, "{:.1f} MB",
                  lambda value: value < 10)
    yield compare("worker ≤ 12 MB RSS over the bare interpreter with the application", results,
                  "demo", lambda f: over(f, "worker_rss_kb") / 1024, "{:.1f} MB",
                  lambda value: value <= 12)
    for key, what in (("page_ms", "page"), ("answer_ms", "200 of the application")):
        yield compare(f"start to first {what} ≤ 150 ms over the interpreter's own", results,
                      "demo", lambda f, k=key: over(f, k), "{:.0f} ms",
                      lambda value: value <= 150)


def over(figures, key):
    return figures["appliance"][key] - figures["bare"][key]


def compare(text, results, key, value, form, holds):
    figures = results.get(key, {})
    try:
        found = value(figures)
    except KeyError:
        return Target(text, "", None)
    failed = [one["label"] for one in figures.values() if one.get("errors")]
    return Target(text, form.format(found) + (" (requests failed)" if failed else ""),
                  bool(holds(found)) and not failed)


def per_cpu(figures, ours, theirs):
    return figures[theirs]["cpu_us"] / figures[ours]["cpu_us"]


def best(figures, names, key):
    """The lowest, once all of them were measured: a peer left out might have been lower."""
    return min(figures[name][key] for name in names)


def threads(name):
    return "4 threads" if name.endswith("-4") else "1 thread"
