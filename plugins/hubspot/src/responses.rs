//! Reads HubSpot's responses: retries what cannot be right, and turns HubSpot's error bodies into the contract's errors,
//! see <https://developers.hubspot.com/docs/api-reference/error-handling>.

use plugin_sdk::prelude::*;

use crate::CONNECTION;

/// The error code of a response that lacks a scope.
pub(crate) const MISSING_SCOPES: &str = "missing_scopes";

/// How many times a request is sent in all if its responses are invalid.
const ATTEMPTS: usize = 4;

/// Reads a response, and sends the request again while the response has a broken body or `is_valid` is false. A response
/// with a good status may still be cut off, not be JSON, or come from an index that is out of order.
///
/// Returns the last result, so the caller must check validity again.
pub(crate) fn read_with_retry<T>(
    response: Response,
    request: &Request,
    read: impl Fn(Response) -> Result<T>,
    is_valid: impl Fn(&T) -> bool,
) -> Result<T> {
    let mut response = response;
    for _ in 1..ATTEMPTS {
        match read(response) {
            Ok(value) if is_valid(&value) => return Ok(value),
            Err(error) if !error.is_broken_body() => return Err(error),
            _ => response = request.clone().send(CONNECTION)?,
        }
    }
    read(response)
}

/// Checks the response to a batch read, in which each input may fail by itself. Only failures of the category or
/// subcategory `expected` are accepted. Any other fails the batch: an input that failed must not look like one without
/// records.
pub(crate) fn checked_batch(response: Response, scope: &str, expected: &str) -> Result<Response> {
    let response = checked(response, scope)?;
    if response.status() != 207 {
        return Ok(response);
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct InputError {
        #[serde(default)]
        category: String,
        #[serde(default)]
        sub_category: serde_json::Value,
        #[serde(default)]
        message: String,
    }
    let errors: Vec<InputError> = match response.get("/errors") {
        Some(errors) => serde_json::from_str(&errors).map_err(|cause| Error::data(cause.to_string()))?,
        None => Vec::new(),
    };
    let is_expected = |error: &InputError| error.category == expected || error.sub_category == expected;
    match errors.into_iter().find(|error| !is_expected(error)) {
        None => Ok(response),
        Some(InputError { category, message, .. }) => {
            let message = format!("HubSpot answered {category} for a part of a batch: {message}");
            Err(Error::new(ErrorKind::Transient, "batch", message)
                .hint("run the same command again: it continues after the data that was already loaded"))
        }
    }
}

/// The response itself if its status is good, else HubSpot's error. `scope` is the scope that the request needs; empty
/// if HubSpot documents none.
pub(crate) fn checked(response: Response, scope: &str) -> Result<Response> {
    const LATER: &str = "run the same command again later: it continues after the data that was already loaded";
    let status = response.status();
    if (200..300).contains(&status) {
        return Ok(response);
    }
    let reason = response.get("/message").unwrap_or_default();
    let message = format!("HubSpot answered {status}{}{reason}", if reason.is_empty() { "" } else { ": " });
    Err(match status {
        401 | 530 => Error::new(ErrorKind::Auth, "authentication", message)
            .hint("the token is not valid: copy it again from the private app or service key in HubSpot"),
        403 => {
            let named = response.get("/errors/0/context/requiredGranularScopes/0");
            match named.unwrap_or_else(|| scope.to_owned()).as_str() {
                "" => Error::new(ErrorKind::Auth, MISSING_SCOPES, message)
                    .hint("check the scopes of the private app or service key in HubSpot"),
                scope => Error::new(ErrorKind::Auth, MISSING_SCOPES, format!("{message} (scope `{scope}`)"))
                    .hint(format!("add the scope `{scope}` to the private app, or remove the stream from `streams`")),
            }
        }
        429 => {
            let policy = response.get("/policyName").unwrap_or_default();
            Error::new(ErrorKind::RateLimited, "rate_limited", format!("{message} {policy}")).hint(LATER)
        }
        423 | 477 => Error::new(ErrorKind::Transient, "locked", message)
            .hint(format!("the record or the account is locked: {LATER}")),
        400..=499 => Error::new(ErrorKind::Data, "refused", message),
        _ => Error::new(ErrorKind::Transient, "server", message).hint(LATER),
    })
}
