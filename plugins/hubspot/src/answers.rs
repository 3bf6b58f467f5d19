//! HubSpot's error bodies as the contract's errors: <https://developers.hubspot.com/docs/api-reference/error-handling>.

use plugin_sdk::prelude::*;

use crate::CONNECTION;

/// The error code of an answer that lacks a scope.
pub(crate) const MISSING_SCOPES: &str = "missing_scopes";

/// How often one request is sent again where its answer cannot be right.
const TRIES: usize = 4;

/// Reads an answer; where it cannot be right, though the status is good, the request is sent again: a body may be cut
/// off or no JSON, an index in disorder. What still is not right at the end is given back as it is.
pub(crate) fn sure<T>(
    answer: Response,
    request: &Request,
    read: impl Fn(Response) -> Result<T>,
    is_right: impl Fn(&T) -> bool,
) -> Result<T> {
    let mut answer = answer;
    for _ in 1..TRIES {
        match read(answer) {
            Ok(found) if is_right(&found) => return Ok(found),
            Err(error) if !error.is_broken_body() => return Err(error),
            _ => answer = request.clone().send(CONNECTION)?,
        }
    }
    read(answer)
}

/// The answer to a batch, where each input may fail by itself: only this category or subcategory of failure is as it
/// should be. Any other fails the batch, since an input without a result must not pass for one without records.
pub(crate) fn checked_batch(answer: Response, scope: &str, expected: &str) -> Result<Response> {
    let answer = checked(answer, scope)?;
    if answer.status() != 207 {
        return Ok(answer);
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        #[serde(default)]
        category: String,
        #[serde(default)]
        sub_category: serde_json::Value,
        #[serde(default)]
        message: String,
    }
    let failures: Vec<Failure> = match answer.get("/errors") {
        Some(errors) => serde_json::from_str(&errors).map_err(|cause| Error::data(cause.to_string()))?,
        None => Vec::new(),
    };
    let is_expected = |failure: &Failure| failure.category == expected || failure.sub_category == expected;
    match failures.into_iter().find(|failure| !is_expected(failure)) {
        None => Ok(answer),
        Some(Failure { category, message, .. }) => {
            let message = format!("HubSpot answered a part of a batch with {category}: {message}");
            Err(Error::new(ErrorKind::Transient, "batch", message).hint("what was read is kept; run again to go on"))
        }
    }
}

/// The answer itself if it is good; else what HubSpot said, with the scope to grant where it is missing.
pub(crate) fn checked(answer: Response, scope: &str) -> Result<Response> {
    let status = answer.status();
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let said = answer.get("/message").unwrap_or_default();
    let message = format!("HubSpot answered {status}{}{said}", if said.is_empty() { "" } else { ": " });
    Err(match status {
        401 | 530 => Error::new(ErrorKind::Auth, "authentication", message)
            .hint("the token is not valid: copy it again from the private app or service key in HubSpot"),
        403 => {
            let named = answer.get("/errors/0/context/requiredGranularScopes/0");
            let scope = named.unwrap_or_else(|| scope.to_owned());
            Error::new(ErrorKind::Auth, MISSING_SCOPES, format!("{message} (scope `{scope}`)"))
                .hint(format!("add the scope `{scope}` to the private app, or leave the stream out of `streams`"))
        }
        429 => {
            let policy = answer.get("/policyName").unwrap_or_default();
            Error::new(ErrorKind::RateLimited, "rate_limited", format!("{message} {policy}"))
                .hint("what was read is kept; run again later to go on")
        }
        423 | 477 => Error::new(ErrorKind::Transient, "locked", message)
            .hint("the record or the account is locked for now; what was read is kept, run again later to go on"),
        400..=499 => Error::new(ErrorKind::Data, "refused", message),
        _ => {
            Error::new(ErrorKind::Transient, "server", message).hint("what was read is kept; run again later to go on")
        }
    })
}
