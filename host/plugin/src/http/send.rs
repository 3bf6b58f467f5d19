//! Sends a plugin's requests: waits for the rate limit, adds the credential, retries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::Retryable as _;
use reqwest::header::AUTHORIZATION;

use super::connection::Connection;
use super::credential::{AccessToken, TokenError};
use super::error::{RequestError, RequestErrorKind};
use super::exchange::exchange;
use super::request::HttpRequest;
use super::response::HttpResponse;
use super::retry::RetryableResponses;
use crate::decode::depth::TooDeep;
use crate::memory::HostMemory;

/// Retries while the server has never responded: its address is probably wrong.
const MAX_RETRIES_WITHOUT_RESPONSE: usize = 3;
/// The longest delay that a server may ask for. A longer one is left to the next run.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// What limits a plugin's requests.
#[derive(Clone)]
pub(crate) struct RequestLimits {
    /// What the host holds for the plugin.
    pub(crate) memory: HostMemory,
    /// The most time that the plugin may ask to wait before the retries of one request.
    pub(crate) plugin_delay: Duration,
}

/// Why a request is not retried again.
enum TooLong {
    /// The server asks to wait so long.
    Server(Duration),
    /// The plugin asks to wait so long, for all retries together.
    Plugin(Duration),
}

/// Sends a request until it succeeds, fails for good, or was retried often enough.
pub(crate) async fn send(
    connection: &Connection,
    mut request: HttpRequest,
    retryable: &RetryableResponses,
    limits: &RequestLimits,
) -> Result<HttpResponse, RequestError> {
    let RequestLimits { memory, plugin_delay } = limits;
    let prepared = request.build(connection)?;
    let bucket = request.bucket.as_deref();
    let has_refreshed = AtomicBool::new(false);
    let exchange = Exchange { connection, bucket, prepared: &prepared, retryable, memory, has_refreshed };
    let mut attempts = 0;
    let mut too_long = None;
    let mut asked_by_plugin = Duration::ZERO;
    let result = (|| exchange.attempt())
        .retry(connection.retry.backoff())
        .when(|failure| {
            attempts += 1;
            let has_hope = connection.has_responded() || attempts <= MAX_RETRIES_WITHOUT_RESPONSE;
            has_hope && !matches!(failure, Failure::Final(_))
        })
        .adjust(|failure, delay| {
            let delay = delay?;
            let Failure::Response(response) = failure else { return Some(delay) };
            let requested = response.retry_after();
            if let Some(requested) = requested.filter(|requested| *requested > MAX_RETRY_AFTER) {
                too_long = Some(TooLong::Server(requested));
                return None;
            }
            let min_delay = retryable.min_delay(response);
            asked_by_plugin = asked_by_plugin.saturating_add(min_delay);
            if asked_by_plugin > *plugin_delay {
                too_long = Some(TooLong::Plugin(asked_by_plugin));
                return None;
            }
            let delay = requested.unwrap_or_default().max(min_delay).max(delay);
            // After a 429 the server would refuse the bucket's other requests too: the whole bucket waits, this one
            // with it.
            let waits_in_bucket = response.status == 429 && connection.pause(bucket, delay);
            Some(if waits_in_bucket { Duration::ZERO } else { delay })
        })
        .await;
    match (result, too_long) {
        (Ok(response), _) => Ok(response),
        (Err(Failure::Response(_)), Some(TooLong::Server(delay))) => {
            let message = format!("the server asks to wait {} s before the next request", delay.as_secs());
            Err(RequestError::new(RequestErrorKind::RateLimited, "retry_after", message))
        }
        (Err(Failure::Response(response)), Some(TooLong::Plugin(delay))) => {
            let (status, delay, most) = (response.status, delay.as_secs(), plugin_delay.as_secs());
            let message =
                format!("the plugin asks to wait {delay} s for retries after status {status}: the limit is {most} s");
            Err(RequestError::new(RequestErrorKind::Internal, "retry_wait", message))
        }
        (Err(Failure::Response(response)), None) => Ok(response),
        (Err(Failure::NoResponse(error) | Failure::Final(error)), _) => Err(error),
    }
}

/// An attempt that failed.
enum Failure {
    /// The server's response may be another one later.
    Response(HttpResponse),
    /// The server did not respond.
    NoResponse(RequestError),
    /// A retry would fail too.
    Final(RequestError),
}

/// What the attempts of one request share.
struct Exchange<'a> {
    connection: &'a Connection,
    bucket: Option<&'a str>,
    prepared: &'a reqwest::Request,
    retryable: &'a RetryableResponses,
    memory: &'a HostMemory,
    /// Whether the access token was refreshed for this request. It is refreshed once.
    has_refreshed: AtomicBool,
}

