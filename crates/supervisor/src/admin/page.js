"use strict";
// What `appliance top` shows: /status?requests once a second, rates of two answers, latencies of ten
// seconds. Nothing is asked while nobody sees it.
const EVERY = 1000, PATIENCE = 4000, WINDOW = 10, POINTS = 120;
const answers = [];
const points = [];
let timer, answered = performance.now(), asking = false;

const element = (id) => document.getElementById(id);
// Characters that would hide or turn around what stands beside them are written out.
const harmful = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;
const harmless = (text) => String(text).replace(harmful, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
const show = (id, text) => { const node = element(id); text = harmless(text); if (node.textContent !== text) node.textContent = text; };

const age = (s) => s < 120 ? `${Math.floor(s)} s` : s < 7200 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
const shortAge = (ms) => ms < 10000 ? `${(Math.floor(ms / 100) / 10).toFixed(1)} s` : age(ms / 1000);
const megabytes = (bytes) => bytes == null ? "–" : `${Math.floor(bytes / 1e6)} MB`;
const rate = (n) => n <= 0 ? "0" : n < 9.95 ? n.toFixed(1) : String(Math.round(n));
const latency = (l) => {
  if (l == null) return "–";
  if (l.over) return `>${l.s} s`;
  const s = l.s;
  return s < 0.0009995 ? `${(s * 1e6).toFixed(0)} us` : s < 0.00995 ? `${(s * 1e3).toFixed(1)} ms` : s < 0.9995 ? `${(s * 1e3).toFixed(0)} ms` : s < 9.95 ? `${s.toFixed(1)} s` : `${s.toFixed(0)} s`;
};

const count = (totals) => Object.values(totals.requests).reduce((sum, n) => sum + n, 0);

function quantile(before, after, bounds, share) {
  const counts = after.buckets.map((n, i) => Math.max(0, n - (before.buckets[i] ?? 0)));
  const rank = counts.reduce((sum, n) => sum + n, 0) * share;
  if (rank <= 0) return null;
  let below = 0, lower = 0;
  for (const [i, n] of counts.entries()) {
    if (i >= bounds.length) return { s: lower, over: true };
    if (below + n >= rank) return { s: lower + (bounds[i] - lower) * (rank - below) / n };
    below += n;
    lower = bounds[i];
  }
  return null;
}

function rates(oldest, last, now, seconds, bounds) {
  return {
    requests: Math.max(0, count(now) - count(last)) / seconds,
    failed: Math.max(0, now.requests["5xx"] - last.requests["5xx"]) / seconds,
    p50: quantile(oldest.request_time, now.request_time, bounds, 0.5),
    p99: quantile(oldest.request_time, now.request_time, bounds, 0.99),
  };
}

function take(status) {
  const last = answers.at(-1);
  if (last && (last.pid !== status.pid || last.uptime > status.uptime)) {
    answers.length = points.length = 0;
  }
  answers.push(status);
  while (answers[1]?.uptime <= status.uptime - WINDOW) answers.shift();
  draw(status, answers.at(-2), answers[0]);
}

function draw(now, last, oldest) {
  const seconds = last ? now.uptime - last.uptime : 0;
  const bounds = now.bucket_bounds, isKnown = seconds > 0.05;
  const all = isKnown ? rates(oldest.total, last.total, now.total, seconds, bounds) : null;
  const busy = new Map();
  for (const worker of isKnown ? now.workers : []) {
    const before = last.workers.find((other) => other.pid === worker.pid);
    if (before) busy.set(worker.pid, Math.max(0, worker.cpu_seconds - before.cpu_seconds) / seconds);
  }
  const processors = [...busy.values()].reduce((sum, n) => sum + n, 0);
  head(now);
  const levels = now.levels;
  show("requests-rate", all ? rate(all.requests) : "–");
  show("failed-rate", all ? rate(all.failed) : "–");
  show("p50", latency(all?.p50));
  show("p99", latency(all?.p99));
  show("queue", levels.queue_length);
  show("threads", `${levels.threads_busy} of ${levels.threads}`);
  show("connections", levels.connections_open);
  show("processors", isKnown ? processors.toFixed(2) : "–");
  show("memory", megabytes(now.workers.reduce((sum, w) => sum + (w.pss_bytes ?? w.memory_bytes), 0)));
  if (all) {
    points.push({ ...all, processors, threads: levels.threads_busy, queue: levels.queue_length });
    if (points.length > POINTS) points.shift();
    graph("requests", ["requests", "failed"], (n) => `${rate(n)} per second`);
    graph("latency", ["p50", "p99"], (s) => latency({ s }), (l) => l?.s ?? 0);
    graph("threads", ["threads", "queue"], String);
    graph("processors", ["processors"], (n) => n.toFixed(2));
  }
  workers(now, last, oldest, seconds, isKnown, busy);
  requests(now);
}

function head(now) {
  document.title = `${now.state}: ${now.project}`;
  show("project", now.project);
  show("state", now.state);
  element("state").classList.toggle("bad", now.state === "failing");
  show("about", `generation ${now.generation}, up ${age(now.uptime)}, ${now.python}, appliance ${now.version}, process ${now.pid}`);
  show("warning", now.maintenance ? "Maintenance: every request gets a 503." : now.last_failure ? `The last reload or upgrade failed: ${now.last_failure.split("\n")[0]}` : "");
  const replaced = Object.entries(now.replaced).map(([reason, n]) => `${n} ${reason}`).join(", ");
  show("replaced", `Each is a process with its own Python. Replaced so far: ${replaced || "none"}.`);
}

// A line is drawn from the right: the newest second is where the graph ends.
function graph(id, keys, say, value = (n) => n) {
  const svg = element(`graph-${id}`);
  const top = Math.max(...points.flatMap((point) => keys.map((key) => value(point[key]))));
  keys.forEach((key, i) => {
    let line = svg.children[i];
    if (!line) {
      line = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "polyline"));
      if (i) line.classList.add("two");
    }
    const from = POINTS - points.length;
    line.setAttribute("points", points.map((point, x) => `${from + x},${(96 - 92 * (top > 0 ? value(point[key]) / top : 0)).toFixed(1)}`).join(" "));
  });
  show(`top-${id}`, say(top));
}

