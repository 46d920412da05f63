//! What can be wrong with `uwsgi://` addresses, and what to do about it.

use std::fmt;
use std::net::SocketAddr;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum UwsgiFault {
    /// Anybody could connect, and nobody is trusted.
    NobodyTrusted { address: SocketAddr },
    /// Two sites of one address or socket, one of which says `uwsgi://`.
    Differs {
        address: String,
        here: bool,
        other: usize,
    },
}

impl fmt::Display for UwsgiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UwsgiFault::NobodyTrusted { address } => write!(
                f,
                "`uwsgi://{address}` needs `server.trusted_proxies`: whoever connects says who the client is"
            ),
            UwsgiFault::Differs {
                address,
                here,
                other,
            } => {
                let (here, there) = match here {
                    true => ("with", "without"),
                    false => ("without", "with"),
                };
                write!(
                    f,
                    "`{address}` is {here} `uwsgi://` here, but {there} it in `site.{other}`"
                )
            }
        }
    }
}

impl UwsgiFault {
    pub(crate) fn help(&self) -> String {
        match self {
            UwsgiFault::NobodyTrusted { address } => format!(
                "listen on \"uwsgi://127.0.0.1:{}\" or a unix socket, or add the gateways' addresses to \
                 `[server]`: `trusted_proxies = [\"10.0.0.5\"]`",
                address.port()
            ),
            UwsgiFault::Differs { .. } => {
                "a connection's site is not known when it begins: say the same in both, or listen on two \
                 ports"
                    .into()
            }
        }
    }
}
