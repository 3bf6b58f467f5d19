//! A running sandbox as tests hold it: its behaviour, its clock, its network, and the log of its requests.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::answering::{Portal, handle};
use crate::faults::{Chaos, Fault};
use crate::limits::Limits;
use crate::network::Network;

/// The private app's token that the sandbox accepts.
pub const TOKEN: &str = "pat-na1-sandbox";
/// The refresh token that it takes, with any client's id and secret.
pub const REFRESH_TOKEN: &str = "refresh-na1-sandbox";

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How many requests pass.
    pub limits: Limits,
    /// Scopes that the token lacks.
    pub missing_scopes: Vec<String>,
    /// Properties that the portal does not have.
    pub missing_properties: Vec<String>,
    /// The portal's id, instead of the usual one.
    pub portal: Option<u64>,
    /// Failures, once each, in order.
    pub faults: Vec<Fault>,
    /// Failures and edits by a seed.
    pub chaos: Option<Chaos>,
    /// How long each answer takes.
    pub latency: Duration,
    /// For how long a change is hidden from search.
    pub search_lag: Duration,
    /// Links of one record on one page.
    pub association_page: usize,
    /// The longest path with query.
    pub longest_url: usize,
    /// The time that the server tells, in milliseconds since 1970; none: the machine's.
    pub clock: Option<i64>,
    /// Whether tokens of a private app are refused, so that an OAuth token is needed.
    pub is_oauth: bool,
    /// Changes answers that are otherwise right, by their path.
    pub rewrite: Option<fn(&str, &mut Value)>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            missing_scopes: Vec::new(),
            missing_properties: Vec::new(),
            portal: None,
            faults: Vec::new(),
            chaos: None,
            latency: Duration::ZERO,
            search_lag: Duration::ZERO,
            association_page: 100,
            longest_url: 16_200,
            clock: None,
            is_oauth: false,
            rewrite: None,
        }
    }
}

/// A request as the log keeps it.
#[derive(Debug, Clone)]
pub struct Logged {
    /// When it came.
    pub at: Instant,
    /// `METHOD path?query`.
    pub line: String,
    /// Its body.
    pub body: Value,
    /// The status of its answer.
    pub status: u16,
}

impl Logged {
    /// Whether the line holds a text.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.line.contains(text)
    }
}

/// A running sandbox; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    portal: Arc<Portal>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts serving on a loopback port, 0 for a free one, on a thread of its own.
    pub fn start(network: Network, options: ServerOptions, port: u16) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let portal = Arc::new(Portal::new(network, options));
        let router = Router::new().fallback(handle).with_state(Arc::clone(&portal));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let serve = axum::serve(listener, router.into_make_service());
                tokio::select! {
                    _ = serve.into_future() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, portal, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the network, or changes it, between requests.
    pub fn with<T>(&self, work: impl FnOnce(&mut Network) -> T) -> T {
        work(&mut self.portal.network_mut())
    }

    /// Waits until so many requests are in the log; false where they do not come within a minute.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize) -> bool {
        let minute = Duration::from_secs(60);
        let waited =
            self.portal.requested.wait_timeout_while(self.portal.lock(), minute, |shared| shared.log.len() < count);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// Waits until the log, or the world, is as wanted; it is looked at with each request and now and then between.
    pub fn wait_until(&self, mut is_so: impl FnMut(&[Logged]) -> bool) {
        let mut shared = self.portal.lock();
        while !is_so(&shared.log) {
            let now_and_then = Duration::from_millis(20);
            let waited = self.portal.requested.wait_timeout(shared, now_and_then);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Changes how the server behaves from now on.
    pub fn configure(&self, work: impl FnOnce(&mut ServerOptions)) {
        work(&mut self.portal.lock().options);
    }

    /// The time that the server tells, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.portal.lock().now()
    }

    /// Puts the server's clock forward; it stands still from then on.
    pub fn advance(&self, time: Duration) {
        let mut shared = self.portal.lock();
        let later = shared.now() + i64::try_from(time.as_millis()).unwrap_or_default();
        shared.options.clock = Some(later);
    }

    /// Makes the OAuth token that was given out last invalid.
    pub fn expire_token(&self) {
        self.portal.lock().tokens += 1;
    }

    /// The requests so far, and forgets them.
    #[must_use]
    pub fn take_log(&self) -> Vec<Logged> {
        std::mem::take(&mut self.portal.lock().log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that ended by itself needs no word.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
