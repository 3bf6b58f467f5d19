//! Stores many short texts in one allocation: each costs its bytes and four more.

/// Texts by index. A null is stored as an empty text.
#[derive(Debug, Default)]
pub(crate) struct PackedTexts {
    bytes: String,
    ends: Vec<u32>,
}

impl PackedTexts {
    /// Adds a text, or a blank.
    pub(crate) fn push(&mut self, text: Option<&str>) {
        self.bytes.push_str(text.unwrap_or_default());
        // A plugin runs out of memory before the bytes exceed a u32.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// The text at an index; none if it is blank or the index does not exist.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let text = self.bytes.get(start..*self.ends.get(index)? as usize)?;
        Some(text).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::PackedTexts;

    #[test]
    fn texts_are_found_by_index() {
        let mut texts = PackedTexts::default();
        [Some("ção"), None, Some(""), Some("b")].iter().for_each(|text| texts.push(*text));
        assert_eq!([0, 1, 2, 3, 4].map(|index| texts.get(index)), [Some("ção"), None, None, Some("b"), None]);
    }
}
