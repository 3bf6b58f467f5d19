//! A connection: base URL, secret and pace. The secret leaves this file in the Authorization header alone.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::{Error, Kind, Result};
use crate::pipeline::Secret;

/// At most so many requests within any stretch of this length.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests.
    pub requests: u32,
    /// The stretch.
    pub length: Duration,
}

/// Where a plugin's requests go.
#[derive(Clone)]
pub struct Connection {
    pub(crate) client: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) token: Option<Secret>,
    windows: Arc<BTreeMap<String, Window>>,
    answered: Arc<AtomicBool>,
}

impl Connection {
    /// A connection to this base URL: https, or http on loopback.
    pub fn new(base_url: &str, token: Option<Secret>, buckets: &BTreeMap<String, Pace>) -> Result<Self> {
        let refuse = |shown: &str, why: &str| {
            let error = Error::config(format!("base URL `{shown}` is refused: {why}"));
            error.hint("use `https://host`, or `http://127.0.0.1:port` for a server on this machine")
        };
        let base = Url::parse(base_url).map_err(|cause| refuse("…", &cause.to_string()))?;
        // User, password and query may be secrets: they are not shown.
        let shown = format!("{}://{}", base.scheme(), base.host_str().unwrap_or_default());
        let refused = |why: &str| refuse(&shown, why);
        let host = base.host_str().unwrap_or_default();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let loopback = host == "localhost" || literal.is_some_and(|address| address.is_loopback());
        match base.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(refused("http would send the token in the clear")),
            _ => return Err(refused("its scheme is neither https nor http")),
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(refused("it holds a user, a password or a query"));
        }
        if !loopback && literal.is_some_and(is_private) {
            return Err(refused("the address is private"));
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(PublicOnly { loopback }))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(120))
            .user_agent(concat!("host/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .map_err(|cause| Error::internal(format!("the HTTP client does not start: {cause}")))?;
        let window = |(name, pace): (&String, &Pace)| (name.clone(), Window::new(pace));
        let windows = Arc::new(buckets.iter().map(window).collect());
        Ok(Self { client, base, token, windows, answered: Arc::default() })
    }

    /// Whether the server has answered at least once.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Waits until the bucket allows another request.
    pub(crate) async fn wait(&self, bucket: Option<&str>) {
        let Some(window) = bucket.and_then(|bucket| self.windows.get(bucket)) else { return };
        while let Some(wait) = window.take(Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }
}

/// By how much the way of two requests to the server may differ.
const JITTER: Duration = Duration::from_millis(100);

/// A rolling window: so many requests within any stretch of its length, as HubSpot counts them. (A leaky bucket
/// either bursts over such a limit or leaves a good part of it unused.)
struct Window {
    requests: usize,
    length: Duration,
    sent: Mutex<VecDeque<Instant>>,
}

impl Window {
    fn new(pace: &Pace) -> Self {
        // The server's window starts when a request arrives: a little longer here keeps jitter from counting twice.
        let length = pace.length + JITTER.min(pace.length / 10);
        Self { requests: pace.requests.max(1) as usize, length, sent: Mutex::default() }
    }

    /// Takes a place, or says how long until one may be free.
    fn take(&self, now: Instant) -> Option<Duration> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|then| now.duration_since(*then) >= self.length) {
            sent.pop_front();
        }
        if sent.len() < self.requests {
            sent.push_back(now);
            return None;
        }
        sent.front().map(|then| self.length.saturating_sub(now.duration_since(*then)))
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().is_some_and(|v4| is_private(IpAddr::V4(v4)));
            v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local() || mapped
        }
    }
}

/// Resolves names, and refuses addresses that a public name should not lead to.
struct PublicOnly {
    loopback: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback = self.loopback;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (inside, outside): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| is_private(address.ip()));
            let allowed = if loopback { inside } else { outside };
            if allowed.is_empty() {
                let error = Error::new(Kind::Config, format!("`{}` leads to a private address", name.as_str()));
                return Err(error.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, Pace, Window};
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    fn check(url: &str, why: Option<&str>) {
        crate::install_crypto();
        let made = Connection::new(url, None, &BTreeMap::new());
        match (made, why) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) => assert!(error.message.contains(why), "{error}"),
            (Ok(_), Some(_)) => assert_eq!(url, "", "should have been refused"),
            (Err(error), None) => assert_eq!(error.to_string(), ""),
        }
    }

    #[test]
    fn no_window_holds_more_than_its_limit() {
        let window = Window::new(&Pace { requests: 3, length: Duration::from_secs(10) });
        let start = Instant::now();
        assert!((0..3).all(|_| window.take(start).is_none()));
        let later = start + Duration::from_secs(9);
        let wait = window.take(later).expect("the window is full");
        assert!(wait > Duration::from_secs(1), "{wait:?}");
        assert!(window.take(later + wait).is_none());
    }

    #[test]
    fn base_urls_are_checked() {
        check("https://api.hubapi.com", None);
        check("http://127.0.0.1:4000", None);
        check("http://localhost:4000", None);
        check("http://api.hubapi.com", Some("in the clear"));
        check("https://10.0.0.1", Some("private"));
        check("https://user:pass@api.hubapi.com", Some("a user"));
        check("ftp://api.hubapi.com", Some("neither"));
        check("nonsense", Some("refused"));
    }
}
