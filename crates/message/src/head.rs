//! A request's head: its bytes, and where in them everything is.

use http::{Method, Version};

use crate::Name;

/// A part of the head's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) spelled: Span,
    pub(crate) value: Span,
}

/// The four forms of a target (RFC 9112 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `/path?query`.
    Origin,
    /// `http://host/path?query`.
    Absolute,
    /// `host:port`, of CONNECT.
    Authority,
    /// `*`, of OPTIONS.
    Asterisk,
}

/// A request's head.
#[derive(Debug, Clone)]
pub struct Head {
    /// Any token.
    pub method: Method,
    /// 1.0 or 1.1 as it was understood, or 2.
    pub version: Version,
    /// The target's form.
    pub form: Target,
    pub(crate) bytes: Box<[u8]>,
    pub(crate) target: Span,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) authority: Option<Span>,
    /// What [`Head::set_host`] has set.
    pub(crate) told_host: Option<Box<[u8]>>,
    pub(crate) fields: Vec<Field>,
    /// Which usual names occur, and which more than once.
    pub(crate) present: u64,
    pub(crate) repeated: u64,
}

impl Head {
    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        self.bytes
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// The request's line, as it was sent, without its end.
    pub fn line(&self) -> &[u8] {
        let end = memchr::memchr(b'\r', &self.bytes).unwrap_or(self.bytes.len());
        &self.bytes[..end]
    }

    /// Bytes of line and fields, as HTTP/1.1 sends them.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The whole target, as it was sent.
    pub fn target(&self) -> &[u8] {
        self.slice(self.target)
    }

    /// The path, as it was sent: empty for the authority form, `*` for the asterisk, `/` for an
    /// absolute target without one.
    pub fn path(&self) -> &[u8] {
        if self.form == Target::Absolute && self.path.start == self.path.end {
            return b"/";
        }
        self.slice(self.path)
    }

    /// What follows the first `?`, if there is one.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|query| self.slice(query))
    }

    /// The path with its query: the origin form of any target.
    pub fn path_and_query(&self) -> Vec<u8> {
        match self.query() {
            Some(query) => [self.path(), b"?", query].concat(),
            None => self.path().to_vec(),
        }
    }

    /// Goes on with another path and query. [`line`](Self::line) and [`target`](Self::target) stay
    /// what was sent.
    pub fn rewrite(&mut self, path: &[u8], query: Option<&[u8]>) {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        let start = bytes.len() as u32;
        bytes.extend_from_slice(path);
        let end = bytes.len() as u32;
        self.path = Span { start, end };
        bytes.extend_from_slice(query.unwrap_or_default());
        self.query = query.map(|_| Span {
            start: end,
            end: bytes.len() as u32,
        });
        self.bytes = bytes.into();
    }

    /// Host and port that the request is for: those that were set, an absolute target's, whatever
    /// the Host field says (RFC 9112 §3.2.2), or the field's.
    pub fn host(&self) -> Option<&[u8]> {
        match (&self.told_host, self.authority) {
            (Some(told), _) => Some(told),
            (None, Some(authority)) => Some(self.slice(authority)),
            (None, None) => self.get(Name::Host),
        }
    }

    /// Sets host and port that the request is for, as a trusted proxy tells them.
    pub fn set_host(&mut self, host: &[u8]) {
        self.told_host = Some(host.into());
    }

    /// The first field of this name.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: Name) -> bool {
        self.present & name.bit() != 0
    }

    /// Whether there are several fields of this name.
    pub fn repeats(&self, name: Name) -> bool {
        self.repeated & name.bit() != 0
    }

    /// The values of all fields of this usual name, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let fields: &[Field] = if self.has(name) { &self.fields } else { &[] };
        fields
            .iter()
            .filter(move |field| field.name == name)
            .map(|field| self.slice(field.value))
    }

    /// All fields in order: usual name, name as spelled, value.
    pub fn fields(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.fields.iter().map(|field| {
            let (spelled, value) = (self.slice(field.spelled), self.slice(field.value));
            (field.name, spelled, value)
        })
    }

    /// Removes fields, by usual name and name as spelled.
    pub fn remove(&mut self, unwanted: impl Fn(Name, &[u8]) -> bool) {
        let bytes = &self.bytes;
        let spelled = |span: Span| &bytes[span.start as usize..span.end as usize];
        self.fields
            .retain(|field| !unwanted(field.name, spelled(field.spelled)));
        let names = self.fields.iter().map(|field| field.name);
        self.present = names.fold(0, |present, name| present | name.bit());
        self.repeated &= self.present;
    }
}
