//! The running server, as tests control it: behavior, clock, contents, and the log of its requests.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;

use crate::handler::handle;
use crate::network::Network;
use crate::options::ServerOptions;
use crate::portal::{LoggedRequest, Portal};

/// A running server. It stops when dropped.
pub struct SandboxServer {
    address: SocketAddr,
    portal: Arc<Portal>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SandboxServer {
    /// Starts a server on a loopback port, in its own thread. Port 0 picks a free one.
    ///
    /// # Errors
    /// If the port cannot be bound or the runtime cannot start.
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

    /// The base URL, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reads or changes the contents between requests.
    pub fn with<T>(&self, work: impl FnOnce(&mut Network) -> T) -> T {
        work(&mut self.portal.network_mut())
    }

    /// Waits until the log has at least `count` requests. Returns false after a minute.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize) -> bool {
        let minute = Duration::from_secs(60);
        let waited =
            self.portal.request_logged.wait_timeout_while(self.portal.lock(), minute, |state| state.log.len() < count);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// Waits until a condition on the log, or on anything else, is true. Checks after each request and every 20 ms.
    pub fn wait_until(&self, mut condition: impl FnMut(&[LoggedRequest]) -> bool) {
        let mut state = self.portal.lock();
        while !condition(&state.log) {
            let interval = Duration::from_millis(20);
            let waited = self.portal.request_logged.wait_timeout(state, interval);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Changes the server's behavior from now on.
    pub fn configure(&self, work: impl FnOnce(&mut ServerOptions)) {
        work(&mut self.portal.lock().options);
    }

    /// The server's time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.portal.lock().now()
    }

    /// Advances the server's clock, which is fixed from then on.
    pub fn advance(&self, time: Duration) {
        let mut state = self.portal.lock();
        let later = state.now() + i64::try_from(time.as_millis()).unwrap_or_default();
        state.options.clock = Some(later);
    }

    /// Invalidates the OAuth access token that was issued last.
    pub fn expire_token(&self) {
        self.portal.lock().tokens += 1;
    }

    /// Returns the requests so far and clears the log.
    #[must_use]
    pub fn take_log(&self) -> Vec<LoggedRequest> {
        std::mem::take(&mut self.portal.lock().log)
    }
}

impl Drop for SandboxServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only if the server has already stopped.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
