//! What a connection proves itself with: nothing, a token, or an OAuth refresh token whose access tokens the host fetches
//! and keeps. A secret leaves this file in a header or in the token request alone.

use std::sync::Arc;

use reqwest::header::{HeaderValue, InvalidHeaderValue};
use tokio::sync::Mutex;

use crate::pipeline::Secret;

/// What a connection proves itself with.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// A token that stays as it is.
    Token(Secret),
    /// Access tokens that expire, and what gets new ones.
    OAuth(Arc<OAuth>),
}

/// An OAuth refresh token at work.
pub struct OAuth {
    token_path: String,
    client_id: Secret,
    client_secret: Secret,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    refresh: Secret,
    access: Option<Secret>,
    /// How many access tokens there were.
    fetched: u64,
}

/// An access token, and which of them it is.
pub(super) struct Access {
    token: Option<Secret>,
    number: u64,
}

/// Why there is no access token.
pub(super) struct Refused {
    /// Whether another try may work.
    pub(super) may_pass: bool,
    /// Without anything secret.
    pub(super) why: String,
}

impl Access {
    /// The Authorization header, if there is one.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, InvalidHeaderValue> {
        let Some(token) = &self.token else { return Ok(None) };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl OAuth {
    /// A refresh token with the client that it was given to; `token_path` is where the server gives access tokens.
    #[must_use]
    pub fn new(token_path: String, client_id: Secret, client_secret: Secret, refresh: Secret) -> Self {
        let tokens = Mutex::new(Tokens { refresh, access: None, fetched: 0 });
        Self { token_path, client_id, client_secret, tokens }
    }
}

impl Credential {
    /// Whether a refused token may be replaced by a fresh one.
    pub(super) fn can_refresh(&self) -> bool {
        matches!(self, Self::OAuth(_))
    }

    /// The token to send; `refused` is one that the server no longer takes. Of many that ask at once, one fetches.
    pub(super) async fn access(
        &self,
        client: &reqwest::Client,
        base: &reqwest::Url,
        refused: Option<&Access>,
    ) -> Result<Access, Refused> {
        let oauth = match self {
            Self::None => return Ok(Access { token: None, number: 0 }),
            Self::Token(token) => return Ok(Access { token: Some(token.clone()), number: 0 }),
            Self::OAuth(oauth) => oauth,
        };
        let mut tokens = oauth.tokens.lock().await;
        let is_refused = refused.is_some_and(|refused| refused.number == tokens.fetched);
        if tokens.access.is_none() || is_refused {
            let (access, refresh) = oauth.fetch(client, base, &tokens.refresh).await?;
            tokens.access = Some(access);
            tokens.refresh = refresh.unwrap_or_else(|| tokens.refresh.clone());
            tokens.fetched += 1;
        }
        Ok(Access { token: tokens.access.clone(), number: tokens.fetched })
    }
}

impl OAuth {
    /// RFC 6749, section 6: a new access token, and a new refresh token where the server gives one.
    async fn fetch(
        &self,
        client: &reqwest::Client,
        base: &reqwest::Url,
        refresh: &Secret,
    ) -> Result<(Secret, Option<Secret>), Refused> {
        let url = format!("{}{}", base.as_str().trim_end_matches('/'), self.token_path);
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", self.client_id.expose()),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", refresh.expose()),
        ];
        let sent = client.post(url).form(&form).send().await;
        // The body may echo what was sent: only the status is told.
        let passing = |why: String| Refused { may_pass: true, why };
        let answer = sent.map_err(|cause| passing(format!("the token request failed: {}", cause.without_url())))?;
        let status = answer.status();
        if !status.is_success() {
            let may_pass = status.is_server_error() || status.as_u16() == 429;
            let what = if may_pass { "the server gave no token" } else { "the server refused the refresh token" };
            return Err(Refused { may_pass, why: format!("{what} ({})", status.as_u16()) });
        }
        let body = answer.bytes().await;
        let body = body.map_err(|cause| passing(format!("the token answer broke off: {}", cause.without_url())))?;
        let body: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| passing("the token answer is not JSON".to_owned()))?;
        let secret =
            |key: &str| body.get(key).and_then(|value| value.as_str()).map(|text| Secret::new(text.to_owned()));
        let access = secret("access_token")
            .ok_or_else(|| Refused { may_pass: false, why: "the token answer holds no `access_token`".to_owned() })?;
        Ok((access, secret("refresh_token")))
    }
}