function workers(now, last, oldest, seconds, isKnown, busy) {
  const slot = (status, number) => status.counted.find((counted) => counted.worker === number);
  fill("workers", now.workers, (w) => {
    const own = [oldest, last, now].map((status) => status && slot(status, w.worker));
    const r = isKnown && w.state === "serving" && own.every(Boolean) ? rates(...own, seconds, now.bucket_bounds) : null;
    const cpu = busy.has(w.pid) ? `${Math.round(busy.get(w.pid) * 100)}%` : "–";
    return [[w.worker], [w.pid], [w.state, ""], [`${w.levels.threads_busy}/${w.levels.threads}`], [w.levels.queue_length], [r ? rate(r.requests) : "–"], [latency(r?.p50)], [latency(r?.p99)], [cpu], [megabytes(w.memory_bytes)], [megabytes(w.pss_bytes)], [w.levels.connections_open], [w.generation], [age(w.uptime)]];
  }, "No worker runs.");
}

const unseen = { keeps_gil: "in C code, keeps the GIL", no_gil: "unknown: the GIL is kept" };
const line = (l) => `${l.file}:${l.line} ${l.function}`;

function requests(now) {
  const running = now.workers.flatMap((w) => (w.requests ?? []).map((request) => ({ w, request })));
  running.sort((a, b) => b.request.age_ms - a.request.age_ms);
  fill("requests", running, ({ w, request: r }) => {
    const at = r.within ? `${line(r.within)}, at ${line(r.at)}` : r.at ? line(r.at) : unseen[r.unseen] ?? "no Python frame";
    return [[w.worker], [r.thread], [shortAge(r.age_ms)], [r.method, ""], [r.url, "long"], [at, "long"], [r.client, ""], [r.id, ""]];
  }, "No request runs.");
  const more = now.workers.reduce((sum, w) => sum + (w.more_requests ?? 0), 0);
  const silent = now.workers.filter((w) => !w.requests && ["serving", "draining"].includes(w.state));
  show("requests-caption", "The oldest first, without the queries of their URLs." + (more ? ` ${more} more run.` : "") + silent.map((w) => ` Worker ${w.worker}, process ${w.pid}, does not say what runs in it.`).join(""));
}

// Cells are reused, so that a selection of text and a place of a screen reader survive.
function fill(id, items, cells, none) {
  const body = element(id);
  const rows = items.length ? items.map(cells) : [[[none, ""]]];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((texts, y) => {
    const row = body.rows[y] ?? body.insertRow();
    while (row.cells.length > texts.length) row.deleteCell(-1);
    texts.forEach(([text, kind = "number"], x) => {
      const cell = row.cells[x] ?? row.insertCell();
      if (cell.className !== kind) cell.className = kind;
      text = harmless(text);
      if (cell.textContent !== text) cell.textContent = text;
      if (texts.length === 1) cell.colSpan = 14; else cell.removeAttribute("colspan");
    });
  });
}

async function ask() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = true;
  try {
    const response = await fetch("status?requests", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    take(await response.json());
    answered = performance.now();
    show("silence", "");
    document.body.classList.remove("stale");
  } catch {
    const silent = Math.round((performance.now() - answered) / 1000);
    show("silence", `The server stopped answering ${silent} s ago; trying again. What stands below is old.`);
    document.body.classList.add("stale");
  } finally {
    asking = false;
  }
  timer = setTimeout(ask, EVERY);
}

document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : ask());
ask();
