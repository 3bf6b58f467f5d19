//! Sizes of memory as DuckDB writes them: `2GB` are 2·10⁹ bytes, `2GiB` are 2·2³⁰.

/// The bytes of a size. It has a number and a unit, as the schema of the file demands; anything else is 0.
pub(super) fn parse_bytes(text: &str) -> usize {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => 0.0,
    };
    let bytes = number.parse().unwrap_or(0.0) * unit;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    let bytes = bytes as usize;
    bytes
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        let sizes =
            [("2GB", 2_000_000_000), ("2GiB", 2 << 30), ("1.5 mib", 3 << 19), ("64kb", 64_000), ("", 0), ("5", 0)];
        for (text, bytes) in sizes {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        assert_eq!(parse_bytes(&format!("{}GB", "9".repeat(400))), usize::MAX);
    }
}
