//! What a refusal hung on, piece by piece, to see later whether one of them has changed.

/// The pieces; one that can't be had now is no change.
///
/// ```
/// # use postrider::secret::Marks;
/// let mut then = Marks::default();
/// then.push("config");
/// then.push_if(Some("password"));
/// let mut now = Marks::default();
/// now.push("config");
/// now.push_if(None::<&str>);
/// assert!(!now.differs_from(&then.to_string()));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Marks(Vec<Option<String>>);

/// Stands for a piece that can't be had.
const MISSING: &str = "?";

impl Marks {
    /// Adds a piece, which holds no blank.
    pub fn push(&mut self, piece: impl Into<String>) {
        self.0.push(Some(piece.into()));
    }

    /// Adds a piece that may be out of reach.
    pub fn push_if(&mut self, piece: Option<impl Into<String>>) {
        self.0.push(piece.map(Into::into));
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a piece is another one than `before`, the text of earlier marks.
    pub fn differs_from(&self, before: &str) -> bool {
        let before: Vec<&str> = before.split(' ').collect();
        let differ =
            |(now, before): (&Option<String>, &&str)| now.as_ref().is_some_and(|now| now != before);
        before.len() != self.0.len() || self.0.iter().zip(&before).any(differ)
    }

    /// The text to keep; pieces that can't be had now are those of `before`.
    pub fn over(self, before: &str) -> String {
        let before: Vec<&str> = before.split(' ').collect();
        let same = before.len() == self.0.len();
        let pieces = self.0.into_iter().enumerate().map(|(n, piece)| {
            let old = before.get(n).filter(|_| same).copied();
            piece.unwrap_or_else(|| old.unwrap_or(MISSING).to_owned())
        });
        pieces.collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Display for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.clone().over(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(pieces: &[Option<&str>]) -> Marks {
        let mut marks = Marks::default();
        for piece in pieces {
            marks.push_if(*piece);
        }
        marks
    }

    #[test]
    fn a03_piece_that_can_not_be_had_is_no_change_and_is_remembered() {
        let then = marks(&[Some("c"), Some("1"), None]).to_string();
        assert_eq!(then, "c 1 ?");
        assert!(!marks(&[Some("c"), None, None]).differs_from(&then));
        assert!(marks(&[Some("c"), None, Some("2")]).differs_from(&then));
        assert!(marks(&[Some("d"), None, None]).differs_from(&then));
        assert!(marks(&[Some("c"), None]).differs_from(&then));
        assert!(marks(&[Some("c")]).differs_from(""));
        assert_eq!(marks(&[Some("c"), None, Some("2")]).over(&then), "c 1 2");
    }
}
