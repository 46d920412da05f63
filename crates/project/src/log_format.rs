//! Formats of the access log: nginx's variables in a text, taken apart once.

use serde::{Deserialize, Serialize};

/// `site.access_log_format`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFormat {
    /// In order.
    pub parts: Vec<LinePart>,
    /// Values are escaped as in a JSON string; or else as nginx does by default: `\x22`.
    pub json: bool,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinePart {
    /// As it is.
    Text(String),
    /// Of the request.
    Value(LineValue),
}

/// What a line can say of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineValue {
    /// `$remote_addr`
    RemoteAddr,
    /// `$remote_port`
    RemotePort,
    /// `$remote_user`
    RemoteUser,
    /// `$time_local`: in UTC.
    TimeLocal,
    /// `$time_iso8601`: in UTC.
    TimeIso8601,
    /// `$msec`
    Msec,
    /// `$request`
    Request,
    /// `$request_method`
    RequestMethod,
    /// `$request_uri`
    RequestUri,
    /// `$uri`
    Uri,
    /// `$args`
    Args,
    /// `$server_protocol`
    ServerProtocol,
    /// `$host`
    Host,
    /// `$scheme`
    Scheme,
    /// `$server_addr`
    ServerAddr,
    /// `$server_port`
    ServerPort,
    /// `$http_NAME`: lower case, hyphens.
    RequestField(String),
    /// `$sent_http_NAME`: likewise.
    ResponseField(String),
    /// `$status`
    Status,
    /// `$body_bytes_sent`
    BodyBytesSent,
    /// `$bytes_sent`
    BytesSent,
    /// `$request_time`: seconds.
    RequestTime,
    /// `$queue_time`: seconds.
    QueueTime,
    /// `$application_time`: seconds.
    ApplicationTime,
    /// `$request_id`
    RequestId,
    /// `$worker`
    Worker,
    /// `$pid`
    Pid,
}

const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";
const COMMON: &str =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";
const JSON: &str = "{\"time\":\"$time_iso8601\",\"remote_addr\":\"$remote_addr\",\"host\":\"$host\",\
                    \"method\":\"$request_method\",\"uri\":\"$request_uri\",\"protocol\":\"$server_protocol\",\
                    \"status\":$status,\"bytes\":$body_bytes_sent,\"request_time\":$request_time,\
                    \"queue_time\":$queue_time,\"application_time\":$application_time,\
                    \"referer\":\"$http_referer\",\"user_agent\":\"$http_user_agent\",\
                    \"request_id\":\"$request_id\",\"worker\":$worker}";

/// Those without a part of their own.
const NAMED: [(&str, LineValue); 27] = [
    ("remote_addr", LineValue::RemoteAddr),
    ("remote_port", LineValue::RemotePort),
    ("remote_user", LineValue::RemoteUser),
    ("time_local", LineValue::TimeLocal),
    ("time_iso8601", LineValue::TimeIso8601),
    ("msec", LineValue::Msec),
    ("request", LineValue::Request),
    ("request_method", LineValue::RequestMethod),
    ("request_uri", LineValue::RequestUri),
    ("uri", LineValue::Uri),
    ("args", LineValue::Args),
    ("query_string", LineValue::Args),
    ("server_protocol", LineValue::ServerProtocol),
    ("host", LineValue::Host),
    ("scheme", LineValue::Scheme),
    ("server_addr", LineValue::ServerAddr),
    ("server_port", LineValue::ServerPort),
    ("status", LineValue::Status),
    ("body_bytes_sent", LineValue::BodyBytesSent),
    ("bytes_sent", LineValue::BytesSent),
    ("request_time", LineValue::RequestTime),
    ("queue_time", LineValue::QueueTime),
    ("application_time", LineValue::ApplicationTime),
    ("upstream_response_time", LineValue::ApplicationTime),
    ("request_id", LineValue::RequestId),
    ("worker", LineValue::Worker),
    ("pid", LineValue::Pid),
];

