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
    /// Elsewhere, since a head is moved many times on its way to the application.
    pub(crate) text: Box<Text>,
}

/// The bytes of a head, and what is where in them.
#[derive(Debug, Clone)]
pub(crate) struct Text {
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
        self.text
            .bytes
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// The request's line, as it was sent, without its end.
    pub fn line(&self) -> &[u8] {
        let end = memchr::memchr(b'\r', &self.text.bytes).unwrap_or(self.text.bytes.len());
        &self.text.bytes[..end]
    }

    /// Bytes of line and fields, as HTTP/1.1 sends them.
    pub fn size(&self) -> usize {
        self.text.bytes.len()
    }

    /// The whole target, as it was sent.
    pub fn target(&self) -> &[u8] {
        self.slice(self.text.target)
    }

    /// The path, as it was sent: empty for the authority form, `*` for the asterisk, `/` for an
    /// absolute target without one.
    pub fn path(&self) -> &[u8] {
        if self.form == Target::Absolute && self.text.path.start == self.text.path.end {
            return b"/";
        }
        self.slice(self.text.path)
    }

    /// What follows the first `?`, if there is one.
    pub fn query(&self) -> Option<&[u8]> {
        self.text.query.map(|query| self.slice(query))
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
        let mut bytes = std::mem::take(&mut self.text.bytes).into_vec();
        let start = bytes.len() as u32;
        bytes.extend_from_slice(path);
        let end = bytes.len() as u32;
        self.text.path = Span { start, end };
        bytes.extend_from_slice(query.unwrap_or_default());
        self.text.query = query.map(|_| Span {
            start: end,
            end: bytes.len() as u32,
        });
        self.text.bytes = bytes.into();
    }

    /// Host and port that the request is for: those that were set, an absolute target's, whatever
    /// the Host field says (RFC 9112 §3.2.2), or the field's.
    pub fn host(&self) -> Option<&[u8]> {
        match (&self.text.told_host, self.text.authority) {
            (Some(told), _) => Some(told),
            (None, Some(authority)) => Some(self.slice(authority)),
            (None, None) => self.get(Name::Host),
        }
    }

    /// Whether that is another than the Host field's.
    pub fn has_other_host(&self) -> bool {
        self.text.told_host.is_some() || self.text.authority.is_some()
    }

    /// Sets host and port that the request is for, as a trusted proxy tells them.
    pub fn set_host(&mut self, host: &[u8]) {
        self.text.told_host = Some(host.into());
    }

    /// The first field of this name.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: Name) -> bool {
        self.text.present & name.bit() != 0
    }

    /// Whether there are several fields of this name.
    pub fn repeats(&self, name: Name) -> bool {
        self.text.repeated & name.bit() != 0
    }

    /// The values of all fields of this usual name, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let fields: &[Field] = if self.has(name) {
            &self.text.fields
        } else {
            &[]
        };
        fields
            .iter()
            .filter(move |field| field.name == name)
            .map(|field| self.slice(field.value))
    }

    /// All fields in order: usual name, name as spelled, value.
    pub fn fields(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.text.fields.iter().map(|field| {
            let (spelled, value) = (self.slice(field.spelled), self.slice(field.value));
            (field.name, spelled, value)
        })
    }

    /// Removes fields, by usual name and name as spelled.
    pub fn remove(&mut self, unwanted: impl Fn(Name, &[u8]) -> bool) {
        let bytes = &self.text.bytes;
        let spelled = |span: Span| &bytes[span.start as usize..span.end as usize];
        self.text
            .fields
            .retain(|field| !unwanted(field.name, spelled(field.spelled)));
        let names = self.text.fields.iter().map(|field| field.name);
        self.text.present = names.fold(0, |present, name| present | name.bit());
        self.text.repeated &= self.text.present;
    }
}
