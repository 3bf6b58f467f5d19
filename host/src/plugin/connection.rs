//! A connection: base URL, credential and pace.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::credential::Credential;
use super::pace::{Pace, Window};
use crate::error::{Error, Kind, Result};

/// Where a plugin's requests go.
#[derive(Clone)]
pub struct Connection {
    pub(crate) client: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) credential: Credential,
    pub(crate) patience: Patience,
    windows: Arc<BTreeMap<String, Window>>,
    /// Free ones, of the requests that may be under way at once.
    places: Arc<Semaphore>,
    answered: Arc<AtomicBool>,
}

/// How often and how fast a failed request is tried again, and how many are under way at once.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries after the first.
    pub retries: usize,
    /// The wait before the first of them; it doubles from then on.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Requests over the connection that are under way at once.
    pub concurrent: usize,
}

impl Connection {
    /// A connection to this base URL: https, or http on loopback.
    pub fn new(
        base_url: &str,
        credential: Credential,
        patience: Patience,
        buckets: &BTreeMap<String, Pace>,
    ) -> Result<Self> {
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
        let places = Arc::new(Semaphore::new(patience.concurrent));
        Ok(Self { client, base, credential, patience, windows, places, answered: Arc::default() })
    }

    /// Whether the server has answered at least once.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    fn window(&self, bucket: Option<&str>) -> Option<&Window> {
        self.windows.get(bucket?)
    }

    /// Waits until another request may be under way, and the bucket allows it; until what it gives back is dropped.
    pub(crate) async fn place(&self, bucket: Option<&str>) -> Option<SemaphorePermit<'_>> {
        loop {
            // None if it were closed, which nobody does.
            let place = self.places.acquire().await.ok();
            let wait = self.window(bucket).and_then(|window| window.take(Instant::now()));
            let Some(wait) = wait else { return place };
            // Meanwhile the place is for requests of another bucket.
            drop(place);
            tokio::time::sleep(wait).await;
        }
    }

    /// Corrects the bucket's pace by an answer's headers.
    pub(crate) fn learn(&self, bucket: Option<&str>, headers: &HeaderMap) {
        if let Some(window) = self.window(bucket) {
            window.learn(Instant::now(), headers);
        }
    }

    /// Lets no request of the bucket pass for a while; false where the connection has no such bucket.
    pub(crate) fn pause(&self, bucket: Option<&str>, wait: Duration) -> bool {
        let window = self.window(bucket);
        window.is_some_and(|window| {
            window.pause(Instant::now(), wait);
            true
        })
    }

    /// Requests a second that the widest bucket allows.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.windows.values().map(Window::rate).max_by(f64::total_cmp)
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
    use super::{Connection, Patience};
    use crate::plugin::credential::Credential;
    use futures_util::FutureExt as _;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn check(url: &str, why: Option<&str>) {
        crate::install_crypto();
        let second = Duration::from_secs(1);
        let patience = Patience { retries: 1, first: second, longest: second, concurrent: 1 };
        let made = Connection::new(url, Credential::None, patience, &BTreeMap::new());
        match (made, why) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) => assert!(error.message.contains(why), "{error}"),
            (Ok(_), Some(_)) => assert_eq!(url, "", "should have been refused"),
            (Err(error), None) => assert_eq!(error.to_string(), ""),
        }
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

    #[test]
    fn all_who_share_a_connection_share_its_places() {
        crate::install_crypto();
        let second = Duration::from_secs(1);
        let patience = Patience { retries: 1, first: second, longest: second, concurrent: 2 };
        let one = Connection::new("http://127.0.0.1:4000", Credential::None, patience, &BTreeMap::new());
        let one = one.expect("a connection");
        let other = one.clone();
        let first = one.place(None).now_or_never().flatten().expect("a place");
        let _second = other.place(None).now_or_never().flatten().expect("another place");
        assert!(one.place(None).now_or_never().is_none());
        drop(first);
        assert!(other.place(None).now_or_never().is_some());
    }
}