/// What is wrong with a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormatProblem {
    /// Nobody knows this variable; which one it may be.
    Unknown {
        name: String,
        near: Option<&'static str>,
    },
    /// A `$` without a name, or `${` without its end.
    NoName,
    /// No variable at all.
    Nothing,
    /// An end of line in the text.
    Newline,
}

impl LineFormat {
    /// `common`, `combined`, `json`, or a text with variables.
    pub(crate) fn parse(text: &str) -> Result<LineFormat, FormatProblem> {
        let text = match text {
            "common" => COMMON,
            "combined" => COMBINED,
            "json" => JSON,
            text => text,
        };
        if text.contains(['\n', '\r', '\0']) {
            return Err(FormatProblem::Newline);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            add_text(&mut parts, before);
            let (name, after) = name(after).ok_or(FormatProblem::NoName)?;
            parts.push(LinePart::Value(value(name)?));
            rest = after;
        }
        add_text(&mut parts, rest);
        match parts.iter().any(|part| matches!(part, LinePart::Value(_))) {
            true => Ok(LineFormat {
                parts,
                json: text.starts_with('{'),
            }),
            false => Err(FormatProblem::Nothing),
        }
    }
}

fn add_text(parts: &mut Vec<LinePart>, text: &str) {
    if !text.is_empty() {
        parts.push(LinePart::Text(text.to_owned()));
    }
}

/// A name, in braces or not, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_of_name(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn value(name: &str) -> Result<LineValue, FormatProblem> {
    if let Some((_, value)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Ok(value.clone());
    }
    let field = |prefix| {
        let field: &str = name.strip_prefix(prefix)?;
        let is_field = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good = !field.is_empty() && field.bytes().all(is_field);
        good.then(|| field.to_ascii_lowercase().replace('_', "-"))
    };
    if let Some(field) = field("sent_http_") {
        return Ok(LineValue::ResponseField(field));
    }
    if let Some(field) = field("http_") {
        return Ok(LineValue::RequestField(field));
    }
    let nearest = NAMED
        .iter()
        .map(|(known, _)| (strsim::osa_distance(known, name), *known))
        .min();
    Err(FormatProblem::Unknown {
        name: name.to_owned(),
        near: nearest.and_then(|(distance, known)| (distance <= 3).then_some(known)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart() {
        let parse = |text| LineFormat::parse(text).map(|format| format.parts);
        let text = |text: &str| LinePart::Text(text.into());
        assert_eq!(
            parse("$remote_addr \"${request}\" $http_User_Agent/$sent_http_x_a"),
            Ok(vec![
                LinePart::Value(LineValue::RemoteAddr),
                text(" \""),
                LinePart::Value(LineValue::Request),
                text("\" "),
                LinePart::Value(LineValue::RequestField("user-agent".into())),
                text("/"),
                LinePart::Value(LineValue::ResponseField("x-a".into())),
            ])
        );
        for ready in ["common", "combined", "json"] {
            assert!(parse(ready).is_ok(), "{ready}");
        }
        assert!(LineFormat::parse("json").unwrap().json);
        assert!(!LineFormat::parse("combined").unwrap().json);
    }

    #[test]
    fn what_is_no_format_is_refused() {
        let unknown = |name: &str, near| {
            Err(FormatProblem::Unknown {
                name: name.into(),
                near,
            })
        };
        assert_eq!(
            LineFormat::parse("$stauts"),
            unknown("stauts", Some("status"))
        );
        assert_eq!(
            LineFormat::parse("$upstream_addr_x"),
            unknown("upstream_addr_x", None)
        );
        assert_eq!(LineFormat::parse("a $ b"), Err(FormatProblem::NoName));
        assert_eq!(LineFormat::parse("${status"), Err(FormatProblem::NoName));
        assert_eq!(LineFormat::parse("${}"), Err(FormatProblem::NoName));
        assert_eq!(LineFormat::parse("main"), Err(FormatProblem::Nothing));
        assert_eq!(LineFormat::parse("$status\n"), Err(FormatProblem::Newline));
    }
}
