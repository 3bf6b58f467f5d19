//! Secrets: texts that can be sent but not printed. KnownSecret secrets are redacted from every text that a person reads.

use std::sync::{Arc, LazyLock, PoisonError, RwLock, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

/// The length of the shortest secret that is redacted, in bytes: a shorter one may be an ordinary word.
const SHORTEST_REDACTED: usize = 6;
/// What stands in the place of a secret.
const REDACTED: &str = "***";
/// Bytes that URLs and forms keep as they are.
const URL_ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Same as [`URL_ENCODED`], for encoders that keep the marks of RFC 2396 and the separators of a path.
const PATH_ENCODED: &AsciiSet =
    &URL_ENCODED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')').remove(b'/').remove(b':');

/// The secrets that exist in this process. Those that were dropped are removed when the next one is made.
static KNOWN: LazyLock<RwLock<Vec<Weak<KnownSecret>>>> = LazyLock::new(RwLock::default);

/// A text that no log, error or page shows. It is wiped from memory when its last clone is dropped, and prints as
/// `[REDACTED]` in debug output. While it exists, [`redact`] replaces it.
#[derive(Debug, Clone)]
pub struct Secret(Arc<KnownSecret>);

/// A secret with the forms in which a text may repeat it, in lower case.
#[derive(Debug)]
struct KnownSecret {
    text: SecretString,
    forms: Vec<SecretString>,
}

impl Secret {
    /// A text that must not be shown from now on.
    #[must_use]
    pub fn new(text: String) -> Self {
        let forms = if text.len() < SHORTEST_REDACTED { Vec::new() } else { forms(&text) };
        let known = Arc::new(KnownSecret { text: text.into(), forms });
        let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&known));
        Self(known)
    }

    /// The secret itself, for code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.text.expose_secret()
    }
}

/// A text with every occurrence of every known secret replaced by `***`: as it is, in a URL or a form, in JSON, in
/// base64 (also in the midst of a longer text) and in hexadecimal. Case does not matter: host names are in lower case.
#[must_use]
pub fn redact(text: impl Into<String>) -> String {
    let mut text = text.into();
    if text.len() < SHORTEST_REDACTED {
        return text;
    }
    let known: Vec<_> = {
        let all = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    };
    if known.is_empty() {
        return text;
    }
    // ASCII letters keep their length in lower case, so that positions are the same in both texts.
    let mut lower = text.to_ascii_lowercase();
    let mut forms: Vec<_> = known.iter().flat_map(|known| &known.forms).map(|form| form.expose_secret()).collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    for form in forms {
        if lower.contains(form) {
            let mut shown = String::with_capacity(text.len());
            let mut end = 0;
            for (at, found) in lower.match_indices(form) {
                shown.push_str(text.get(end..at).unwrap_or_default());
                shown.push_str(REDACTED);
                end = at + found.len();
            }
            shown.push_str(text.get(end..).unwrap_or_default());
            lower = shown.to_ascii_lowercase();
            text = shown;
        }
    }
    text
}

/// Whether a text repeats a known secret.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    redact(text) != text
}

/// The forms of a secret in lower case.
fn forms(secret: &str) -> Vec<SecretString> {
    let mut forms = vec![secret.to_owned()];
    // The part of a URL below its host is secret without the host too, and so is what stands before an `@`.
    if let Some((_, rest)) = secret.split_once("://") {
        forms.extend(rest.find(['/', '?']).and_then(|at| rest.get(at..)).map(str::to_owned));
        forms.extend(rest.split_once('@').map(|(user, _)| user.to_owned()));
        forms.extend(rest.split_once('?').map(|(_, query)| query.to_owned()));
        forms.extend(parts_of_url(rest).map(str::to_owned));
    }
    for plain in forms.clone() {
        forms.extend(encodings(&plain));
    }
    let mut forms: Vec<_> = forms.into_iter().map(|form| form.to_ascii_lowercase()).collect();
    forms.retain(|form| form.len() >= SHORTEST_REDACTED);
    forms.sort();
    forms.dedup();
    forms.into_iter().map(SecretString::from).collect()
}

/// The parts of a URL after its scheme that an error may show alone and that are no ordinary words: its host name, and the
/// segments and values with a digit.
fn parts_of_url(rest: &str) -> impl Iterator<Item = &str> {
    let (authority, below) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let is_name = host.contains('.') && host.contains(|letter: char| letter.is_ascii_alphabetic());
    let is_long =
        |part: &&str| part.len() >= SHORTEST_REDACTED + 2 && part.contains(|letter: char| letter.is_ascii_digit());
    is_name.then_some(host).into_iter().chain(below.split(['/', '?', '&', '=', '#']).filter(is_long))
}

