//! Salted hashes. Equal texts have equal hashes, across columns, streams and runs. Without the salt, nobody can test a
//! guess.

use hmac::{Hmac, KeyInit, Mac};
use plugin_sdk::prelude::*;
use sha2::Sha256;

/// The fewest characters of a salt. A shorter one could be guessed.
const MIN_SALT_LENGTH: usize = 16;

/// Hashes with HMAC-SHA-256, with the salt as the key.
pub(crate) struct SaltedHasher {
    keyed: Hmac<Sha256>,
    /// Whether to ignore case, and spaces at the start and end.
    fold: bool,
}

impl SaltedHasher {
    /// A hasher with this salt.
    ///
    /// # Errors
    ///
    /// If the salt is missing or too short. The error does not have the salt.
    pub(crate) fn new(salt: Option<&str>, fold: bool) -> Result<Self> {
        let salt = salt.unwrap_or_default();
        let refused = || {
            let error = Error::config(format!("`hash` needs a `salt` of at least {MIN_SALT_LENGTH} characters"));
            error.hint(
                "make one with `openssl rand -hex 32`, add it to .env as `MASK_SALT=…`, and write `salt = \"${MASK_SALT}\"`",
            )
        };
        if salt.chars().count() < MIN_SALT_LENGTH {
            return Err(refused());
        }
        let keyed = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_err(|_| refused())?;
        Ok(Self { keyed, fold })
    }

    /// The hash of a text in hex. None for blank text.
    pub(crate) fn hash(&self, text: &str) -> Option<String> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return None;
        }
        let mut mac = self.keyed.clone();
        if self.fold {
            mac.update(trimmed.to_lowercase().as_bytes());
        } else {
            mac.update(text.as_bytes());
        }
        let bytes = mac.finalize().into_bytes();
        let digits = bytes.iter().flat_map(|&byte| [byte >> 4, byte & 15]);
        Some(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::SaltedHasher;

    const SALT: &str = "0123456789abcdef";

    fn check(fold: bool, text: &str, expect: Option<&str>) {
        let hasher = SaltedHasher::new(Some(SALT), fold).expect("a valid salt");
        assert_eq!(hasher.hash(text).as_deref(), expect, "{text}");
    }

    #[test]
    fn hashes_are_hmac_sha_256() {
        let ana = Some("0da4152c1bf981e867b838091537484bd2664bc205358711c4f0fb4ddf66e806");
        check(true, "ana@exemplo.com", ana);
        check(true, " Ana@Exemplo.com ", ana);
        check(false, "ana@exemplo.com", ana);
        check(false, "Ana@Exemplo.com", Some("c4591be225b4cba343c1d98f6e4c563ffea19a914b3549b5eb63c175d04c253e"));
        check(false, " Ana@Exemplo.com ", Some("dabe87afebbe79b6c9bcb9a4a7c7a6e113050b15646a6788844ea0802b03591e"));
        check(true, "529.982.247-25", Some("651a518f9328ccbbc65dcd1db35597a357455b37befd1dbd27cb01f1c9064a1d"));
        check(true, "  ", None);
        check(false, "", None);
    }

    #[test]
    fn a_different_salt_gives_a_different_hash() {
        let with =
            |salt: &str| SaltedHasher::new(Some(salt), true).ok().and_then(|hasher| hasher.hash("ana@exemplo.com"));
        let other = with("a salt of length 24 chars");
        assert!(other.is_some());
        assert_ne!(other, with(SALT));
        assert_eq!(with("short"), None);
    }
}
