//! Events of the program become lines.

use std::cell::RefCell;
use std::fmt;

use appliance_project::model::LogLevel;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::form::Severity;
use crate::route;

/// Writes every event as one line.
pub(crate) struct Lines {
    process: String,
}

impl Lines {
    pub(crate) fn new(process: String) -> Lines {
        Lines { process }
    }
}

/// What an event says.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) message: String,
    /// Name and value; the value as it is shown.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

/// A value of a field.
pub(crate) enum Value {
    /// Numbers and flags: in JSON without quotes.
    Plain(String),
    Text(String),
    /// For people in quotes.
    Quoted(String),
}

pub(crate) fn least(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let mut said = Said::default();
        event.record(&mut said);
        let severity = match *event.metadata().level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warning,
            Level::INFO => Severity::Info,
            Level::DEBUG | Level::TRACE => Severity::Debug,
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => route::event(&mut line, severity, &self.process, &said),
            // A line about a line that could not be written.
            Err(_) => route::event(&mut Vec::new(), severity, &self.process, &said),
        });
    }
}

impl Said {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Plain(text) | Value::Text(text) | Value::Quoted(text)) => {
                self.message = text;
            }
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Quoted(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, Value::Text(value.to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::Text(format!("{value:?}")));
    }
}
