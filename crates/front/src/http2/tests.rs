//! What no application can bring about: a panic of the server's own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use appliance_gateway::{Answering, Gateway, GatewayError, Incomplete, News, Reply, Timing};
use appliance_gateway::{ReplyBody, Request};
use appliance_message::ResponseHead;
use appliance_project::Sources;
use appliance_project::tickets::TicketSecret;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, StatusCode};
use http_body::Frame;

use crate::Front;
use crate::tls::Tickets;

/// Panics where the path says so.
struct Panicking;

struct Answer {
    path: String,
}

struct Broken;

impl Gateway for Panicking {
    type Body = Broken;

    fn call(&self, request: Request) -> impl Answering<Broken> + use<> {
        let path = String::from_utf8_lossy(request.head.path()).into_owned();
        assert_ne!(path, "/call", "as asked");
        Answer { path }
    }
}

impl Answering<Broken> for Answer {
    fn poll_news(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Result<News<Broken>, GatewayError>> {
        assert_ne!(self.path, "/reply", "as asked");
        Poll::Ready(match self.path.as_str() {
            "/body" => Ok(News::Reply(Reply {
                head: ResponseHead::new(StatusCode::OK),
                body: ReplyBody::Stream(Broken),
                timing: Timing::default(),
            })),
            _ => Err(GatewayError::Timeout),
        })
    }
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        panic!("as asked")
    }
}

/// The status, or the reason of the reset.
async fn ask(client: &mut SendRequest<Bytes>, method: Method, path: &str) -> String {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://test{path}"))
        .body(())
        .expect("a request");
    let (response, _) = client.send_request(request, true).expect("sent");
    let response = match response.await {
        Ok(response) => response,
        Err(error) => return format!("{:?}", error.reason()),
    };
    let status = response.status().as_str().to_owned();
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        if let Err(error) = data {
            // Whether the head has left before that is a matter of time.
            return format!("{:?}", error.reason());
        }
    }
    status
}

#[tokio::test]
async fn a_panic_costs_its_stream_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("project.toml");
    let text = "[python]\nmodule = \"app\"\n[[site]]\nlisten = \"127.0.0.1:0\"\nhttp2 = \"always\"\n\
                routes.\"/\" = { wsgi = true }\n";
    std::fs::write(&file, text).expect("written");
    let sources = Sources {
        file,
        ..Sources::default()
    };
    let project = appliance_project::load(&sources)
        .expect("a project")
        .project;
    let secret = TicketSecret::new(SystemTime::now()).expect("randomness");
    let front = Front::new(&project, Panicking, &Tickets::new(secret), || {}).expect("a front");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let listeners = vec![(project.sites[0].listen[0], listener)];
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let stopped = async move { stopped.await.unwrap_or_default() };
    let front = Arc::clone(&front);
    let serving = tokio::spawn(crate::serve(
        front,
        listeners,
        stopped,
        Duration::from_secs(9),
    ));
    let tcp = tokio::net::TcpStream::connect(address).await.expect("open");
    let (client, connection) = h2::client::handshake(tcp).await.expect("shaken");
    let driver = tokio::spawn(connection);
    let mut client = client.ready().await.expect("ready");
    for (method, path, expected) in [
        (Method::GET, "/none", "504"),
        (Method::GET, "/call", "500"),
        (Method::HEAD, "/call", "500"),
        (Method::GET, "/reply", "500"),
        (Method::GET, "/body", "Some(INTERNAL_ERROR)"),
        (Method::GET, "/none", "504"),
    ] {
        assert_eq!(ask(&mut client, method, path).await, expected, "{path}");
    }
    drop(client);
    assert!(driver.await.expect("no panic").is_ok());
    stop.send(crate::Leave::default()).expect("it serves");
    assert_eq!(serving.await.expect("no panic").expect("served"), 0);
}
