//! Credentials of connections. Secrets leave this file only in a header or in the token request.

use std::sync::Arc;

use host_core::secret::Secret;
use reqwest::header::{HeaderValue, InvalidHeaderValue};
use tokio::sync::Mutex;

/// The largest token response, in bytes.
const MAX_TOKEN_BODY: usize = 64 << 10;
/// The most replaced tokens that are kept.
const MAX_REPLACED: usize = 1000;

/// The credential of a connection.
#[derive(Clone)]
pub enum Credential {
    /// No credential.
    None,
    /// A token that does not expire.
    Token(Secret),
    /// Access tokens that expire and are refreshed.
    OAuth(Arc<OAuthClient>),
}

/// An OAuth client with its refresh token. It fetches and keeps access tokens.
pub struct OAuthClient {
    token_path: String,
    client_id: Secret,
    client_secret: Secret,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    refresh: Secret,
    access: Option<Secret>,
    /// How many access tokens were fetched.
    fetched: u64,
    /// The last tokens that were replaced: a text that repeats one is redacted as long as it is kept.
    replaced: Vec<Secret>,
}

/// The access token to send.
pub(super) struct AccessToken {
    token: Option<Secret>,
    /// Its number among the fetched tokens.
    number: u64,
}

/// Why there is no access token.
pub(super) struct TokenError {
    /// Whether a retry may succeed.
    pub(super) is_transient: bool,
    /// Contains no secret.
    pub(super) message: String,
}

impl AccessToken {
    /// The Authorization header. None without a credential.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, InvalidHeaderValue> {
        let Some(token) = &self.token else { return Ok(None) };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl OAuthClient {
    /// A client with the refresh token that it was given. `token_path` is the path of the token endpoint below the base
    /// URL.
    #[must_use]
    pub fn new(token_path: String, client_id: Secret, client_secret: Secret, refresh: Secret) -> Self {
        let tokens = Mutex::new(Tokens { refresh, access: None, fetched: 0, replaced: Vec::new() });
        Self { token_path, client_id, client_secret, tokens }
    }
}

impl Credential {
    /// Whether a rejected token can be replaced.
    pub(super) fn can_refresh(&self) -> bool {
        matches!(self, Self::OAuth(_))
    }

    /// The token to send. `rejected` is a token that the server no longer accepts. Of concurrent callers, one fetches.
    pub(super) async fn access_token(
        &self,
        client: &reqwest::Client,
        base: &reqwest::Url,
        rejected: Option<&AccessToken>,
    ) -> Result<AccessToken, TokenError> {
        let oauth = match self {
            Self::None => return Ok(AccessToken { token: None, number: 0 }),
            Self::Token(token) => return Ok(AccessToken { token: Some(token.clone()), number: 0 }),
            Self::OAuth(oauth) => oauth,
        };
        let mut tokens = oauth.tokens.lock().await;
        let is_rejected = rejected.is_some_and(|rejected| rejected.number == tokens.fetched);
        if tokens.access.is_none() || is_rejected {
            let (access, refresh) = oauth.fetch(client, base, &tokens.refresh).await?;
            let replaced = tokens.access.replace(access);
            tokens.replaced.extend(replaced);
            if let Some(refresh) = refresh {
                let replaced = std::mem::replace(&mut tokens.refresh, refresh);
                tokens.replaced.push(replaced);
            }
            let surplus = tokens.replaced.len().saturating_sub(MAX_REPLACED);
            tokens.replaced.drain(..surplus);
            tokens.fetched += 1;
        }
        Ok(AccessToken { token: tokens.access.clone(), number: tokens.fetched })
    }
}

impl OAuthClient {
    /// Fetches an access token by RFC 6749, section 6, and a new refresh token if the server issues one.
    async fn fetch(
        &self,
        client: &reqwest::Client,
        base: &reqwest::Url,
        refresh: &Secret,
    ) -> Result<(Secret, Option<Secret>), TokenError> {
        let url = format!("{}{}", base.as_str().trim_end_matches('/'), self.token_path);
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.client_id.expose()),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", refresh.expose()),
        ];
        let transient = |message: String| TokenError { is_transient: true, message };
        let response = client.post(url).form(&form).send().await;
        let mut response =
            response.map_err(|cause| transient(format!("the token request failed: {}", cause.without_url())))?;
        let status = response.status();
        if !status.is_success() {
            let is_transient = status.is_server_error() || status.as_u16() == 429;
            let what = if is_transient { "the token request failed" } else { "the server refused the refresh token" };
            // The body is left out: it may echo the secrets that were sent.
            return Err(TokenError { is_transient, message: format!("{what}: status {}", status.as_u16()) });
        }
        let mut body = Vec::new();
        let broke_off =
            |cause: reqwest::Error| transient(format!("the token response broke off: {}", cause.without_url()));
        while let Some(chunk) = response.chunk().await.map_err(broke_off)? {
            if body.len() + chunk.len() > MAX_TOKEN_BODY {
                let message = format!("the token response is larger than {} KiB", MAX_TOKEN_BODY >> 10);
                return Err(TokenError { is_transient: false, message });
            }
            body.extend_from_slice(&chunk);
        }
        let body: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| transient("the token response is not valid JSON".to_owned()))?;
        let secret =
            |key: &str| body.get(key).and_then(|value| value.as_str()).map(|text| Secret::new(text.to_owned()));
        let access = secret("access_token").ok_or_else(|| TokenError {
            is_transient: false,
            message: "the token response has no `access_token`".to_owned(),
        })?;
        Ok((access, secret("refresh_token")))
    }
}
