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

use super::address::{is_public, leads_to_public};
use super::credential::Credential;
use super::error::{RequestError, RequestErrorKind};
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
        Self::with_resolver(base_url, credential, limits, Arc::new(SystemResolver))
    }

    fn with_resolver(
        base_url: &str,
        credential: Credential,
        limits: &ConnectionLimits,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self> {
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
            .dns_resolver(Arc::new(CheckedResolver { is_loopback, resolver }))
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

    /// Waits until the limits allow another request. The request is in flight until the slot is dropped. A wait that is
    /// too long is an error.
    pub(super) async fn slot(&self, bucket: Option<&str>) -> Result<Option<SemaphorePermit<'_>>, RequestError> {
        loop {
            // The semaphore is never closed.
            let slot = self.slots.acquire().await.ok();
            let (window, now) = (self.window(bucket), Instant::now());
            let wait = window.and_then(|window| window.take(now));
            let Some(wait) = wait else { return Ok(slot) };
            if window.is_some_and(|window| window.is_too_long(now, wait)) {
                let (bucket, wait) = (bucket.unwrap_or_default(), wait.as_secs());
                let message = format!("the rate limit `{bucket}` allows the next request in {wait} s");
                return Err(RequestError::new(RequestErrorKind::RateLimited, "rate_limit", message));
            }
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

/// Resolves host names as the system does.
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Checks the addresses of host names. A public name must not lead to another address, such as that of a metadata server.
/// The client connects to no other addresses than those that it returns, and asks for each new connection, so a name
/// cannot change its address after the check.
struct CheckedResolver {
    /// Whether the name is `localhost`, which must lead to this machine.
    is_loopback: bool,
    resolver: Arc<dyn Resolve>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let shown = name.as_str().to_owned();
        let (allowed, kind): (fn(IpAddr) -> bool, &str) =
            if self.is_loopback { (|address| address.is_loopback(), "loopback") } else { (leads_to_public, "public") };
        let found = self.resolver.resolve(name);
        Box::pin(async move {
            let found: Vec<_> = found.await?.filter(|address| allowed(address.ip())).collect();
            if found.is_empty() {
                return Err(Error::config(format!("`{shown}` has no {kind} address")).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Addrs, CheckedResolver, Connection, ConnectionLimits, Name, Resolve, Resolving, RetryPolicy};
    use crate::http::credential::Credential;
    use futures_util::FutureExt as _;
    use std::collections::BTreeMap;
    use std::net::{IpAddr, SocketAddr, TcpListener};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    fn limits(concurrent_requests: usize) -> ConnectionLimits {
        let second = Duration::from_secs(1);
        let retry = RetryPolicy { max_retries: 1, first_delay: second, max_delay: second };
        ConnectionLimits { retry, concurrent_requests, buckets: BTreeMap::new() }
    }

    fn connect(url: &str, concurrent_requests: usize) -> host_core::error::Result<Connection> {
        crate::install_crypto();
        Connection::new(url, Credential::None, &limits(concurrent_requests))
    }

    /// A resolver that gives these addresses in turn, and then the last ones.
    struct Rebinding(Mutex<Vec<Vec<IpAddr>>>);

    impl Rebinding {
        fn new(answers: &[&[&str]]) -> Arc<Self> {
            let addresses = |answer: &&[&str]| answer.iter().map(|text| text.parse().expect("an address")).collect();
            Arc::new(Self(Mutex::new(answers.iter().rev().map(addresses).collect())))
        }
    }

    impl Resolve for Rebinding {
        fn resolve(&self, _: Name) -> Resolving {
            let mut answers = self.0.lock().expect("a lock");
            let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
            let addresses = answer.into_iter().flatten().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>();
            Box::pin(std::future::ready(Ok(Box::new(addresses.into_iter()) as Addrs)))
        }
    }

    /// The addresses that remain of an answer of a resolver, or the error.
    fn checked(resolver: &CheckedResolver) -> Result<Vec<String>, String> {
        let resolved = resolver.resolve("api.example.com".parse().expect("a name")).now_or_never().expect("an answer");
        let addresses = resolved.map_err(|error| error.to_string())?;
        Ok(addresses.map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn a_name_that_changes_its_address_is_checked_each_time() {
        let resolver = Rebinding::new(&[&["93.184.216.34"], &["127.0.0.1"], &["169.254.169.254", "1.1.1.1", "::1"]]);
        let resolver = CheckedResolver { is_loopback: false, resolver };
        assert_eq!(checked(&resolver), Ok(vec!["93.184.216.34".to_owned()]));
        assert_eq!(checked(&resolver), Err("`api.example.com` has no public address".to_owned()));
        assert_eq!(checked(&resolver), Ok(vec!["1.1.1.1".to_owned()]));
        let resolver = Rebinding::new(&[&["10.0.0.1", "127.0.0.1"], &["93.184.216.34"]]);
        let resolver = CheckedResolver { is_loopback: true, resolver };
        assert_eq!(checked(&resolver), Ok(vec!["127.0.0.1".to_owned()]));
        assert_eq!(checked(&resolver), Err("`api.example.com` has no loopback address".to_owned()));
    }

    #[test]
    fn no_connection_is_made_to_an_address_that_is_not_public() {
        crate::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "64:ff9b::127.0.0.1"] {
            let url = format!("https://api.example.com:{port}");
            let connection =
                Connection::with_resolver(&url, Credential::None, &limits(1), Rebinding::new(&[&[address]]));
            let client = connection.expect("a connection").client;
            for _ in 0..2 {
                let error = runtime.block_on(async { client.get(&url).send().await });
                let error = error.expect_err("an address that is not public");
                assert!(format!("{error:?}").contains("has no public address"), "{address}: {error:?}");
            }
        }
        assert!(listener.accept().is_err(), "a connection was made");
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
        check("https://[64:ff9b::808:808]", Some("not public"));
        check("https://[::ffff:8.8.8.8]", Some("not public"));
        check("https://[fec0::1]", Some("not public"));
        check("https://[2002::1]", Some("not public"));
        check("https://0x7f.1", None);
        check("https://0xa.1", Some("not public"));
        check("https://198.18.0.1", Some("not public"));
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
        let first = one.slot(None).now_or_never().expect("a slot").expect("no limit");
        let _second = other.slot(None).now_or_never().expect("another slot").expect("no limit");
        assert!(one.slot(None).now_or_never().is_none());
        drop(first);
        assert!(other.slot(None).now_or_never().is_some());
    }
}
