//! Shortens text to a part that people can recognize, but not complete.

/// Replaces the hidden part, whatever its length.
const HIDDEN: &str = "***";
/// The letters and digits that stay.
const KEPT: usize = 4;

/// The domain of an e-mail address; of other text the last four letters and digits, if they are at most half of all. None
/// for blank text.
pub(crate) fn partial(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if let Some(domain) = domain(text) {
        return Some(format!("{HIDDEN}@{}", domain.to_lowercase()));
    }
    let characters: Vec<_> = text.chars().filter(|character| character.is_alphanumeric()).collect();
    let hidden = characters.len().saturating_sub(KEPT);
    let kept = if hidden >= KEPT { &characters[hidden..] } else { &[] };
    Some(HIDDEN.chars().chain(kept.iter().copied()).collect())
}

/// The domain of an e-mail address. A handle such as `@ana_souza` has none.
fn domain(text: &str) -> Option<&str> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_domain = domain.contains('.') && domain.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-');
    (!local.is_empty() && is_domain).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::partial;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(partial(text).as_deref(), expect, "{text}");
    }

    #[test]
    fn e_mail_addresses_keep_their_domain() {
        check("ana.souza@exemplo.com.br", Some("***@exemplo.com.br"));
        check(" ANA@Clínica.com.br ", Some("***@clínica.com.br"));
        check("@ana_souza", Some("***ouza"));
        check("ana@localhost", Some("***host"));
        check("ana@exemplo.com, bia@exemplo.com", Some("***@exemplo.com"));
        check("ana@exemplo.com (11) 98765-4321", Some("***4321"));
    }

    #[test]
    fn other_text_keeps_its_last_four_characters() {
        check("(11) 98765-4321", Some("***4321"));
        check("+5511987654321", Some("***4321"));
        check("529.982.247-25", Some("***4725"));
        check("01310-100", Some("***0100"));
        check("1310-100", Some("***"));
        check("Ana", Some("***"));
        check("-----------", Some("***"));
        check("Conceição", Some("***ição"));
        check("  ", None);
        check("", None);
    }
}
