//! HTTP/1.1 on the gateway's port: the upgrade to WebSocket, on any path, and the dashboard.

mod origin;
mod site;

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::websocket::WebSocket;
use origin::Refused;
use site::SITE;

pub(crate) use origin::Access;

/// Most bytes a request's head may have.
const MAX_HEAD: usize = 8 * 1024;

/// Answers HTTP on a stream until it becomes a WebSocket; `None` where it never does. A request's head may take as long
/// as `patience`; for the answer no deadline is set.
pub(crate) async fn upgrade<S>(
    stream: S,
    access: &Access,
    patience: Duration,
) -> Result<Option<WebSocket<S>>, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (upgrades, mut upgraded) = mpsc::channel(1);
    let service = service_fn(|request| {
        let response = respond(request, access, &upgrades);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    let Ok(upgrade) = upgraded.try_recv() else { return Ok(None) };
    let upgrade: OnUpgrade = upgrade;
    let Ok(parts) = upgrade.await?.downcast::<TokioIo<S>>() else { return Ok(None) };
    // A copy of what was read, which is little: the buffer it lies in is not.
    Ok(Some(WebSocket::server(parts.io.into_inner(), parts.read_buf.to_vec()).await))
}

fn respond(
    mut request: Request<Incoming>,
    access: &Access,
    upgrades: &mpsc::Sender<OnUpgrade>,
) -> Response<Full<Bytes>> {
    let headers = request.headers();
    if !has_token(headers, &UPGRADE, "websocket") {
        let answer = |()| SITE.answer(request.method(), request.uri().path(), headers);
        return access.page(headers).map_or_else(refuse, answer);
    }
    if let Err(refused) = access.upgrade(headers) {
        return refuse(refused);
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return page(StatusCode::BAD_REQUEST, "The header 'Connection: Upgrade' is missing.\n");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut response = page(StatusCode::UPGRADE_REQUIRED, "Only WebSocket version 13 is spoken here.\n");
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    }
    let Some(accept) = headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes())) else {
        return page(StatusCode::BAD_REQUEST, "The header 'Sec-WebSocket-Key' is missing.\n");
    };
    let (Ok(accept), Ok(())) =
        (HeaderValue::from_str(&accept), upgrades.try_send(hyper::upgrade::on(&mut request)))
    else {
        return page(StatusCode::BAD_REQUEST, "This connection is being upgraded already.\n");
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Whether a comma-separated header names the token, in any case (RFC 9110 §5.6.1).
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn refuse(refused: Refused) -> Response<Full<Bytes>> {
    match refused {
        Refused::Host => page(
            StatusCode::MISDIRECTED_REQUEST,
            "This gateway does not go by that name. If it should, start it with --allow-host NAME.\n",
        ),
        Refused::Origin => page(
            StatusCode::FORBIDDEN,
            "Pages of that origin may not connect. If they should, start the gateway with --allow-origin ORIGIN.\n",
        ),
    }
}

fn page(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
