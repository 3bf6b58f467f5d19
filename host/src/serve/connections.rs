//! Accepts connections. It limits how many are open, how large the head of a request is, and how long a client may take
//! to send a request and to receive its response.
//!
//! A connection is unknown until a request on it was admitted. If too many unknown ones are open, a new one takes the
//! place of the oldest. So clients that send nothing, or slowly, cannot keep others out.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The most connections of a process.
const MAX_CONNECTIONS: usize = 512;
/// Open files that the process asks for. Warehouses, models and plugins need some beside the connections.
const FILES: u64 = 4_096;
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// The largest head of a request, in bytes. Other servers on this machine may have set large cookies.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// The most bytes of a connection that wait to be parsed or sent.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What connections may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections on which no request was admitted yet.
    pub(super) unknown: usize,
    /// Connections on which a request was admitted.
    pub(super) known: usize,
    /// Streams of events.
    pub(super) event_streams: usize,
    /// The time for the head of a request. An idle connection is closed after it.
    pub(super) head_time: Duration,
    /// The time for the body of a request.
    pub(super) body_time: Duration,
    /// The time in which a client must take a part of a response.
    pub(super) stall_time: Duration,
}

impl Limits {
    /// The limits of this process. At most half of the files that it may open are connections.
    pub(super) fn of_process() -> Self {
        let files = usize::try_from(raise_file_limit()).unwrap_or(usize::MAX);
        let connections = MAX_CONNECTIONS.min(files / 2).max(8);
        Self {
            unknown: connections / 4,
            known: connections - connections / 4,
            event_streams: connections / 4,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(30),
        }
    }
}

/// Raises the number of files that the process may open, if its hard limit allows. Returns the number.
#[cfg(unix)]
fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let wanted = FILES.min(limit.maximum.unwrap_or(u64::MAX));
    if current >= wanted {
        return current;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    raised.map_or(current, |()| wanted)
}

#[cfg(not(unix))]
fn raise_file_limit() -> u64 {
    FILES
}

/// The open connections.
struct ConnectionTable {
    limits: Limits,
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    next_id: u64,
    /// The unknown ones in the order of their start, each with what closes it.
    unknown: BTreeMap<u64, CancellationToken>,
    known: usize,
}

impl ConnectionTable {
    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, in the place of the oldest unknown one if there are too many.
    fn add(self: &Arc<Self>) -> ClientConnection {
        let mut open = self.open();
        while open.unknown.len() >= self.limits.unknown.max(1) {
            open.close_oldest();
        }
        let (id, closed) = (open.next_id, CancellationToken::new());
        open.next_id += 1;
        open.unknown.insert(id, closed.clone());
        ClientConnection { id, closed, table: Arc::clone(self) }
    }
}

impl OpenConnections {
    fn close_oldest(&mut self) {
        if let Some((_, closed)) = self.unknown.pop_first() {
            closed.cancel();
        }
    }
}

/// A connection, as the requests on it see it.
#[derive(Clone)]
pub(super) struct ClientConnection {
    id: u64,
    closed: CancellationToken,
    table: Arc<ConnectionTable>,
}

impl ClientConnection {
    /// Makes the connection known, so that no new one takes its place. Returns whether the limits allow it.
    pub(super) fn admit(&self) -> bool {
        let mut open = self.table.open();
        if !open.unknown.contains_key(&self.id) {
            return !self.closed.is_cancelled();
        }
        let is_free = open.known < self.table.limits.known;
        if is_free {
            open.unknown.remove(&self.id);
            open.known += 1;
        }
        is_free
    }
}

/// Removes a connection from the table when it ends.
struct Registration(ClientConnection);

impl Drop for Registration {
    fn drop(&mut self) {
        let ClientConnection { id, closed, table } = &self.0;
        let mut open = table.open();
        if open.unknown.remove(id).is_none() && !closed.is_cancelled() {
            open.known -= 1;
        }
    }
}

