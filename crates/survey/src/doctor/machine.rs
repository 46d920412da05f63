//! What the machine, or the service's unit, has to grant.

use std::fs;
use std::time::{Duration, SystemTime};

use appliance_project::Project;

use super::Findings;

/// `CAP_NET_BIND_SERVICE`, a bit of `CapEff`.
const BIND_SERVICE: u32 = 10;
/// Descriptors of a worker besides its connections: sockets, files that are being sent, Python's.
const OTHER_DESCRIPTORS: u64 = 256;

pub(super) fn examine(project: &Project, findings: &mut Findings) {
    ports(project, findings);
    open_files(project, &read("/proc/self/limits"), findings);
    clock(project, SystemTime::now(), findings);
    recycling(project, findings);
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn ports(project: &Project, findings: &mut Findings) {
    let first_free = read("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first_free = first_free.trim().parse().unwrap_or(1024);
    if may_bind(&read("/proc/self/status")) {
        return;
    }
    let addresses = project.sites.iter().flat_map(|site| &site.listen);
    let mut low: Vec<u16> = addresses
        .map(|address| address.port())
        .filter(|port| *port != 0 && *port < first_free)
        .collect();
    low.sort_unstable();
    low.dedup();
    for port in low {
        findings.problem(
            format!("port {port} needs rights that this process does not have"),
            "start as root with `server.user`, or give the unit `AmbientCapabilities=CAP_NET_BIND_SERVICE`, or listen on 8080",
        );
    }
}

/// Whether the process may bind ports below 1024, by its `CapEff`.
fn may_bind(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> BIND_SERVICE & 1 == 1)
}

fn open_files(project: &Project, limits: &str, findings: &mut Findings) {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|soft| soft.parse::<u64>().ok());
    let connections = project.server.connections as u64;
    let needed = connections + OTHER_DESCRIPTORS;
    // `unlimited` is no number, and no bound.
    if let Some(soft) = soft.filter(|soft| *soft < needed) {
        findings.advice(
            format!("a process may open {soft} files, and `server.connections` lets a worker hold {connections} connections"),
            format!("`LimitNOFILE={}` in the unit, or `ulimit -n` before the start; or lower `server.connections`", needed.next_power_of_two()),
        );
    }
}

/// A clock that runs behind breaks certificates, sessions and caches. What was written in the future
/// shows it, whatever set it.
fn clock(project: &Project, now: SystemTime, findings: &mut Findings) {
    let changed = |path: &std::path::Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let newest = [Some(project.file.clone()), std::env::current_exe().ok()];
    let newest = newest
        .into_iter()
        .flatten()
        .filter_map(|path| changed(&path))
        .max();
    let ahead = newest.and_then(|newest| newest.duration_since(now).ok());
    if let Some(ahead) = ahead.filter(|ahead| *ahead > Duration::from_secs(60)) {
        findings.problem(
            format!(
                "the clock is behind: the project file or this program is {} s younger than now",
                ahead.as_secs()
            ),
            "let it be set by the network: `timedatectl set-ntp true`",
        );
    }
}

/// Memory that an application leaks comes back only when its worker goes.
fn recycling(project: &Project, findings: &mut Findings) {
    let recycling = &project.python.recycling;
    let bounded = recycling.max_requests.is_some()
        || recycling.max_lifetime.is_some()
        || recycling.memory_soft_limit_bytes.is_some();
    if !project.python.has_application() || bounded {
        return;
    }
    findings.advice(
        "workers are never replaced: what the application leaks stays",
        "set `python.max_requests = 10000`, and `server.master = true` if it is not",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_to_bind_is_a_bit() {
        assert!(may_bind("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(may_bind("CapEff:\t0000000000000400\n"));
        assert!(!may_bind("CapEff:\t0000000000000000\n"));
        assert!(!may_bind(""));
    }
}
