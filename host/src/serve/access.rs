//! The token that every request for data needs. It is part of the address that the server prints; the first request
//! with it gets a cookie, so that the address of the pages does not keep it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use host_core::error::{Error, Result};
use host_core::files;
use host_core::secret::Secret;
use subtle::ConstantTimeEq as _;

/// The random bytes of a new token.
const RANDOM_BYTES: usize = 24;
/// The lengths of a token in a file. A shorter one could be guessed.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=256;
/// The parameter with the token in the address that the server prints.
const PARAMETER: &str = "token";

/// The secret of a server. Anyone who has it can read the pages and start runs.
pub struct ServerToken(Secret);

impl ServerToken {
    /// A new token. Only this process knows it, so that an address that was seen or stored is of no use after a restart.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|cause| Error::internal(format!("no random bytes: {cause}")))?;
        Ok(Self(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())))
    }

    /// The token of a file that only its owner can read, so that open pages and scripts still work after a restart. A file
    /// that does not exist is created.
    ///
    /// # Errors
    /// A file that cannot be read or written, that others can read, or that is not a token.
    pub fn from_file(path: &Path) -> Result<Self> {
        if std::fs::symlink_metadata(path).is_err_and(|cause| cause.kind() == ErrorKind::NotFound) {
            let token = Self::generate()?;
            files::create_private(path, format!("{}\n", token.0.expose()))?;
            return Ok(token);
        }
        let token = read_private(path).and_then(|text| Self::parse(&text).map_err(str::to_owned));
        token.map_err(|cause| {
            let error = Error::config(format!("the token file {} cannot be used: {cause}", path.display()));
            error.hint("delete it: the server creates a new one that only you can read")
        })
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let token = text.trim();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !LENGTHS.contains(&token.len()) || !token.bytes().all(is_plain) {
            return Err("expected one line of 32 to 256 letters, digits, `-` and `_`");
        }
        Ok(Self(Secret::new(token.to_owned())))
    }

    /// The address that opens the pages. It has the token.
    #[must_use]
    pub fn url(&self, address: SocketAddr) -> String {
        format!("http://{address}/?{PARAMETER}={}", self.0.expose())
    }

    /// Whether the headers of a request have the token: `Authorization: Bearer`, or the cookie of this port. Browsers
    /// send the cookies of every port, and any of them may have set one of the same name.
    pub(super) fn is_in_headers(&self, headers: &HeaderMap, port: u16) -> bool {
        let texts = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let mut bearers = texts(header::AUTHORIZATION).filter_map(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let name = cookie_name(port);
        let mut cookies = texts(header::COOKIE).flat_map(|value| value.split(';')).filter_map(|cookie| {
            let (found, token) = cookie.trim().split_once('=')?;
            (found == name).then_some(token)
        });
        bearers.any(|token| self.is(token)) || cookies.any(|token| self.is(token))
    }

    /// Whether the query of an address has the token.
    pub(super) fn is_in_query(&self, query: &str) -> bool {
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        parameters.any(|(name, value)| name == PARAMETER && self.is(&value))
    }

    /// Sends the browser to the same address without the token, with the token as a cookie.
    pub(super) fn redirect(&self, uri: &Uri, port: u16) -> Response {
        let name = cookie_name(port);
        let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Strict", self.0.expose());
        let headers = [
            (header::SET_COOKIE, HeaderValue::from_str(&cookie)),
            (header::LOCATION, HeaderValue::from_str(&without_token(uri))),
            (header::CACHE_CONTROL, Ok(HeaderValue::from_static("no-store"))),
        ];
        let mut response = StatusCode::SEE_OTHER.into_response();
        for (name, value) in headers {
            // An address and a token have no characters that a header cannot have.
            if let Ok(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// Compares in a time that does not depend on where the two differ.
    fn is(&self, given: &str) -> bool {
        self.0.expose().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// Reads a file that belongs to this user, or to root, and that nobody else can read.
fn read_private(path: &Path) -> std::result::Result<String, String> {
    use std::io::Read as _;
    // To open a named pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(|cause| cause.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|cause| cause.to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata().map_err(|cause| cause.to_string())?;
        if ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
            return Err("it belongs to another user".to_owned());
        }
        if metadata.mode() & 0o077 != 0 {
            return Err("other users can read or change it".to_owned());
        }
    }
    let mut text = String::new();
    let most = u64::try_from(*LENGTHS.end()).unwrap_or(u64::MAX).saturating_add(2);
    file.take(most).read_to_string(&mut text).map_err(|cause| cause.to_string())?;
    Ok(text)
}

/// Cookies are shared by all ports of a host name, so the name says which port a cookie is for.
fn cookie_name(port: u16) -> String {
    format!("host-{port}")
}

/// Whether a query has the parameter of the token.
pub(super) fn has_parameter(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == PARAMETER)
}

/// The path and query of an address, without the token. It never leads to another server.
fn without_token(uri: &Uri) -> String {
    let path = uri.path().trim_start_matches(['/', '\\']);
    let parameters: Vec<_> =
        uri.query().unwrap_or_default().split('&').filter(|one| !one.is_empty() && !has_parameter(one)).collect();
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("/{path}{mark}{}", parameters.join("&"))
}

/// The page for a browser that has no token.
pub(super) fn refusal(port: u16) -> Response {
    let page = PAGE.replace("PORT", &port.to_string());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::WWW_AUTHENTICATE, "Bearer"),
    ];
    (StatusCode::UNAUTHORIZED, headers, page).into_response()
}

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>host</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<style>
body { max-width: 38rem; margin: 12vh auto; padding: 0 1.25rem; font: 1rem/1.6 system-ui, sans-serif; }
h1 { font-size: 1.4rem; }
section + section { margin-top: 3rem; }
code { overflow-wrap: anywhere; }
</style>
</head>
<body>
<section>
<h1>Open these pages with their full address</h1>
<p>When <code>host serve</code> starts, it shows an address such as
<code>http://127.0.0.1:PORT/?token=…</code>. Copy the whole address, with everything after <code>token=</code>, and open
it in this browser.</p>
<p>The address changes when the server is restarted. If somebody else started it, ask that person for the address.</p>
</section>
<section lang="pt-BR">
<h1>Abra estas páginas com o endereço completo</h1>
<p>Ao iniciar, o <code>host serve</code> mostra um endereço como <code>http://127.0.0.1:PORT/?token=…</code>. Copie o
endereço inteiro, com tudo o que vem depois de <code>token=</code>, e abra-o neste navegador.</p>
<p>O endereço muda quando o servidor é reiniciado. Se outra pessoa o iniciou, peça o endereço a ela.</p>
</section>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use axum::http::{HeaderMap, HeaderValue, Uri, header};
    use host_core::secret::redact;

    use super::{ServerToken, without_token};

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn token() -> ServerToken {
        ServerToken::parse(TOKEN).expect("a token")
    }

    #[test]
    fn a_token_is_random_and_secret() {
        let (one, other) = (ServerToken::generate().expect("a token"), ServerToken::generate().expect("a token"));
        assert_ne!(one.0.expose(), other.0.expose());
        assert_eq!(one.0.expose().len(), 48);
        let address = "127.0.0.1:7700".parse().expect("an address");
        assert_eq!(redact(one.url(address)), "http://127.0.0.1:7700/?token=***");
    }

    #[test]
    fn a_token_is_found_in_a_bearer_header_and_in_the_cookie_of_the_port() {
        let check = |name, value: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_static("a=b; host-7700=wrong"));
            headers.append(name, HeaderValue::from_str(value).expect("a header"));
            assert_eq!(token().is_in_headers(&headers, 7700), expect, "{value}");
        };
        check(header::AUTHORIZATION, &format!("Bearer {TOKEN}"), true);
        check(header::AUTHORIZATION, &format!("bearer  {TOKEN}"), true);
        check(header::AUTHORIZATION, &format!("Bearer {}", TOKEN.to_uppercase()), false);
        check(header::AUTHORIZATION, &format!("Bearer {TOKEN}0"), false);
        check(header::AUTHORIZATION, &format!("Bearer {}", &TOKEN[1..]), false);
        check(header::AUTHORIZATION, "Bearer", false);
        check(header::AUTHORIZATION, "Bearer ", false);
        check(header::AUTHORIZATION, TOKEN, false);
        check(header::AUTHORIZATION, &format!("Basic {TOKEN}"), false);
        check(header::COOKIE, &format!("host-7700={TOKEN}"), true);
        check(header::COOKIE, &format!("x; host-7700=; host-7700={TOKEN};y=1"), true);
        check(header::COOKIE, &format!("host-7701={TOKEN}"), false);
        check(header::COOKIE, &format!("HOST-7700={TOKEN}"), false);
        check(header::COOKIE, &format!("host-7700=\"{TOKEN}\""), false);
        check(header::COOKIE, "host-7700=", false);
        check(header::COOKIE, &"host-7700=wrong; ".repeat(1_000), false);
    }

    #[test]
    fn a_token_is_found_in_a_query() {
        for (query, expect) in [
            (format!("token={TOKEN}"), true),
            (format!("horizon=6&token={TOKEN}"), true),
            (format!("token=wrong&token={TOKEN}"), true),
            (format!("tok%65n=%30{}", &TOKEN[1..]), true),
            (format!("token={}", TOKEN.to_uppercase()), false),
            (format!("Token={TOKEN}"), false),
            (format!("token[]={TOKEN}"), false),
            ("token=".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(token().is_in_query(&query), expect, "{query}");
        }
    }

    #[test]
    fn the_address_without_the_token_stays_on_the_server() {
        for (from, to) in [
            ("/?token=a", "/"),
            ("/runs/01?token=a&tok%65n=b&page=2&q=%26", "/runs/01?page=2&q=%26"),
            ("/?horizon=6&token=a&channel=x&&", "/?horizon=6&channel=x"),
            ("//evil.example/?token=a", "/evil.example/"),
            ("/\\evil.example/?token=a", "/evil.example/"),
            ("http://evil.example//x?token=a", "/x"),
        ] {
            assert_eq!(without_token(&from.parse::<Uri>().expect("an address")), to, "{from}");
        }
    }

    #[test]
    fn a_token_file_is_made_once_and_read_only_if_it_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let made = ServerToken::from_file(&path).expect("a token");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(ServerToken::from_file(&path).expect("a token").0.expose(), made.0.expose());
        let link = folder.path().join("link");
        symlink(&path, &link).expect("a link");
        assert!(ServerToken::from_file(&link).is_ok());
        let refuses = |text: &str, mode: u32, part: &str| {
            std::fs::write(&path, text).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
            let error = ServerToken::from_file(&path).err().expect("an error").message();
            assert!(error.contains(part), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        };
        refuses(TOKEN, 0o640, "other users can read or change it");
        refuses(TOKEN, 0o602, "other users can read or change it");
        for text in ["", "short", &format!("{TOKEN} {TOKEN}"), &"a".repeat(300), &format!("{TOKEN};")] {
            refuses(text, 0o600, "expected one line of 32 to 256 letters");
        }
        let dangling = folder.path().join("dangling");
        symlink(folder.path().join("nowhere"), &dangling).expect("a link");
        assert!(ServerToken::from_file(&dangling).is_err() && ServerToken::from_file(folder.path()).is_err());
        assert!(!folder.path().join("nowhere").exists());
        assert!(ServerToken::from_file(&folder.path().join("none/token")).is_err());
    }
}