/// Serves connections until the server shuts down and all of them are closed.
pub(super) async fn accept(listener: TcpListener, app: Router, limits: Limits, shutdown: CancellationToken) {
    let table = Arc::new(ConnectionTable { limits, open: Mutex::default() });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(serve_connection(stream, table.add(), app.clone(), shutdown.clone()));
            }
            // The client has gone already.
            Err(cause) if matches!(cause.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(cause) => {
                tracing::warn!("a connection was not accepted: {cause}");
                table.open().close_oldest();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn serve_connection(stream: TcpStream, connection: ClientConnection, app: Router, shutdown: CancellationToken) {
    let _registration = Registration(connection.clone());
    let (limits, closed) = (connection.table.limits, connection.closed.clone());
    // Without it, small events wait for more data.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.stall_time));
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        app.call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut serving = std::pin::pin!(serving);
    // How a connection ends concerns its client only.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = closed.cancelled() => {}
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use futures_util::stream::unfold;
    use tokio::net::TcpListener;
    use tokio::runtime::Runtime;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::{ConnectionTable, Limits, Registration, accept};
    use crate::serve::request_body::read_body;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(3_600);

    fn limits() -> Limits {
        Limits { unknown: 2, known: 1, event_streams: 1, head_time: LONG, body_time: LONG, stall_time: LONG }
    }

    /// Serves an app that reads bodies and sends a large response; stops when it is dropped.
    fn serve(limits: Limits) -> (Runtime, SocketAddr) {
        let large = any(|| async { Bytes::from(vec![b'a'; 64 << 20]) });
        let app = Router::new().route("/large", large).fallback(|body: Bytes| async { body });
        serve_app(app, limits)
    }

    fn serve_app(app: Router, limits: Limits) -> (Runtime, SocketAddr) {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = app.layer(from_fn_with_state(limits, read_body));
        runtime.spawn(accept(listener, app, limits, CancellationToken::new()));
        (runtime, address)
    }

    fn connect(address: SocketAddr, request: &str) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        stream.write_all(request.as_bytes()).expect("a request");
        stream
    }

    /// What the server sends until it closes the connection.
    fn rest(mut stream: std::net::TcpStream) -> String {
        let mut answer = Vec::new();
        // A connection that is reset has ended too.
        let ended = stream.read_to_end(&mut answer);
        let is_late = |cause: std::io::Error| cause.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!ended.is_err_and(is_late), "the connection stays open");
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn a_new_connection_takes_the_place_of_the_oldest_unknown_one() {
        let table = Arc::new(ConnectionTable { limits: limits(), open: Mutex::default() });
        let all: Vec<_> = (0..4).map(|_| table.add()).collect();
        let closed: Vec<_> = all.iter().map(|one| one.closed.is_cancelled()).collect();
        assert_eq!(closed, [true, true, false, false]);
        assert!(!all[0].admit(), "it was closed");
        assert!(all[2].admit() && all[2].admit() && !all[3].admit(), "one may be known");
        let newer = [table.add(), table.add()];
        assert!(!all[2].closed.is_cancelled() && all[3].closed.is_cancelled());
        drop(Registration(all[2].clone()));
        drop(Registration(all[3].clone()));
        assert!(newer[0].admit(), "the known one ended");
        drop(Registration(newer[0].clone()));
        drop(Registration(newer[1].clone()));
        let open = table.open();
        assert_eq!((open.unknown.len(), open.known), (0, 0));
    }

    #[test]
    fn slow_heads_do_not_keep_others_out() {
        let (_runtime, address) = serve(Limits { unknown: 20, ..limits() });
        let slow: Vec<_> = (0..200).map(|_| connect(address, "GET / HTTP/1.1\r\nhost: a\r\nx-slow:")).collect();
        let answer = rest(connect(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for stream in slow.into_iter().take(150) {
            assert_eq!(rest(stream), "");
        }
    }

    #[test]
    fn a_head_that_does_not_end_closes_its_connection() {
        let (_runtime, address) = serve(Limits { head_time: SHORT, ..limits() });
        for begun in
            ["", "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n"]
        {
            assert!(!rest(connect(address, begun)).contains("200 OK"), "{begun}");
        }
        let idle = rest(connect(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert!(idle.starts_with("HTTP/1.1 200"), "an idle connection ends after its response: {idle}");
    }

    #[test]
    fn a_body_that_does_not_end_is_answered() {
        let (_runtime, address) = serve(Limits { body_time: SHORT, ..limits() });
        for begun in ["content-length: 10\r\n\r\nab", "transfer-encoding: chunked\r\n\r\n1\r\na\r\n"] {
            let answer = rest(connect(address, &format!("POST / HTTP/1.1\r\nhost: a\r\n{begun}")));
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        }
    }

    #[test]
    fn a_response_outlives_the_time_for_a_head() {
        let (sender, receiver) = mpsc::unbounded_channel::<&str>();
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let events = any(move || async move {
            Body::from_stream(unfold(receiver, |receiver| async move {
                let event = receiver.lock().await.recv().await?;
                Some((Ok::<_, std::convert::Infallible>(event), receiver))
            }))
        });
        let limits = Limits { head_time: SHORT, ..limits() };
        let (_runtime, address) = serve_app(Router::new().route("/events", events), limits);
        let events = connect(address, "GET /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        sender.send("first ").expect("a response");
        // Another connection runs out of its time meanwhile.
        rest(connect(address, "GET / HTTP/1.1\r\n"));
        sender.send("last").expect("a response");
        drop(sender);
        let answer = rest(events);
        assert!(answer.contains("first ") && answer.contains("last"), "{answer}");
    }

    #[test]
    fn a_response_that_is_not_read_closes_its_connection() {
        let (runtime, address) = serve(Limits { stall_time: SHORT, ..limits() });
        let mut stream = connect(address, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(stream.read(&mut [0; 64]).is_ok_and(|length| length > 0), "the response has begun");
        let metrics = runtime.metrics();
        // One task accepts, one serves the connection.
        while metrics.num_alive_tasks() > 1 {
            std::thread::yield_now();
        }
        assert!(rest(stream).len() < 64 << 20);
    }

    #[test]
    fn a_head_that_is_too_large_is_refused() {
        let (_runtime, address) = serve(limits());
        let many = "x: 1\r\n".repeat(150);
        let long = format!("x: {}\r\n", "a".repeat(40_000));
        for headers in [many, long] {
            let answer = rest(connect(address, &format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n")));
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
    }

    #[test]
    fn pipelined_requests_are_answered_in_their_order() {
        let (_runtime, address) = serve(limits());
        let post = |body: &str| format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let last = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let requests: String = (0..1_000).map(|number| post(&format!("<{number}>"))).collect();
        let answer = rest(connect(address, &(requests + last)));
        let found: Vec<_> = answer.split('<').skip(1).filter_map(|part| part.split('>').next()).collect();
        let expect: Vec<_> = (0..1_000).map(|number: u32| number.to_string()).collect();
        assert_eq!(found, expect);
    }
}
