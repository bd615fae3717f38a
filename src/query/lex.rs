//! A condition's text into words, operators and signs, with their places.

use std::ops::Range;

use super::mistake::Mistake;

/// A word, an operator or a sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Octets of the text.
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum TokenKind {
    Close,
    Comma,
    End,
    Open,
    Operator(Operator),
    /// In quotes, which are taken off.
    Quoted(String),
    Word(String),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Match,
    NoMatch,
    Unequal,
}

impl Operator {
    const ALL: [(&'static str, Self); 8] = [
        ("=", Self::Equal),
        ("!=", Self::Unequal),
        ("~", Self::Match),
        ("!~", Self::NoMatch),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
    ];

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).map_or("=", |(text, _)| text)
    }
}

/// What other languages write, and what is meant.
const FOREIGN: [(&str, &str); 5] =
    [("==", "="), ("<>", "!="), ("=~", "~"), ("=>", ">="), ("=<", "<=")];

/// All tokens; the last one is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else { break };
        let length = match first {
            c if c.is_whitespace() => {
                at = at.saturating_add(c.len_utf8());
                continue;
            }
            '(' | ')' | ',' => 1,
            '"' | '\'' => closing(rest, first).ok_or_else(|| {
                Mistake::new(text, at..text.len(), format!("this text has no closing {first}"))
                    .hint(format!("a {first} within it is written twice"))
            })?,
            c if is_operator(c) => rest.find(|c| !is_operator(c)).unwrap_or(rest.len()),
            _ => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        };
        let place = at..at.saturating_add(length);
        let slice = text.get(place.clone()).unwrap_or_default();
        let kind = match first {
            '(' => TokenKind::Open,
            ')' => TokenKind::Close,
            ',' => TokenKind::Comma,
            '"' | '\'' => TokenKind::Quoted(unquoted(slice, first)),
            c if is_operator(c) => operator(text, slice, &place)?,
            _ => TokenKind::Word(slice.to_owned()),
        };
        at = place.end;
        tokens.push(Token { kind, at: place });
    }
    tokens.push(Token { kind: TokenKind::End, at: text.len()..text.len() });
    Ok(tokens)
}

fn operator(text: &str, slice: &str, place: &Range<usize>) -> Result<TokenKind, Mistake> {
    if let Some((_, operator)) = Operator::ALL.iter().find(|(known, _)| *known == slice) {
        return Ok(TokenKind::Operator(*operator));
    }
    let what = format!("`{}` is no operator", super::mistake::quoted(slice));
    let meant = FOREIGN.iter().find(|(foreign, _)| *foreign == slice);
    let hint = meant.map_or_else(
        || "operators are = != ~ !~ < <= > >= in, is; put texts with such signs in quotes".into(),
        |(_, meant)| format!("write `{meant}`"),
    );
    Err(Mistake::new(text, place.clone(), what).hint(hint))
}

/// Octets up to and with the closing quote; a doubled one stands for itself.
fn closing(rest: &str, quote: char) -> Option<usize> {
    let mut quotes = rest.char_indices().skip(1).filter(|(_, c)| *c == quote).peekable();
    while let Some((at, _)) = quotes.next() {
        let next = at.saturating_add(1);
        if quotes.next_if(|(second, _)| *second == next).is_none() {
            return Some(next);
        }
    }
    None
}

fn unquoted(slice: &str, quote: char) -> String {
    let inner = slice.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
    let (once, twice) = (quote.to_string(), quote.to_string().repeat(2));
    inner.unwrap_or_default().replace(&twice, &once)
}

fn is_operator(c: char) -> bool {
    matches!(c, '=' | '!' | '<' | '>' | '~')
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !is_operator(c) && !matches!(c, '(' | ')' | ',' | '"' | '\'')
}
