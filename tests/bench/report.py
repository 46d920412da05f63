"""The figures as Markdown, ready for the docs."""

RATES = ["", "requests/s", "× pair", "p50 ms", "p99 ms", "CPU µs/request", "(min–max)",
         "requests per CPU s, × pair"]


def section(scenario, figures):
    """One scenario: heading and table, failures in capitals below it."""
    rows = TABLES.get(scenario.key, throughput)(figures)
    text = [f"### {scenario.title}", "", *table(rows), ""]
    for one in figures.values():
        if one.get("errors"):
            text += [f"**FAILED: {one['label']}: {one['errors']} requests failed: its figures "
                     "do not count**", ""]
    return "\n".join(text)


def throughput(figures):
    pair = figures.get("pair")
    rows = [RATES]
    for one in figures.values():
        rows.append([
            one["label"], f"{one['rps']:,.0f}", ratio(one["rps"], pair and pair["rps"]),
            f"{one['p50_ms']:.3f}", f"{one['p99_ms']:.2f}", number(one["cpu_us"]),
            f"{number(one['cpu_us_min'])}–{number(one['cpu_us_max'])}",
            ratio(pair and 1 / one["cpu_us"], pair and 1 / pair["cpu_us"])])
    return rows


def busy(figures):
    return [["", "p50 ms", "p99 ms", "max ms", "p99 of the rounds",
             "client late, p99 ms", "busy views/s"]] + [
        [one["label"], f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}", f"{one['max_ms']:.1f}",
         " ".join(f"{each['p99_ms']:.1f}" for each in one["rounds"]),
         f"{one['late_ms']:.2f}", f"{one['views_s']:.0f}"]
        for one in figures.values()]


def idle(figures):
    return [["", "PSS before, KB", "PSS after, KB", "KB per connection", "still open"]] + [
        [one["label"], f"{one['before_kb']:,}", f"{one['after_kb']:,}",
         f"{one['kb_each']:.2f}", f"{one['open']:,}"] for one in figures.values()]


def demo(figures):
    columns = {"processes": ("processes", 1, ""), "pss_start_kb": ("PSS, MB", 1024, ".1f"),
               "pss_used_kb": ("PSS after 200 requests, MB", 1024, ".1f"),
               "supervisor_rss_kb": ("supervisor RSS, MB", 1024, ".1f"),
               "worker_rss_kb": ("worker RSS, MB", 1024, ".1f"),
               "worker_pss_kb": ("worker PSS, MB", 1024, ".1f"),
               "page_ms": ("start to first page, ms", 1, ".0f"),
               "answer_ms": ("start to the application's first 200, ms", 1, ".0f")}
    return [["", *(name for name, _, _ in columns.values())]] + [
        [one["label"], *(format(one[key] / unit, form) if form and key in one
                         else str(one.get(key, "")) for key, (_, unit, form) in columns.items())]
        for one in figures.values()]


def features(figures):
    plain = figures["off"]["cpu_us"] if figures else {}
    return [["", *(part for label in plain for part in (label, "more than off"))]] + [
        [one["label"], *(part for label, cpu_us in one["cpu_us"].items() for part in
                         (number(cpu_us), f"{cpu_us - plain[label]:+.1f}"))]
        for one in figures.values()]


TABLES = {"busy": busy, "idle": idle, "demo": demo, "features": features}


def targets(rows):
    """What issue 2 asks for, what was measured, and whether it holds."""
    text = {True: "yes", False: "**no**", None: "not measured"}
    return "\n".join(["### Targets", "", *table(
        [["requirement", "measured", "holds"]]
        + [[row.text, row.measured, text[row.holds]] for row in rows]), ""])


def table(rows):
    head, *body = rows
    align = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(row) + " |" for row in [head, align, *body]]


def ratio(value, base):
    return f"{value / base:.2f}" if value and base else ""


def number(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
