//! What a start ends with: a short picture on a terminal, log lines elsewhere.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use appliance_project::model::{Files, Pattern, Piece, Route, Site, Target, Template};
use appliance_supervisor::Started;

use crate::output;

const NAME: Style = AnsiColor::Green.on_default().bold();
const URL: Style = AnsiColor::Cyan.on_default().underline();
const DIM: Style = Style::new().dimmed();

/// Says that the server has started.
pub(crate) fn show(started: &Started<'_>) {
    if std::io::stderr().is_terminal() {
        output::say(format_args!("{}", picture(started)));
        return;
    }
    if started.project.dev.is_some() {
        appliance_log::text(&lines(started));
        return;
    }
    for address in &started.addresses {
        let scheme = scheme((&started.https, &started.uwsgi), address);
        tracing::info!("listening on {scheme}://{address}");
    }
    for path in unix(started) {
        tracing::info!("listening on {path}");
    }
    if started.python.is_some() {
        tracing::info!("ready in {} ms", started.after.as_millis());
    }
}

/// What `appliance dev` says where there is no terminal: its log holds warnings alone.
fn lines(started: &Started<'_>) -> String {
    let addresses = started.addresses.iter().map(|address| {
        let scheme = scheme((&started.https, &started.uwsgi), address);
        format!("listening on {scheme}://{address}\n")
    });
    let unix = unix(started)
        .into_iter()
        .map(|path| format!("listening on {path}\n"));
    let ready = format!("ready in {} ms\n", started.after.as_millis());
    addresses.chain(unix).chain([ready]).collect()
}

/// Each once.
fn unix(started: &Started<'_>) -> BTreeSet<String> {
    let sites = started.project.sites.iter();
    let sockets = sites.flat_map(|site| site.unix.iter().map(move |path| (site, path)));
    let shown = sockets.map(|(site, path)| unix_address(path, site.uwsgi.unix.contains(path)));
    shown.collect()
}

/// As `listen` has it.
pub(crate) fn unix_address(path: &Path, is_uwsgi: bool) -> String {
    let scheme = if is_uwsgi { "uwsgi://" } else { "" };
    format!("{scheme}unix:{}", path.display())
}

fn picture(started: &Started<'_>) -> String {
    let mut text = String::new();
    draw(started, &mut text).map_or_else(|_| String::new(), |()| text)
}

fn draw(started: &Started<'_>, out: &mut String) -> std::fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    let after = started.after.as_millis();
    writeln!(
        out,
        "\n  {NAME}appliance{NAME:#} {version}  {DIM}ready in {after} ms{DIM:#}\n"
    )?;
    for address in &started.addresses {
        let scheme = scheme((&started.https, &started.uwsgi), address);
        writeln!(out, "  {URL}{scheme}://{}{URL:#}", visitable(*address))?;
    }
    for path in unix(started) {
        writeln!(out, "  {URL}{path}{URL:#}")?;
    }
    for site in &started.project.sites {
        draw_site(site, started, out)?;
    }
    let interpreter = started.interpreter.display();
    let log = &started.project.server.log;
    let reported = started.python.as_deref().unwrap_or("Python");
    row(
        out,
        "python",
        format_args!("{reported}  {DIM}{interpreter}{DIM:#}"),
    )?;
    row(out, "workers", format_args!("{}", workers(started)))?;
    row(
        out,
        "log",
        format_args!("{}, {} and worse", log.target, log.level.as_str()),
    )?;
    row(
        out,
        "stop",
        format_args!("Ctrl-C  {DIM}or kill {}{DIM:#}", std::process::id()),
    )?;
    writeln!(out)
}

/// `2 processes × 4 threads  38 MB each`.
fn workers(started: &Started<'_>) -> String {
    let python = &started.project.python;
    let alone = started.python.is_none();
    let processes = if alone { 1 } else { python.processes };
    let processes = counted(processes, "process", "processes");
    let threads = counted(python.threads, "thread", "threads");
    match started.worker_memory_mb {
        Some(megabytes) => format!("{processes} × {threads}  {DIM}{megabytes} MB each{DIM:#}"),
        None => format!("{processes} × {threads}"),
    }
}

