//! A connection: base URL, credential and limits, shared by all requests that use it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host_core::error::{Error, Result};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::is_public;
use super::credential::Credential;
use super::rate_limit::{RateBucket, RollingWindow};
use super::retry::RetryPolicy;

/// Where a plugin's requests go. Clones share the connection's limits.
#[derive(Clone)]
pub struct Connection {
    pub(super) client: reqwest::Client,
    pub(super) base: Url,
    pub(super) credential: Credential,
    pub(super) retry: RetryPolicy,
    concurrent_requests: usize,
    windows: Arc<BTreeMap<String, RollingWindow>>,
    slots: Arc<Semaphore>,
    has_responded: Arc<AtomicBool>,
}

/// The limits of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// How failed requests are retried.
    pub retry: RetryPolicy,
    /// The most requests in flight.
    pub concurrent_requests: usize,
    /// Rate limits by the name of the bucket.
    pub buckets: BTreeMap<String, RateBucket>,
}

impl Connection {
    /// A connection to a base URL, which is `https`, or `http` on loopback.
    ///
    /// # Errors
    /// A base URL with another scheme, a user, a password or a query, or of an address that is not public.
    pub fn new(base_url: &str, credential: Credential, limits: &ConnectionLimits) -> Result<Self> {
        let refuse = |shown: &str, why: &str| {
            let error = Error::config(format!("base URL `{shown}` is not allowed: {why}"));
            error.hint("use `https://host`, or `http://127.0.0.1:port` for a server on this machine")
        };
        let base = Url::parse(base_url).map_err(|cause| refuse("…", &cause.to_string()))?;
        // The user, the password and the query may be secrets: they are not shown.
        let shown = format!("{}://{}", base.scheme(), base.host_str().unwrap_or_default());
        let refused = |why: &str| refuse(&shown, why);
        let host = base.host_str().unwrap_or_default();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let is_loopback = host == "localhost" || literal.is_some_and(|address| address.is_loopback());
        match base.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err(refused("`http` would send the token unencrypted")),
            _ => return Err(refused("its scheme is not `https`")),
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(refused("it contains a user, a password or a query"));
        }
        if !is_loopback && literal.is_some_and(|address| !is_public(address)) {
            return Err(refused("its address is not public"));
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(CheckedResolver { is_loopback }))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .user_agent(concat!("host/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .map_err(|cause| Error::internal(format!("cannot start the HTTP client: {cause}")))?;
        let window = |(name, bucket): (&String, &RateBucket)| (name.clone(), RollingWindow::new(bucket));
        Ok(Self {
            client,
            base,
            credential,
            retry: limits.retry,
            concurrent_requests: limits.concurrent_requests,
            windows: Arc::new(limits.buckets.iter().map(window).collect()),
            slots: Arc::new(Semaphore::new(limits.concurrent_requests)),
            has_responded: Arc::default(),
        })
    }

    /// The most requests in flight.
    pub(crate) fn concurrent_requests(&self) -> usize {
        self.concurrent_requests
    }

    /// Whether the server has responded at least once.
    pub(super) fn has_responded(&self) -> bool {
        self.has_responded.load(Ordering::Relaxed)
    }

    pub(super) fn note_response(&self) {
        self.has_responded.store(true, Ordering::Relaxed);
    }

    fn window(&self, bucket: Option<&str>) -> Option<&RollingWindow> {
        self.windows.get(bucket?)
    }

    /// Waits until the limits allow another request. The request is in flight until the slot is dropped.
    pub(super) async fn slot(&self, bucket: Option<&str>) -> Option<SemaphorePermit<'_>> {
        loop {
            // The semaphore is never closed.
            let slot = self.slots.acquire().await.ok();
            let wait = self.window(bucket).and_then(|window| window.take(Instant::now()));
            let Some(wait) = wait else { return slot };
            // Requests of other buckets may use the slot meanwhile.
            drop(slot);
            tokio::time::sleep(wait).await;
        }
    }

    /// Adapts the bucket's limit to a response's headers.
    pub(super) fn adapt(&self, bucket: Option<&str>, headers: &HeaderMap) {
        if let Some(window) = self.window(bucket) {
            window.adapt(Instant::now(), headers);
        }
    }

    /// Blocks the bucket's requests for a while. Returns whether the connection has such a bucket.
    pub(super) fn pause(&self, bucket: Option<&str>, wait: Duration) -> bool {
        let window = self.window(bucket);
        window.is_some_and(|window| {
            window.pause(Instant::now(), wait);
            true
        })
    }

    /// The requests per second that the widest bucket allows.
    pub(crate) fn requests_per_second(&self) -> Option<f64> {
        self.windows.values().map(RollingWindow::requests_per_second).max_by(f64::total_cmp)
    }
}

/// Resolves host names. A public name must not lead to another address, such as that of a metadata server.
struct CheckedResolver {
    /// Whether the name is `localhost`, which must lead to this machine.
    is_loopback: bool,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_loopback = self.is_loopback;
        Box::pin(async move {
            let mut found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (allowed, kind): (fn(IpAddr) -> bool, &str) =
                if is_loopback { (|address| address.is_loopback(), "loopback") } else { (is_public, "public") };
            found.retain(|address| allowed(address.ip()));
            if found.is_empty() {
                return Err(Error::config(format!("`{}` has no {kind} address", name.as_str())).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, ConnectionLimits, RetryPolicy};
    use crate::http::credential::Credential;
    use futures_util::FutureExt as _;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn connect(url: &str, concurrent_requests: usize) -> host_core::error::Result<Connection> {
        crate::install_crypto();
        let second = Duration::from_secs(1);
        let retry = RetryPolicy { max_retries: 1, first_delay: second, max_delay: second };
        let limits = ConnectionLimits { retry, concurrent_requests, buckets: BTreeMap::new() };
        Connection::new(url, Credential::None, &limits)
    }

    fn check(url: &str, why: Option<&str>) {
        match (connect(url, 1), why) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) => assert!(error.message().contains(why), "{error}"),
            (Ok(_), Some(_)) => assert_eq!(url, "", "should have been refused"),
            (Err(error), None) => assert_eq!(error.to_string(), ""),
        }
    }

    #[test]
    fn base_urls_are_checked() {
        check("https://api.hubapi.com", None);
        check("http://127.0.0.1:4000", None);
        check("http://localhost:4000", None);
        check("http://api.hubapi.com", Some("unencrypted"));
        check("https://10.0.0.1", Some("not public"));
        check("https://100.64.0.1", Some("not public"));
        check("https://0.0.0.0", Some("not public"));
        check("https://[64:ff9b::a00:1]", Some("not public"));
        check("https://[::ffff:127.0.0.1]", Some("not public"));
        check("https://[::]", Some("not public"));
        check("https://user:pass@api.hubapi.com", Some("a user"));
        check("ftp://api.hubapi.com", Some("its scheme"));
        check("nonsense", Some("not allowed"));
    }

    #[test]
    fn clones_of_a_connection_share_its_slots() {
        let one = connect("http://127.0.0.1:4000", 2).expect("a connection");
        let other = one.clone();
        let first = one.slot(None).now_or_never().flatten().expect("a slot");
        let _second = other.slot(None).now_or_never().flatten().expect("another slot");
        assert!(one.slot(None).now_or_never().is_none());
        drop(first);
        assert!(other.slot(None).now_or_never().is_some());
    }
}
