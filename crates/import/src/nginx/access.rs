//! Who may come in, and how often: `allow` and `deny`, passwords, `limit_req`.
//!
//! nginx takes the first `allow` or `deny` that fits; here the network that names a client most
//! exactly decides. The two differ only for a rule that stands behind a wider one, and that rule
//! had no effect.

use std::net::IpAddr;

use toml_edit::{InlineTable, Value};

use crate::convert::{Converted, list};
use crate::draft::Line;
use crate::report::Verdict;
use crate::source::Place;

use super::level::{Level, Reader};
use super::scope::Scope;
use super::tree::Directive;

/// Every client there is.
const ALL: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Networks, as project.toml has them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Reader<'_, '_> {
    /// The restrictions that stand directly in a block.
    pub(super) fn access(&mut self, level: Level, block: &[Directive], scope: &mut Scope) {
        self.addresses(level, block, scope);
        self.passwords(level, block, scope);
    }

    fn addresses(&mut self, level: Level, block: &[Directive], scope: &mut Scope) {
        let is_rule = |directive: &&Directive| matches!(directive.name.as_str(), "allow" | "deny");
        let rules: Vec<_> = block.iter().filter(is_rule).collect();
        let Some(first) = rules.first() else {
            return;
        };
        let written: Vec<_> = rules
            .iter()
            .map(|rule| (rule.name == "allow", rule.arg()))
            .collect();
        let Some(lists) = lists(&written) else {
            for rule in &rules[1..] {
                self.row(
                    rule.place,
                    Verdict::Missing,
                    "belongs to the rules before it",
                );
            }
            return self.guard(first.place, "access was restricted here", scope);
        };
        for rule in &rules {
            self.row(rule.place, Verdict::Carried, "`allow` and `deny`");
        }
        // A level's own rules replace those of the levels around it, the empty ones too.
        let lines = lines(level, scope);
        lines.retain(|line| line.key != "allow" && line.key != "deny");
        let is_route = level == Level::Location;
        if !lists.allow.is_empty() || is_route {
            let names: Vec<&str> = match lists.allow.is_empty() {
                true if is_route && lists.deny.iter().any(|deny| ALL.contains(&deny.as_str())) => {
                    Vec::new()
                }
                true => ALL.to_vec(),
                false => lists.allow.iter().map(String::as_str).collect(),
            };
            if !names.is_empty() {
                put(lines, "allow", list(&names), first.place);
            }
        }
        if !lists.deny.is_empty() || is_route {
            let names: Vec<&str> = lists.deny.iter().map(String::as_str).collect();
            put(lines, "deny", list(&names), first.place);
        }
    }

    fn passwords(&mut self, level: Level, block: &[Directive], scope: &mut Scope) {
        let find = |name: &str| block.iter().find(|directive| directive.name == name);
        let (realm, file) = (find("auth_basic"), find("auth_basic_user_file"));
        if let Some(file) = file {
            let path = self.conf.join(file.arg()).display().to_string();
            let text = format!(
                "`password_file = \"{path}\"`: hashes by `htpasswd -B`, weaker ones are refused"
            );
            self.row(file.place, Verdict::Carried, text);
            put(
                lines(level, scope),
                "password_file",
                path.into(),
                file.place,
            );
        }
        let Some(realm) = realm else {
            return;
        };
        let place = realm.place;
        if realm.arg() == "off" {
            self.row(place, Verdict::Carried, "`password_file = false`");
            let lines = lines(level, scope);
            lines.retain(|line| !matches!(line.key.as_str(), "password_file" | "realm"));
            if level == Level::Location {
                put(lines, "password_file", false.into(), place);
            }
            return;
        }
        let has_file = |lines: &[Line]| lines.iter().any(|line| line.key == "password_file");
        if !has_file(&scope.site) && !has_file(&scope.route) {
            return self.guard(
                place,
                "access was restricted here, by passwords that no file has",
                scope,
            );
        }
        let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '$');
        match realm.arg().chars().all(plain) {
            true => {
                self.row(place, Verdict::Carried, "`realm`");
                put(lines(level, scope), "realm", realm.arg().into(), place);
            }
            false => self.row(place, Verdict::Default, "its name is `Restricted`"),
        }
    }

    /// `limit_req zone=login burst=3 nodelay`: requests beyond the burst are refused, none delayed.
    pub(super) fn limit_req(&mut self, level: Level, directive: &Directive, scope: &mut Scope) {
        let word = |name: &str| directive.args.iter().find_map(|arg| arg.strip_prefix(name));
        let zone = word("zone=").and_then(|zone| self.backends.zones.get(zone));
        let Some((rate, by)) = zone.cloned() else {
            let text = "its zone's rate or key cannot be carried over: write `rate_limit` by hand";
            return self.row(directive.place, Verdict::Missing, text);
        };
        let burst = word("burst=").and_then(|burst| burst.parse::<i64>().ok());
        let mut table = InlineTable::new();
        table.insert("rate", rate.into());
        table.insert(
            "burst",
            burst
                .unwrap_or(0)
                .clamp(0, 999_999)
                .saturating_add(1)
                .into(),
        );
        if by != "address" {
            table.insert("by", by.into());
        }
        let text = format!(
            "`rate_limit = {}`",
            crate::draft::plain(&Value::InlineTable(table.clone()))
        );
        self.row(directive.place, Verdict::Carried, text);
        put(
            lines(level, scope),
            "rate_limit",
            Value::InlineTable(table),
            directive.place,
        );
    }
}