/// The site's name, if there is more than one, then its routes in columns.
fn draw_site(site: &Site, started: &Started<'_>, out: &mut String) -> std::fmt::Result {
    writeln!(out)?;
    if started.project.sites.len() > 1 {
        let names = if site.server_name.is_empty() {
            "any host".to_owned()
        } else {
            site.server_name.join(", ")
        };
        writeln!(out, "  {names}")?;
    }
    let width = site
        .routes
        .iter()
        .map(|route| pattern(route).chars().count())
        .max()
        .unwrap_or(0);
    for route in &site.routes {
        writeln!(
            out,
            "  {:width$}  {DIM}→{DIM:#} {}",
            pattern(route),
            target(route, started)
        )?;
    }
    writeln!(out)
}

fn row(out: &mut String, name: &str, value: std::fmt::Arguments<'_>) -> std::fmt::Result {
    writeln!(out, "  {DIM}{name:8}{DIM:#} {value}")
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn pattern(route: &Route) -> String {
    match &route.pattern {
        Pattern::Exact(path) => format!("= {path}"),
        Pattern::Prefix(path) => path.clone(),
        Pattern::FirmPrefix(path) => format!("^~ {path}"),
        Pattern::Expression(expression) if expression.any_case => format!("~* {}", expression.text),
        Pattern::Expression(expression) => format!("~ {}", expression.text),
    }
}

fn target(route: &Route, started: &Started<'_>) -> String {
    match &route.target {
        Target::Wsgi => shown_application(route, started),
        Target::Files(files) => shown_folder(files, started),
        Target::Redirect(redirect) => format!("{} {}", redirect.status, shown_place(&redirect.to)),
        Target::Rewrite(template) => format!("rewrite {}", shown_place(template)),
        Target::Respond(respond) => respond.status.to_string(),
        Target::Proxy(proxy) => {
            let addresses = proxy
                .targets
                .iter()
                .map(|target| target.address.to_string());
            addresses.collect::<Vec<_>>().join(", ")
        }
    }
}

fn shown_application(route: &Route, started: &Started<'_>) -> String {
    let application = started.project.python.application_of(route.callee);
    let name = application.map_or_else(|| "the application".to_owned(), ToString::to_string);
    match route.callee.mount {
        true => format!("{name}  {DIM}mounted{DIM:#}"),
        false => name,
    }
}

fn shown_place(template: &Template) -> String {
    let shown = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Group(number) => format!("${number}"),
        Piece::Rest => "$rest".to_owned(),
        Piece::Uri => "$uri".to_owned(),
        Piece::RequestUri => "$request_uri".to_owned(),
        Piece::Args => "$args".to_owned(),
        Piece::Host => "$host".to_owned(),
    };
    template.0.iter().map(shown).collect()
}

/// Relative to the project's folder, as it was probably written.
fn shown_folder(files: &Files, started: &Started<'_>) -> String {
    let base = started.project.file.parent();
    let root = base
        .and_then(|base| files.root.strip_prefix(base).ok())
        .unwrap_or(&files.root);
    if files.then_wsgi {
        return format!("{}  {DIM}else the application{DIM:#}", root.display());
    }
    match &files.fallback {
        Some(fallback) => format!("{}  {DIM}else {fallback}{DIM:#}", root.display()),
        None => root.display().to_string(),
    }
}

/// What an address speaks.
pub(crate) fn scheme(
    (https, uwsgi): (&[SocketAddr], &[SocketAddr]),
    address: &SocketAddr,
) -> &'static str {
    match (https.contains(address), uwsgi.contains(address)) {
        (true, _) => "https",
        (_, true) => "uwsgi",
        (false, false) => "http",
    }
}

/// `0.0.0.0` cannot be visited everywhere; what it stands for can.
fn visitable(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}
