//! HubSpot's error bodies as the contract's errors: https://developers.hubspot.com/docs/api-reference/error-handling

use plugin_sdk::prelude::*;

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
            Error::new(ErrorKind::Auth, "missing_scopes", format!("{message} (scope `{scope}`)"))
                .hint(format!("add the scope `{scope}` to the private app, or leave the stream out of `streams`"))
        }
        429 => {
            let policy = answer.get("/policyName").unwrap_or_default();
            Error::new(ErrorKind::RateLimited, "rate_limited", format!("{message} {policy}"))
                .hint("what was read is kept; run again later to go on")
        }
        400..=499 => Error::new(ErrorKind::Data, "refused", message),
        _ => {
            Error::new(ErrorKind::Transient, "server", message).hint("what was read is kept; run again later to go on")
        }
    })
}
