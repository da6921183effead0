//! What an operator is told: `/metrics`, `/healthz`, `/readyz`, over HTTP/1.1 on an address of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::METRICS;

/// Most connections at once; more wait to be accepted.
const CONNECTIONS: usize = 16;

/// How long a connection may take to ask.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept at most: whoever scrapes comes again.
const LIFETIME: Duration = Duration::from_secs(60);

/// Most bytes a request's head may have.
const MAX_HEAD: usize = 8 * 1024;

/// How long accepting rests when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Opens the operator's address.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until it is aborted.
pub(crate) async fn serve(listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    let _ = timeout(LIFETIME, answer(stream)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to the metrics");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream) -> Result<(), hyper::Error> {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(respond(&request)) });
    http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "Only GET is answered here.\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => text(StatusCode::OK, OPENMETRICS, METRICS.render()),
        "/healthz" => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        "/readyz" if METRICS.node_up.get() == 1 => text(StatusCode::OK, PLAIN, "ready\n".to_owned()),
        "/readyz" => {
            let body = "The node does not answer; the gateway's log says why.\n";
            text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, body.to_owned())
        }
        _ => text(StatusCode::NOT_FOUND, PLAIN, "There are /metrics, /healthz and /readyz.\n".to_owned()),
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
