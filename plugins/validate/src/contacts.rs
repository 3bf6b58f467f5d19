//! Whether a text is a valid e-mail address or phone number. Whether it is in use is not checked.

use email_address::{EmailAddress, Options};
use phonenumber::country::Id;
use plugin_sdk::prelude::*;

/// Whether a text is exactly one e-mail address with a public domain. Letters beyond ASCII are accepted as in RFC 6531.
pub(crate) fn is_email(text: &str) -> bool {
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    // Every top-level domain has at least two letters, so a shorter one was cut off.
    let has_tld = text.rsplit('.').next().is_some_and(|tld| tld.len() > 1 && tld.starts_with(char::is_alphabetic));
    has_tld && EmailAddress::parse_with_options(text, options).is_ok()
}

/// Whether a text is a phone number that exists in the numbering plan of its country. A number without a country code is
/// read as one of `region`.
pub(crate) fn is_phone(text: &str, region: Id) -> bool {
    phonenumber::parse(Some(region), text).is_ok_and(|number| phonenumber::is_valid(&number))
}

/// Parses a region, such as `BR`.
pub(crate) fn region(text: &str) -> Result<Id> {
    text.parse().map_err(|_| {
        Error::config(format!("`region`: `{text}` is not a country code: expected two letters such as `BR`"))
    })
}

#[cfg(test)]
mod tests {
    use super::{is_email, is_phone, region};

    fn check_email(text: &str, expect: bool) {
        assert_eq!(is_email(text), expect, "{text}");
    }

    fn check_phone(text: &str, place: &str, expect: bool) {
        assert_eq!(is_phone(text, region(place).expect("a region")), expect, "{text}");
    }

    #[test]
    fn only_single_valid_emails_pass() {
        check_email("ana.souza@exemplo.com.br", true);
        check_email("ana+clinica@exemplo.com", true);
        check_email("ANA_SOUZA@EXEMPLO.COM.BR", true);
        check_email("contato@clínica.com.br", true);
        check_email("não tem", false);
        check_email("ana.exemplo.com.br", false);
        check_email("ana@exemplo", false);
        check_email("ana@exemplo.c", false);
        check_email("ana@exemplo.com.", false);
        check_email("ana@exemplo..com", false);
        check_email("ana@@exemplo.com", false);
        check_email("ana@exemplo,com", false);
        check_email("ana souza@exemplo.com", false);
        check_email("ana@exemplo.com; bia@exemplo.com", false);
        check_email("Ana Souza <ana@exemplo.com>", false);
        check_email("@exemplo.com", false);
        check_email("ana@[127.0.0.1]", false);
        check_email("ana@192.168.0.1", false);
    }

    #[test]
    fn phone_numbers_are_read_in_their_region() {
        check_phone("(11) 98765-4321", "BR", true);
        check_phone("+55 11 98765-4321", "BR", true);
        check_phone("11987654321", "BR", true);
        check_phone("+1 650 253 0000", "BR", true);
        check_phone("912 345 678", "PT", true);
        check_phone("98765", "BR", false);
        check_phone("(00) 00000-0000", "BR", false);
        check_phone("ramal 12", "BR", false);
        check_phone("sem telefone", "BR", false);
    }

    #[test]
    fn a_region_is_two_letters() {
        assert!(region("PT").is_ok());
        let error = region("Brasil").expect_err("a name");
        assert_eq!(error.message, "`region`: `Brasil` is not a country code: expected two letters such as `BR`");
    }
}
