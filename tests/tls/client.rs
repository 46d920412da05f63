//! A client that speaks TLS by rustls, and clients of other making.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::authority::Authority;

/// What a client brings along to each connection.
#[derive(Clone)]
pub struct Client(pub Arc<ClientConfig>);

/// A connection.
pub struct Secure {
    pub reader: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and fields.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }
}

impl Client {
    pub fn trusting(authority: &Authority) -> Client {
        let config = ClientConfig::builder().with_root_certificates(roots(authority));
        Client(Arc::new(config.with_no_client_auth()))
    }

    /// The same, with a certificate of its own.
    pub fn with_certificate(
        authority: &Authority,
        (certificate, key): &(String, String),
    ) -> Client {
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots(authority));
        Client(Arc::new(config.with_client_auth_cert(chain, key).unwrap()))
    }

    /// With other settings.
    pub fn but(&self, change: impl FnOnce(&mut ClientConfig)) -> Client {
        let mut config = (*self.0).clone();
        change(&mut config);
        Client(Arc::new(config))
    }

    /// A connection to `localhost`, whose handshake is done.
    #[track_caller]
    pub fn open(&self, address: SocketAddr) -> Secure {
        self.open_as(address, "localhost").unwrap()
    }

    /// A connection to a host of this name.
    pub fn open_as(&self, address: SocketAddr, name: &str) -> std::io::Result<Secure> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        let mut tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
        tcp.set_write_timeout(Some(Duration::from_secs(30)))?;
        tcp.set_nodelay(true)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        let reader = BufReader::new(StreamOwned::new(tls, tcp));
        Ok(Secure { reader })
    }

    #[track_caller]
    pub fn get(&self, address: SocketAddr, path: &str) -> Answer {
        self.open(address).get(path)
    }
}

pub fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    roots
}

impl Secure {
    pub fn tls(&self) -> &ClientConnection {
        &self.reader.get_ref().conn
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())?;
        self.reader.get_mut().flush()
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.answer().unwrap()
    }

    /// Reads a response whose length is said, or that ends with the connection.
    pub fn answer(&mut self) -> std::io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).unwrap_or_default();
        let mut answer = Answer {
            status: status.parse().unwrap(),
            head,
            body: Vec::new(),
        };
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().unwrap()];
            self.reader.read_exact(&mut answer.body)?;
        } else {
            self.reader.read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }
}

/// Runs a client of other making to its end, with this on its standard input. What it wrote to
/// standard output and error, and whether it was content.
#[track_caller]
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut command = Command::new("timeout");
    let mut child = command
        .args(["60", program])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Some are gone before they have read it.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), output.stdout, errors)
}
