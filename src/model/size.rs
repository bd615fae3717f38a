//! Sizes in octets, as the config writes them: `64MiB`, `1GB`, `512`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A number of octets.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Why a text is no size.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseByteSizeError {
    /// Nothing, or something else than digits, stands before the unit.
    #[error("a size is a whole number and a unit, such as `64MiB`")]
    Number,
    /// The result doesn't fit 64 bits.
    #[error("the size is too large")]
    Overflow,
    /// The unit is not known.
    #[error("the unit must be one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB")]
    Unit,
}

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(ParseByteSizeError::Number);
        }
        let number: u64 = digits.parse().map_err(|_| ParseByteSizeError::Overflow)?;
        let unit = unit.trim_start();
        let factor = if unit.is_empty() {
            1
        } else {
            let found = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            found.ok_or(ParseByteSizeError::Unit)?.1
        };
        number.checked_mul(factor).map(Self).ok_or(ParseByteSizeError::Overflow)
    }
}

impl fmt::Display for ByteSize {
    /// The largest binary unit that divides the size exactly, for the config; else one decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let Some((unit, factor)) = units.into_iter().find(|(_, factor)| self.0 >= *factor) else {
            return write!(f, "{} B", self.0);
        };
        if self.0.is_multiple_of(factor) {
            return write!(f, "{} {unit}", self.0.checked_div(factor).unwrap_or(0));
        }
        let tenths =
            (u128::from(self.0).saturating_mul(10)).checked_div(u128::from(factor)).unwrap_or(0);
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!("64MiB".parse(), Ok(ByteSize(64 << 20)));
        assert_eq!("1 GB".parse(), Ok(ByteSize(1_000_000_000)));
        assert_eq!("512".parse(), Ok(ByteSize(512)));
        assert_eq!("1kib".parse(), Ok(ByteSize(1024)));
    }

    #[test]
    fn what_is_no_size_says_why() {
        assert_eq!("64 MiBs".parse::<ByteSize>(), Err(ParseByteSizeError::Unit));
        assert_eq!("-1".parse::<ByteSize>(), Err(ParseByteSizeError::Number));
        assert_eq!("99999999TiB".parse::<ByteSize>(), Err(ParseByteSizeError::Overflow));
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit() {
        assert_eq!(ByteSize(64 << 20).to_string(), "64 MiB");
        assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
        assert_eq!(ByteSize(999).to_string(), "999 B");
    }
}
