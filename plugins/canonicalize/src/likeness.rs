//! How like two spellings are: the same letters but for case, accents and punctuation, a few letters apart, or words cut
//! short.

/// Words that spellings leave out at will.
const SMALL_WORDS: [&str; 7] = ["a", "da", "das", "de", "do", "dos", "e"];
/// Letters that a word cut short must keep.
const SHORTEST: usize = 3;
/// The likeness of a word to itself cut short: `Med.` to `Medicina`.
const CUT_SHORT: f64 = 0.9;

/// From 0 to 1, of two folded spellings: as a whole, or word by word where they have as many.
pub(crate) fn likeness(left: &str, right: &str) -> f64 {
    let whole = strsim::normalized_damerau_levenshtein(left, right);
    let (left, right) = (words(left), words(right));
    if left.len() < 2 || left.len() != right.len() {
        return whole;
    }
    // A mean would let one word that is quite another pass among others that are the same.
    let worst = left.iter().zip(&right).map(|(left, right)| word(left, right)).fold(1.0, f64::min);
    whole.max(worst)
}

fn words(folded: &str) -> Vec<&str> {
    folded.split(' ').filter(|word| !SMALL_WORDS.contains(word)).collect()
}

fn word(left: &str, right: &str) -> f64 {
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let is_cut_short = short.len() >= SHORTEST && short.len() < long.len() && long.starts_with(short);
    let alike = strsim::normalized_damerau_levenshtein(left, right);
    if is_cut_short { alike.max(CUT_SHORT) } else { alike }
}

#[cfg(test)]
mod tests {
    use super::likeness;
    use plugin_sdk::text::fold;

    fn check(left: &str, right: &str, expected: bool) {
        let found = likeness(&fold(left), &fold(right));
        assert_eq!(found >= 0.85, expected, "{left} and {right}: {found}");
    }

    #[test]
    fn slips_of_the_pen_are_alike() {
        check("Neurolgia", "Neurologia", true);
        check("Psiquiartia", "Psiquiatria", true);
        check("Med. da Dor", "Medicina da Dor", true);
        check("Clin. Medica", "Clínica Médica", true);
        check("Medicina de Dor", "Medicina da Dor", true);
    }

    #[test]
    fn other_specialties_are_not() {
        check("Cardiologia", "Radiologia", false);
        check("Psicologia", "Psiquiatria", false);
        check("Urologia", "Neurologia", false);
        check("Medicina do Trabalho", "Medicina da Dor", false);
        check("Clínica Cirúrgica", "Clínica Médica", false);
    }
}