impl Exchange<'_> {
    async fn attempt(&self) -> Result<HttpResponse, Failure> {
        let credential = &self.connection.credential;
        let token = access_token(self.connection, None).await.map_err(Failure::Final)?;
        let mut result = self.send_with(&token).await;
        let is_unauthorized = result.as_ref().is_ok_and(|response| response.status == 401);
        if is_unauthorized && credential.can_refresh() && !self.has_refreshed.swap(true, Ordering::Relaxed) {
            let token = access_token(self.connection, Some(&token)).await.map_err(Failure::Final)?;
            result = self.send_with(&token).await;
        }
        match result {
            Ok(response) if self.retryable.is_retryable(&response) => Err(Failure::Response(response)),
            Ok(response) if response.is_too_deep() => Err(Failure::Final(self.too_deep())),
            Ok(response) => Ok(response),
            Err(error) if error.kind == RequestErrorKind::Transient => Err(Failure::NoResponse(error)),
            Err(error) => Err(Failure::Final(error)),
        }
    }

    fn too_deep(&self) -> RequestError {
        let (method, path) = (self.prepared.method(), self.prepared.url().path());
        let message = format!("the response to `{method} {path}` is {TooDeep}");
        RequestError::new(RequestErrorKind::Data, "too_deep", message)
    }

    async fn send_with(&self, token: &AccessToken) -> Result<HttpResponse, RequestError> {
        let internal = || RequestError::new(RequestErrorKind::Internal, "request", "the request cannot be cloned");
        let mut request = self.prepared.try_clone().ok_or_else(internal)?;
        let header = token
            .header()
            .map_err(|_| RequestError::new(RequestErrorKind::Auth, "token", "the token is not a valid header value"))?;
        header.map(|header| request.headers_mut().insert(AUTHORIZATION, header));
        let slot = self.connection.slot(self.bucket).await?;
        let result = exchange(self.connection, request, self.memory).await;
        drop(slot);
        if let Ok(response) = &result {
            self.connection.adapt(self.bucket, &response.headers);
        }
        result
    }
}

/// The access token to send. The token request is retried like any other.
async fn access_token(connection: &Connection, rejected: Option<&AccessToken>) -> Result<AccessToken, RequestError> {
    let token = || connection.credential.access_token(&connection.client, &connection.base, rejected);
    let result = token.retry(connection.retry.backoff()).when(|error: &TokenError| error.is_transient).await;
    result.map_err(|TokenError { is_transient, message }| {
        let kind = if is_transient { RequestErrorKind::Transient } else { RequestErrorKind::Auth };
        RequestError::new(kind, "oauth", message)
    })
}

#[cfg(test)]
mod tests {
    use super::{HttpRequest, RequestError, RequestErrorKind, RequestLimits, RetryableResponses};
    use crate::http::{
        Connection, ConnectionLimits, Credential, FinalResponse, OAuthClient, RetryPolicy, install_crypto,
    };
    use crate::memory::{HostMemory, MemoryBudget};
    use host_core::secret::Secret;
    use std::collections::BTreeMap;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread::JoinHandle;
    use std::time::Duration;

