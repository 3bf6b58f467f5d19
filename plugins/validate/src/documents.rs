//! Whether a text is a valid Brazilian CPF or CNPJ, by its length and check digits. Whether it was issued is not checked.

/// Whether a text is a CPF: nine digits and two check digits. Punctuation is ignored.
pub(crate) fn is_cpf(text: &str) -> bool {
    values(text).is_some_and(|values| {
        values.len() == 11 && values.iter().all(|value| *value <= 9) && has_check_digits(&values, 11)
    })
}

/// Whether a text is a CNPJ: twelve digits or letters and two check digits. Punctuation and case are ignored. Numbers with
/// letters are issued from July 2026 on (Instrução Normativa RFB 2.229/2024).
pub(crate) fn is_cnpj(text: &str) -> bool {
    values(text).is_some_and(|values| values.len() == 14 && has_check_digits(&values, 9))
}

/// The value of each character: its ASCII code minus 48, so that digits have their own value and letters start at 17. None
/// if a character is not a digit, a letter or punctuation.
fn values(text: &str) -> Option<Vec<u32>> {
    let characters = text.chars().filter(|character| !matches!(character, '.' | '-' | '/' | ' '));
    let value = |character: char| {
        let is_counted = character.is_ascii_alphanumeric();
        is_counted.then(|| u32::from(character.to_ascii_uppercase()) - u32::from('0'))
    };
    characters.map(value).collect()
}

/// Whether the last two values are the check digits of the values before them. A number of one repeated digit has correct
/// check digits, but is not issued.
fn has_check_digits(values: &[u32], max_weight: u32) -> bool {
    let is_repetition = values.windows(2).all(|pair| pair[0] == pair[1]);
    let is_correct = |at: usize| values[at] == check_digit(&values[..at], max_weight);
    !is_repetition && is_correct(values.len() - 2) && is_correct(values.len() - 1)
}

/// The check digit modulo 11. The weights, from the right, run from 2 to the largest and start over.
fn check_digit(values: &[u32], max_weight: u32) -> u32 {
    let weights = (2..=max_weight).cycle();
    let sum: u32 = values.iter().rev().zip(weights).map(|(value, weight)| value * weight).sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_cnpj, is_cpf};

    fn check_cpf(text: &str, expect: bool) {
        assert_eq!(is_cpf(text), expect, "{text}");
    }

    fn check_cnpj(text: &str, expect: bool) {
        assert_eq!(is_cnpj(text), expect, "{text}");
    }

    #[test]
    fn a_cpf_needs_correct_check_digits() {
        check_cpf("529.982.247-25", true);
        check_cpf("52998224725", true);
        check_cpf("529 982 247 25", true);
        check_cpf("529982247-25", true);
        check_cpf("390.533.447-05", true);
        check_cpf("987.654.321-00", true);
        check_cpf("014.827.369-69", true);
        check_cpf("000.000.001-91", true);
        check_cpf("529.982.247-26", false);
        check_cpf("529.982.274-25", false);
        check_cpf("1482736969", false);
        check_cpf("529.982.247-255", false);
        check_cpf("111.111.111-11", false);
        check_cpf("00000000000", false);
        check_cpf("CPF 529.982.247-25", false);
        check_cpf("529.982.24A-25", false);
        check_cpf("529,982,247-25", false);
        check_cpf("11.222.333/0001-81", false);
        check_cpf("não informado", false);
        check_cpf("-", false);
    }

    #[test]
    fn numeric_cnpjs_are_valid() {
        check_cnpj("11.222.333/0001-81", true);
        check_cnpj("11222333000181", true);
        check_cnpj("00.000.000/0001-91", true);
        check_cnpj("33 683 011 0001 72", true);
        check_cnpj("60.444.837/0001-51", true);
        check_cnpj("11.222.333/0001-82", false);
        check_cnpj("11.222.333/0002-81", false);
        check_cnpj("1222333000181", false);
        check_cnpj("00.000.000/0000-00", false);
        check_cnpj("529.982.247-25", false);
        check_cnpj("isento", false);
    }

    #[test]
    fn cnpjs_with_letters_are_valid() {
        check_cnpj("12.ABC.345/01DE-35", true);
        check_cnpj("12ABC34501DE35", true);
        check_cnpj("12abc34501de35", true);
        check_cnpj("A1.B2C.3D4/1A2B-62", true);
        check_cnpj("9A.8B7.C6D/0001-98", true);
        check_cnpj("ZZZZZZZZ000191", true);
        check_cnpj("12.ABC.345/01DE-36", false);
        check_cnpj("12.ACB.345/01DE-35", false);
        check_cnpj("12.ABC.345/01DE-3A", false);
        check_cnpj("12.ÁBC.345/01DE-35", false);
    }
}
