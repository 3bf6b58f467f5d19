//! The depth of a JSON text. It is measured before a decoder recurses into the text: a stack that overflows ends the
//! process.

use std::fmt;

use sonic_simd::{Mask as _, Simd as _, u8x64};

/// The most arrays and objects around a value.
pub(crate) const MAX_DEPTH: u32 = 256;
/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// A JSON text that is nested too deeply to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nested deeper than {MAX_DEPTH} levels")
    }
}

/// A text that decoders may recurse into. It need not be valid JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonText<'a>(&'a [u8]);

impl<'a> JsonText<'a> {
    /// Measures the depth of a text.
    pub(crate) fn new(text: &'a [u8]) -> Result<Self, TooDeep> {
        let mut scan = BracketScan::default();
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let is_shallow = blocks.iter().all(|block| scan.enter(block));
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        if is_shallow && scan.enter(&last) { Ok(Self(text)) } else { Err(TooDeep) }
    }

    /// A text whose depth was measured before.
    pub(crate) fn measured(text: &'a [u8], depth: Result<(), TooDeep>) -> Result<Self, TooDeep> {
        depth.map(|()| Self(text))
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Where the text is between two blocks.
#[derive(Default)]
struct BracketScan {
    depth: u32,
    is_in_string: bool,
    /// Whether the first byte of the next block is escaped.
    is_escaped: bool,
}

impl BracketScan {
    /// Moves over a block. Returns whether it stays within the limit.
    ///
    /// A decoder stops at the first error, so brackets that do not match need no care.
    fn enter(&mut self, block: &[u8; BLOCK]) -> bool {
        #[expect(unsafe_code, reason = "the library has no safe way to load a vector")]
        // SAFETY: the block has as many bytes as the vector.
        let bytes = unsafe { u8x64::loadu(block.as_ptr()) };
        let positions = |byte: u8| bytes.eq(&u8x64::splat(byte)).bitmask();
        let escaped = self.escaped(positions(b'\\'));
        let ignored = escaped | self.in_string(positions(b'"') & !escaped);
        let opening = (positions(b'[') | positions(b'{')) & !ignored;
        let closing = (positions(b']') | positions(b'}')) & !ignored;
        if self.depth + opening.count_ones() > MAX_DEPTH && !self.steps_stay_within(opening, closing) {
            return false;
        }
        self.depth = (self.depth + opening.count_ones()).saturating_sub(closing.count_ones());
        true
    }

    /// Whether each bracket of a block stays within the limit.
    fn steps_stay_within(&self, opening: u64, closing: u64) -> bool {
        let mut depth = self.depth;
        (0..BLOCK).all(|at| {
            let is_at = |positions: u64| u32::from(positions >> at & 1 == 1);
            depth = (depth + is_at(opening)).saturating_sub(is_at(closing));
            depth <= MAX_DEPTH
        })
    }

    /// The escaped bytes of a block: those behind a backslash that is not escaped itself.
    fn escaped(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = u64::from(std::mem::take(&mut self.is_escaped));
        while backslashes != 0 {
            let at = backslashes.trailing_zeros();
            if escaped >> at & 1 == 0 {
                match 1_u64.checked_shl(at + 1) {
                    Some(next) => escaped |= next,
                    None => self.is_escaped = true,
                }
            }
            backslashes &= backslashes - 1;
        }
        escaped
    }

    /// The bytes of a block that are inside of strings, with the opening quotes.
    fn in_string(&mut self, quotes: u64) -> u64 {
        // Each bit becomes the parity of the quotes up to it.
        let mut parity = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            parity ^= parity << shift;
        }
        if self.is_in_string {
            parity = !parity;
        }
        self.is_in_string = parity >> (BLOCK - 1) == 1;
        parity
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonText, MAX_DEPTH, TooDeep};
    use proptest::prelude::*;

    /// The depth of a text, byte by byte. None if a bracket closes nothing: no decoder gets behind it.
    fn depth(text: &[u8]) -> Option<u32> {
        let (mut depth, mut deepest, mut is_in_string, mut is_escaped) = (0_u32, 0, false, false);
        for byte in text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => is_in_string = !is_in_string,
                b'[' | b'{' if !is_in_string => depth += 1,
                b']' | b'}' if !is_in_string => depth = depth.checked_sub(1)?,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        Some(deepest)
    }

    fn nested(levels: usize, before: &str) -> String {
        format!("{before}{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn a_text_is_refused_from_the_first_level_beyond_the_limit() {
        let most = MAX_DEPTH as usize;
        for before in ["", " ", r#""\\","#, r#""\"[[[[","#, &format!("{}\"", "[1],".repeat(90))] {
            let is_in_string = before.ends_with("],\"");
            assert!(JsonText::new(nested(most, before).as_bytes()).is_ok(), "{before}");
            let deeper = nested(most + 1, before);
            assert_eq!(JsonText::new(deeper.as_bytes()).err(), (!is_in_string).then_some(TooDeep), "{before}");
        }
        let wide = format!("[{}]", vec![nested(most - 1, ""); 100].join(","));
        assert!(JsonText::new(wide.as_bytes()).is_ok());
        let keys = format!("{}1{}", r#"{"a":"#.repeat(most + 1), "}".repeat(most + 1));
        assert!(JsonText::new(keys.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn blocks_measure_as_single_bytes_do(
            parts in proptest::collection::vec(
                proptest::sample::select(vec!["[", "{", "[[[[[[[", "]", "}", "\"", "\\", "\\\"", "\\\\", "a", "long text of a value ", "é"]),
                0..400,
            ),
            before in 0..200usize,
        ) {
            // Open brackets bring the depth near to the limit.
            let text = "[".repeat(before) + &parts.concat();
            let depth = depth(text.as_bytes());
            prop_assume!(depth.is_some());
            prop_assert_eq!(JsonText::new(text.as_bytes()).is_ok(), depth.is_some_and(|depth| depth <= MAX_DEPTH));
        }
    }
}