    /// A server that gives these responses in turn, and returns the heads of the requests.
    fn serve(responses: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = std::thread::spawn(move || {
            let respond = |response: String| {
                let (mut stream, _) = listener.accept().expect("a request");
                let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).expect("a line");
                }
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
                reader.read_exact(&mut body).expect("a body");
                stream.write_all(response.as_bytes()).expect("a response");
                head
            };
            responses.into_iter().map(respond).collect()
        });
        (url, requests)
    }

    fn response(status: u16, header: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n{body}")
    }

    /// Sends a request with two retries. Returns the status and body, or the error, and the heads of the requests.
    fn send(
        credential: Credential,
        retryable: &RetryableResponses,
        responses: Vec<String>,
    ) -> (Result<(u16, String), RequestError>, Vec<String>) {
        install_crypto();
        let (url, requests) = serve(responses);
        let delay = Duration::from_millis(1);
        let retry = RetryPolicy { max_retries: 2, first_delay: delay, max_delay: delay };
        let limits = ConnectionLimits { retry, concurrent_requests: 1, buckets: BTreeMap::new() };
        let connection = Connection::new(&url, credential, &limits).expect("a connection");
        let (method, path) = ("GET".to_owned(), "/".to_owned());
        let request = HttpRequest { method, path, query: Vec::new(), headers: Vec::new(), body: None, bucket: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let memory = HostMemory::new(MemoryBudget::default());
        let limits = RequestLimits { memory, plugin_delay: Duration::from_secs(1) };
        let result = runtime.block_on(super::send(&connection, request, retryable, &limits));
        let result = result.map(|response| (response.status, String::from_utf8_lossy(&response.body).into_owned()));
        (result, requests.join().expect("the requests"))
    }

    fn check(retryable: &RetryableResponses, responses: Vec<String>, expect: (u16, &str)) {
        let (result, _) = send(Credential::None, retryable, responses);
        let (status, body) = result.expect("a response");
        assert_eq!((status, body.as_str()), expect);
    }

    #[test]
    fn a_response_that_may_pass_is_retried() {
        let retryable = RetryableResponses::default();
        check(&retryable, vec![response(503, "", ""), response(200, "", "done")], (200, "done"));
        check(&retryable, vec![response(429, "retry-after: 0\r\n", ""), response(200, "", "done")], (200, "done"));
        check(&retryable, vec![response(423, "", "locked")], (423, "locked"));
        let retryable = RetryableResponses { statuses: [(423, Duration::ZERO)].into(), ..retryable };
        check(&retryable, vec![response(423, "", ""), response(200, "", "done")], (200, "done"));
    }

    #[test]
    fn the_last_response_is_returned_after_all_retries() {
        let responses = ["1", "2", "3"].map(|body| response(500, "", body)).to_vec();
        check(&RetryableResponses::default(), responses, (500, "3"));
    }

    #[test]
    fn a_final_response_is_not_retried() {
        let value = Some(("/policy".to_owned(), "DAILY".to_owned()));
        let final_responses = vec![FinalResponse { status: 429, value }];
        let retryable = RetryableResponses { final_responses, ..RetryableResponses::default() };
        let daily = r#"{"policy":"DAILY"}"#;
        check(&retryable, vec![response(429, "", daily)], (429, daily));
        let responses = vec![response(429, "", r#"{"policy":"SECONDLY"}"#), response(200, "", "done")];
        check(&retryable, responses, (200, "done"));
    }

    #[test]
    fn a_deep_body_is_refused_and_names_its_request() {
        let retryable = RetryableResponses::default();
        let deep = |before: &str| format!("{before}{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [deep(""), deep(" \n{\"results\":[],\"x\":") + "}"] {
            let (result, requests) = send(Credential::None, &retryable, vec![response(200, "", &body)]);
            let error = result.expect_err("a deep body");
            let expect = "the response to `GET /` is nested deeper than 256 levels";
            assert_eq!((error.kind, error.message.as_str(), requests.len()), (RequestErrorKind::Data, expect, 1));
        }
        // The bodies of errors and texts that are not JSON are left to the plugin.
        let text = deep("text: ");
        check(&retryable, vec![response(404, "", &deep(""))], (404, &deep("")));
        check(&retryable, vec![response(200, "", &text)], (200, &text));
        // A value in the body decides whether this one is retried.
        let value = Some(("/policy".to_owned(), "DAILY".to_owned()));
        let final_responses = vec![FinalResponse { status: 429, value }];
        let retryable = RetryableResponses { final_responses, ..RetryableResponses::default() };
        let body = deep("{\"x\":") + ",\"policy\":\"DAILY\"}";
        check(&retryable, vec![response(429, "", &body), response(200, "", "done")], (200, "done"));
    }

    #[test]
    fn a_long_delay_is_left_to_the_next_run() {
        let responses = vec![response(429, "retry-after: 999\r\n", "")];
        let (result, _) = send(Credential::None, &RetryableResponses::default(), responses);
        let error = result.expect_err("a long delay");
        assert_eq!((error.kind, error.code), (RequestErrorKind::RateLimited, "retry_after"));
    }

    #[test]
    fn a_delay_that_the_plugin_asks_for_has_a_limit() {
        for delay in [Duration::from_secs(2), Duration::from_millis(1_000_000_000_000_000), Duration::MAX] {
            let retryable = RetryableResponses { statuses: [(423, delay)].into(), ..RetryableResponses::default() };
            let (result, requests) = send(Credential::None, &retryable, vec![response(423, "", "")]);
            let error = result.expect_err("a long delay");
            assert_eq!((error.kind, error.code, requests.len()), (RequestErrorKind::Internal, "retry_wait", 1));
            let part = "s for retries after status 423: the limit is 1 s";
            assert!(error.message.contains(part), "{}", error.message);
        }
    }

    #[test]
    fn headers_and_token_responses_have_a_largest_size() {
        let long = format!("x-long: {}\r\n", "x".repeat(70_000));
        let (result, _) = send(Credential::None, &RetryableResponses::default(), vec![response(200, &long, "")]);
        assert_eq!(result.expect_err("long headers").code, "header_limit");
        let secret = |text: &str| Secret::new(text.to_owned());
        let client = OAuthClient::new("/token".to_owned(), secret("id"), secret("secret"), secret("refresh"));
        let token = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(70_000));
        let credential = Credential::OAuth(Arc::new(client));
        let (result, requests) = send(credential, &RetryableResponses::default(), vec![response(200, "", &token)]);
        let error = result.expect_err("a long token");
        assert_eq!((error.message.as_str(), requests.len()), ("the token response is larger than 64 KiB", 1));
    }

    #[test]
    fn a_rejected_access_token_is_refreshed_once() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let client = OAuthClient::new("/token".to_owned(), secret("id"), secret("secret"), secret("refresh"));
        let token = |token: &str| response(200, "", &format!(r#"{{"access_token":"{token}"}}"#));
        let responses = vec![token("old"), response(401, "", ""), token("new"), response(401, "", "still")];
        let credential = Credential::OAuth(Arc::new(client));
        let (result, requests) = send(credential, &RetryableResponses::default(), responses);
        assert_eq!(result.expect("a response"), (401, "still".to_owned()));
        let has = |index: usize, text: &str| requests[index].contains(text);
        assert!(has(0, "POST /token") && has(1, "authorization: Bearer old"), "{requests:#?}");
        assert!(has(2, "POST /token") && has(3, "authorization: Bearer new"), "{requests:#?}");
    }
}
