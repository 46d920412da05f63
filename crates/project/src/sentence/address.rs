//! Of addresses, networks and host names.

use std::fmt::{self, Formatter};

use crate::fault::{AddressProblem, HostProblem};
use crate::key_path::{KeyPath, printable};
use crate::network::NetworkProblem;

pub(super) fn address(f: &mut Formatter<'_>, found: &str, problem: AddressProblem) -> fmt::Result {
    let found = printable(found);
    match problem {
        AddressProblem::NoPort => write!(f, "address `{found}` has no port"),
        AddressProblem::Name => write!(f, "`listen` needs an address, found the name `{found}`"),
        AddressProblem::Unix => write!(f, "`listen` needs an address, found the path `{found}`"),
        AddressProblem::UnixPath => write!(
            f,
            "`listen`: a unix socket is a path of at most 107 bytes, found `{found}`"
        ),
        AddressProblem::Uwsgi => write!(f, "`listen`: `{found}` is no `uwsgi://` address"),
        AddressProblem::Range => write!(f, "`listen` takes no range of ports, found `{found}`"),
        AddressProblem::Parameters | AddressProblem::Ssl => {
            write!(f, "`listen` takes an address alone, found `{found}`")
        }
        AddressProblem::Star | AddressProblem::Form => {
            write!(
                f,
                "`listen` must be a port from 0 to 65535 or an address with one, found `{found}`"
            )
        }
    }
}

pub(super) fn network(
    f: &mut Formatter<'_>,
    key: &KeyPath,
    found: &str,
    problem: NetworkProblem,
) -> fmt::Result {
    let found = printable(found);
    match problem {
        NetworkProblem::Name => write!(f, "`{key}` are addresses, found the name `{found}`"),
        NetworkProblem::Port => write!(f, "`{key}` are addresses without port, found `{found}`"),
        NetworkProblem::Prefix(longest) => {
            write!(f, "`{found}`: the prefix must be from 0 to {longest}")
        }
        NetworkProblem::Bits(_) => {
            write!(
                f,
                "`{found}` is not a network: it has bits behind its prefix"
            )
        }
        NetworkProblem::Form => write!(f, "`{key}` must be addresses or networks, found `{found}`"),
    }
}

pub(super) fn host(f: &mut Formatter<'_>, found: &str, problem: HostProblem) -> fmt::Result {
    let found = printable(found);
    match problem {
        HostProblem::Any => write!(f, "`{found}` is not a host name"),
        HostProblem::Wildcard => write!(
            f,
            "`{found}`: a `*` stands for whole parts of a name, at its beginning or its end"
        ),
        HostProblem::Regex => write!(
            f,
            "`server_name` takes no regular expressions, found `{found}`"
        ),
        HostProblem::Port => write!(f, "`server_name` is a name without port, found `{found}`"),
        HostProblem::Url => write!(f, "`server_name` is a name, found the URL `{found}`"),
        HostProblem::NotAscii | HostProblem::Form => write!(f, "`{found}` is not a host name"),
    }
}
