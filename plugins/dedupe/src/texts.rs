//! Many short texts in one piece of memory: a record costs its letters and four bytes a column.

/// Texts by index; a blank is an empty one.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    letters: String,
    ends: Vec<u32>,
}

impl Texts {
    /// Adds a text; none is a blank.
    pub(crate) fn push(&mut self, text: Option<&str>) {
        self.letters.push_str(text.unwrap_or_default());
        // Memory ends before the letters reach what an u32 counts.
        self.ends.push(u32::try_from(self.letters.len()).unwrap_or(u32::MAX));
    }

    /// The text of this index; none where it is blank.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        let text = self.letters.get(start..*self.ends.get(index)? as usize)?;
        Some(text).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Texts;

    #[test]
    fn texts_keep_their_places() {
        let mut texts = Texts::default();
        [Some("ção"), None, Some(""), Some("b")].iter().for_each(|text| texts.push(*text));
        assert_eq!([0, 1, 2, 3, 4].map(|index| texts.get(index)), [Some("ção"), None, None, Some("b"), None]);
    }
}
