//! How similar two spellings are: a few letters apart, or with abbreviated words.

/// Words that spellings often leave out.
const SMALL_WORDS: [&str; 7] = ["a", "da", "das", "de", "do", "dos", "e"];
/// The fewest letters of an abbreviation.
const SHORTEST_ABBREVIATION: usize = 3;
/// The similarity of a word and its abbreviation, such as `Medicina` and `Med.`.
const ABBREVIATED: f64 = 0.9;

/// The similarity of two folded spellings, from 0 to 1: as a whole, or word by word if they have as many words.
pub(crate) fn similarity(left: &str, right: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(left, right);
    let (left, right) = (words(left), words(right));
    if left.len() < 2 || left.len() != right.len() {
        return whole;
    }
    // The least similar pair decides: in a mean, equal words would hide one that is entirely different.
    let least = left.iter().zip(&right).map(|(left, right)| word_similarity(left, right)).fold(1.0, f64::min);
    whole.max(least)
}

fn words(folded: &str) -> Vec<&str> {
    folded.split(' ').filter(|word| !SMALL_WORDS.contains(word)).collect()
}

fn word_similarity(left: &str, right: &str) -> f64 {
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let is_abbreviation = short.len() >= SHORTEST_ABBREVIATION && short.len() < long.len() && long.starts_with(short);
    let similarity = strsim::normalized_damerau_levenshtein(left, right);
    if is_abbreviation { similarity.max(ABBREVIATED) } else { similarity }
}

#[cfg(test)]
mod tests {
    use super::similarity;
    use plugin_sdk::text::fold;

    fn check(left: &str, right: &str, expected: bool) {
        let found = similarity(&fold(left), &fold(right));
        assert_eq!(found >= 0.85, expected, "{left} and {right}: {found}");
    }

    #[test]
    fn misspellings_and_abbreviations_are_similar() {
        check("Neurolgia", "Neurologia", true);
        check("Psiquiartia", "Psiquiatria", true);
        check("Med. da Dor", "Medicina da Dor", true);
        check("Clin. Medica", "Clínica Médica", true);
        check("Medicina de Dor", "Medicina da Dor", true);
    }

    #[test]
    fn different_specialties_are_not_similar() {
        check("Cardiologia", "Radiologia", false);
        check("Psicologia", "Psiquiatria", false);
        check("Urologia", "Neurologia", false);
        check("Medicina do Trabalho", "Medicina da Dor", false);
        check("Clínica Cirúrgica", "Clínica Médica", false);
    }
}
