//! E-mail addresses and phone numbers: whether a text can be one. Nobody is asked whether it is in use.

use email_address::{EmailAddress, Options};
use phonenumber::country::Id;
use plugin_sdk::prelude::*;

/// Whether a text is an e-mail address alone, at a domain of the public net. Letters beyond ASCII are such as RFC 6531
/// takes them.
pub(crate) fn is_email(text: &str) -> bool {
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    // No top-level domain has a single letter: a shorter end is one that was cut off.
    let has_end = text.rsplit('.').next().is_some_and(|end| end.len() > 1 && end.starts_with(char::is_alphabetic));
    has_end && EmailAddress::parse_with_options(text, options).is_ok()
}

/// Whether a text is a phone number that its country's plan has, read in `region` where it names no country.
pub(crate) fn is_phone(text: &str, region: Id) -> bool {
    phonenumber::parse(Some(region), text).is_ok_and(|number| phonenumber::is_valid(&number))
}

/// A region by its two letters.
pub(crate) fn region(text: &str) -> Result<Id> {
    text.parse().map_err(|_| Error::config(format!("`region` is `{text}`, no country such as `BR`")))
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
    fn emails_are_told_from_dirt() {
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
    fn phones_are_read_in_their_region() {
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
        assert_eq!(error.message, "`region` is `Brasil`, no country such as `BR`");
    }
}