/// Where a level's rules go.
fn lines(level: Level, scope: &mut Scope) -> &mut Vec<Line> {
    match level {
        Level::Location => &mut scope.route,
        _ => &mut scope.site,
    }
}

fn put(lines: &mut Vec<Line>, key: &str, value: Value, place: Place) {
    Scope::put(
        lines,
        Line::said(key, Converted { value, rank: None }, place),
    );
}

/// What a `limit_req_zone` says: its name, rate and key.
pub(super) fn zone(directive: &Directive) -> Option<(String, (String, String))> {
    let word = |name: &str| directive.args.iter().find_map(|arg| arg.strip_prefix(name));
    let name = word("zone=")?.split(':').next()?.to_owned();
    let rate = word("rate=")?.replace("r/", "/");
    let by = match directive.arg() {
        "$binary_remote_addr" | "$remote_addr" => "address".to_owned(),
        "$server_name" | "$host" => "route".to_owned(),
        key => format!("field {}", key.strip_prefix("$http_")?.replace('_', "-")),
    };
    Some((name, (rate, by)))
}

/// The lists that say the same; none where an address cannot be read.
fn lists(rules: &[(bool, &str)]) -> Option<Rules> {
    let (mut lists, mut before) = (Rules::default(), Vec::new());
    let mut open = true;
    for (allows, text) in rules {
        if *text == "all" {
            // What follows has no effect.
            open = *allows;
            break;
        }
        if text.starts_with("unix:") {
            continue;
        }
        let network = network(text)?;
        if before.iter().any(|wider| contains(wider, &network)) {
            continue;
        }
        before.push(network);
        match allows {
            true => lists.allow.push(print(network)),
            false => lists.deny.push(print(network)),
        }
    }
    match (open, lists.allow.is_empty()) {
        (true, false) => lists.allow.extend(ALL.map(String::from)),
        (false, true) => lists.deny = ALL.map(String::from).to_vec(),
        _ => {}
    }
    Some(lists)
}

/// Whether it is IPv4, its bits, and how many of them count.
type Network = (IpAddr, u32);

/// nginx lets bits stand behind the prefix; they do not count.
fn network(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u32 = if prefix.is_empty() {
        longest
    } else {
        prefix.parse().ok()?
    };
    (prefix <= longest).then(|| (masked(address, prefix), prefix))
}

fn masked(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

fn contains(wider: &Network, narrower: &Network) -> bool {
    let same_kind = wider.0.is_ipv4() == narrower.0.is_ipv4();
    same_kind && wider.1 <= narrower.1 && masked(narrower.0, wider.1) == wider.0
}

fn print((address, prefix): Network) -> String {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match prefix == longest {
        true => address.to_string(),
        false => format!("{address}/{prefix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rules: &[(bool, &str)]) -> (Vec<String>, Vec<String>) {
        let lists = lists(rules).unwrap();
        (lists.allow, lists.deny)
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn rules_in_order_become_lists() {
        let (yes, no) = (true, false);
        // The usual one.
        assert_eq!(
            of(&[(yes, "10.0.0.1/8"), (yes, "::1"), (no, "all")]),
            (strings(&["10.0.0.0/8", "::1"]), strings(&[]))
        );
        assert_eq!(
            of(&[(no, "10.0.0.1"), (yes, "10.0.0.0/8"), (no, "all")]),
            (strings(&["10.0.0.0/8"]), strings(&["10.0.0.1"]))
        );
        assert_eq!(
            of(&[(no, "10.0.0.1")]),
            (strings(&[]), strings(&["10.0.0.1"]))
        );
        assert_eq!(
            of(&[(yes, "10.0.0.1"), (no, "10.0.0.0/8")]),
            (
                strings(&["10.0.0.1", "0.0.0.0/0", "::/0"]),
                strings(&["10.0.0.0/8"])
            )
        );
        assert_eq!(
            of(&[(no, "all")]),
            (strings(&[]), strings(&["0.0.0.0/0", "::/0"]))
        );
        // Behind a wider rule, and behind `all`, it had no effect.
        assert_eq!(
            of(&[(no, "10.0.0.0/8"), (yes, "10.0.0.1"), (yes, "all")]),
            (strings(&[]), strings(&["10.0.0.0/8"]))
        );
        assert_eq!(
            of(&[(no, "all"), (yes, "10.0.0.1")]),
            (strings(&[]), strings(&["0.0.0.0/0", "::/0"]))
        );
        assert_eq!(lists(&[(yes, "$geo")]), None);
        assert_eq!(lists(&[(yes, "10.0.0.0/33")]), None);
    }
}