fn encodings(plain: &str) -> Vec<String> {
    let json = serde_json::Value::from(plain).to_string();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    let url = utf8_percent_encode(plain, URL_ENCODED).to_string();
    let ascii: String = json
        .encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    let mut all = vec![
        json.replace('/', "\\/"),
        ascii,
        // JSON inside of JSON, as in a logged body.
        json.replace('\\', "\\\\").replace('"', "\\\""),
        url.replace("%20", "+"),
        // A URL inside of a URL.
        utf8_percent_encode(&url, URL_ENCODED).to_string(),
        utf8_percent_encode(plain, PATH_ENCODED).to_string(),
        // Encoders may encode more than they need to, up to every byte.
        utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string(),
        plain.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        plain.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
        plain.bytes().map(|byte| format!("{byte:02x}")).collect(),
        format!("{plain:?}").trim_matches('"').to_owned(),
    ];
    all.extend([json, url]);
    // In the midst of a longer text, base64 of a secret depends on its offset, except for the letters at both ends.
    for (offset, skipped) in [(0, 0), (1, 2), (2, 3)] {
        let mut bytes = vec![0; offset];
        bytes.extend(plain.bytes());
        let whole = bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            all.extend(encoded.get(skipped..whole).map(str::to_owned));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Secret, redact};

    #[test]
    fn a_secret_is_not_printed_and_is_redacted_in_texts() {
        let secret = Secret::new("pat-na1-0123".to_owned());
        assert!(!format!("{secret:?}").contains("pat-na1"));
        assert_eq!(redact("Bearer pat-na1-0123 was refused"), "Bearer *** was refused");
        assert_eq!(redact("https://PAT-NA1-0123.example?a=1"), "https://***.example?a=1");
        drop(secret);
        assert_eq!(redact("pat-na1-0123"), "pat-na1-0123", "it no longer exists");
    }

    #[test]
    fn six_bytes_are_a_secret_and_five_are_a_word() {
        let _secrets = [Secret::new("zq1x9w".to_owned()), Secret::new("zebra".to_owned())];
        assert_eq!(redact("a zebra said zq1x9w"), "a zebra said ***");
    }

    #[test]
    fn a_secret_is_redacted_in_every_form() {
        let text = "s3cret/\"key\"+ãõ ~=9";
        let _secret = Secret::new(text.to_owned());
        let url = "s3cret%2F%22key%22%2B%C3%A3%C3%B5%20~%3D9";
        let json = serde_json::Value::from(text).to_string();
        let nested = serde_json::Value::from(json.clone()).to_string();
        for form in [
            text.to_owned(),
            url.to_owned(),
            url.to_lowercase(),
            url.replace("%20", "+"),
            url.replace('%', "%25"),
            json.clone(),
            nested,
            json.replace('/', "\\/"),
            url.replace('~', "%7E").replace('-', "%2D"),
            text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            "s3cret/\\\"key\\\"+\\u00e3\\u00f5 ~=9".to_owned(),
            text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ] {
            let shown = redact(format!("<{form}>"));
            assert!(shown.contains("***") && !shown.to_lowercase().contains("key"), "{form} → {shown}");
        }
        for prefix in ["", "u", "us", "user:", "Bearer "] {
            let encoded = STANDARD.encode(format!("{prefix}{text}!"));
            let shown = redact(encoded.clone());
            assert!(shown.contains("***") && shown.len() <= prefix.len() * 2 + 14, "{encoded} → {shown}");
        }
    }

    #[test]
    fn the_path_of_a_secret_url_is_secret_too() {
        let _secret = Secret::new("https://hooks.example/services/T0/B77x?key=q8w7e6".to_owned());
        assert_eq!(redact("POST /services/T0/B77x?key=q8w7e6 404"), "POST *** 404");
        let _secret = Secret::new("https://t0ken-of-x.hooks.example:8443/services/B77x99zz?sig=q8w7e6r5".to_owned());
        assert_eq!(redact("no address of T0ken-Of-X.hooks.example for services"), "no address of *** for services");
        assert_eq!(redact("the server answered: q8w7e6r5, B77x99zz"), "the server answered: ***, ***");
        let _secret = Secret::new("http://127.0.0.1:9999/x".to_owned());
        assert_eq!(redact("listening on 127.0.0.1"), "listening on 127.0.0.1");
    }
}
