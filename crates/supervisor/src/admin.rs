//! The admin listener (`server.admin`): health, readiness, metrics and status for machines.
//!
//! It has a thread and a runtime of its own, so that a slow scraper holds up nobody; what it says
//! it asks of the master.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::event::Event;
use crate::listeners::BindError;
use crate::protocol::{Status, WorkerStatus};

mod metrics;
mod page;

/// A master that does not answer for this long is not well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Listens on `address`.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    // The standard library sets SO_REUSEADDR: connections of the last run do not stand in the way.
    TcpListener::bind(address).map_err(|error| BindError::new(address, error))
}

/// Answers on `listener` until the process ends.
pub(crate) fn serve(listener: &TcpListener, master: UnboundedSender<Event>) -> std::io::Result<()> {
    let listener = listener.try_clone()?;
    tracing::info!(
        "health, metrics and status on http://{}",
        listener.local_addr()?
    );
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, routes(Master(master))).await
    };
    std::thread::Builder::new()
        .name("appliance-admin".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(answer) {
                tracing::error!(%error, "the admin listener has failed");
            }
        })?;
    Ok(())
}

fn routes(master: Master) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(master)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            PATIENCE,
        ))
        .layer(CatchPanicLayer::new())
}

/// The way to the master.
#[derive(Debug, Clone)]
struct Master(UnboundedSender<Event>);

impl Master {
    async fn status(&self, requests: bool) -> Result<Status, StatusCode> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| StatusCode::SERVICE_UNAVAILABLE;
        self.0
            .send(Event::Looked { requests, answer })
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        answered.await.map_err(gone)
    }
}

/// Whether the supervisor goes on: it answers.
async fn health(State(master): State<Master>) -> Result<&'static str, StatusCode> {
    master.status(false).await.map(|_| "alive\n")
}

/// Whether requests to the application would be answered by it.
async fn readiness(State(master): State<Master>) -> Result<Response, StatusCode> {
    let status = master.status(false).await?;
    Ok(match status.is_ready() {
        true => "ready\n".into_response(),
        false => {
            let text = format!("not ready: {}\n", status.state);
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    })
}

async fn metrics(State(master): State<Master>) -> Result<Response, StatusCode> {
    let status = master.status(false).await?;
    let form = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((form, metrics::text(&status)).into_response())
}

async fn status(
    State(master): State<Master>,
    RawQuery(query): RawQuery,
) -> Result<Json<Status>, StatusCode> {
    let requests = query.as_deref() == Some("requests");
    let mut status = master.status(requests).await?;
    status.workers.iter_mut().for_each(hide_queries);
    Ok(Json(status))
}

/// This listener asks nobody who they are, and a query may hold what lets somebody in: a token to
/// reset a password, a key of an API. The control socket tells all of it.
fn hide_queries(worker: &mut WorkerStatus) {
    for request in worker.requests.iter_mut().flatten() {
        if let Some(query) = request.url.find('?') {
            request.url.truncate(query);
            request.url.push_str("?…");
        }
    }
}
