//! Secrets: texts that can be sent but not printed.

use secrecy::{ExposeSecret as _, SecretString};

/// The length of the shortest secret that is redacted, in bytes: a shorter one may be an ordinary word.
const SHORTEST_REDACTED: usize = 8;

/// A text that no log, error or page shows. It is wiped from memory when dropped, and prints as `[REDACTED]` in debug output.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// A text that must not be shown.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The secret itself, for code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A text with every occurrence of the secret replaced by `***`.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let secret = self.expose();
        if secret.len() < SHORTEST_REDACTED { text.to_owned() } else { text.replace(secret, "***") }
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_not_printed_and_is_redacted_in_texts() {
        let secret = Secret::new("pat-na1-0123".to_owned());
        assert!(!format!("{secret:?}").contains("pat-na1"));
        assert_eq!(secret.redact("Bearer pat-na1-0123 was refused"), "Bearer *** was refused");
        assert_eq!(Secret::new("deals".to_owned()).redact("no deals"), "no deals");
    }
}
