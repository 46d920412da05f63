//! `[server]` and `[hooks]`.

use crate::key_path::quoted;
use crate::model::{Hooks, LogLevel, Server};
use crate::reader::Table;

use super::Check;
use super::application::optional;

impl Check<'_, '_> {
    pub(super) fn server(&mut self, table: &Table<'_>) -> Option<Server> {
        let master = self.reader.flag(table, "master");
        let stop_timeout = self.reader.duration(table, "stop_timeout");
        let control = optional(table, "control", || Some(self.path(table, "control")?.0));
        let pidfile = optional(table, "pidfile", || Some(self.path(table, "pidfile")?.0));
        let log_level = self.reader.choice(table, "log_level");
        Some(Server {
            master: master?,
            stop_timeout: stop_timeout?,
            control: control?,
            pidfile: pidfile?,
            log_level: level(log_level?),
        })
    }

    pub(super) fn hooks(&mut self, table: &Table<'_>) -> Option<Hooks> {
        let commands = self.reader.list(table, "before_start")?;
        let before_start: Vec<String> = commands.into_iter().map(|(text, _)| text).collect();
        let entry = table.entry("before_start")?;
        let printed = print_list(&before_start);
        Some(self.reader.accept(&entry, printed, Hooks { before_start }))
    }
}

fn level(name: &str) -> LogLevel {
    match name {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        _ => LogLevel::Info,
    }
}

/// `["a", "b"]`.
pub(super) fn print_list<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}
