//! The parser's place among the tokens, and what it says where they don't fit.

use std::ops::Range;

use super::lex::{Token, TokenKind};
use super::mistake::{Mistake, quoted};
use super::schema::Schema;
use super::value::{Moment, Unfit};

const KEYWORDS: [&str; 6] = ["and", "in", "is", "not", "null", "or"];

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    pub(super) schema: &'static Schema,
    pub(super) moment: &'a Moment,
    pub(super) used: Used,
}

#[derive(Default)]
pub(super) struct Used {
    pub(super) tests: usize,
    pub(super) values: usize,
    pub(super) patterns: usize,
}

impl Parser<'_> {
    pub(super) fn unfit(&self, at: Range<usize>, unfit: Unfit) -> Mistake {
        self.mistake(at, unfit.what).hint(unfit.hint)
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Mistake {
        let token = self.peek();
        let what = match &token.kind {
            TokenKind::End => format!("{wanted} is expected here"),
            kind => format!("{wanted} is expected, not {}", described(kind)),
        };
        let mistake = self.mistake(token.at.clone(), what);
        match &token.kind {
            TokenKind::Comma => mistake.hint("several values: `source in (imap-auth, pop3-auth)`"),
            TokenKind::Word(word) if word == "&&" => mistake.hint("write `and`"),
            TokenKind::Word(word) if word == "||" => mistake.hint("write `or`"),
            TokenKind::Word(_) if !wanted.starts_with("`,`") => {
                mistake.hint("a text with blanks needs quotes")
            }
            _ => mistake,
        }
    }

    pub(super) fn mistake(&self, at: Range<usize>, what: impl Into<String>) -> Mistake {
        Mistake::new(self.text, at, what)
    }

    pub(super) fn names(&self) -> String {
        self.schema.names().join(", ")
    }

    pub(super) fn takes(&mut self, word: &str) -> bool {
        let found = is_keyword(&self.peek().kind, word);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).or(self.tokens.last()).unwrap_or(&END)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = self.at.saturating_add(1);
        token
    }
}

static END: Token = Token { kind: TokenKind::End, at: 0..0 };

pub(super) fn is_keyword(kind: &TokenKind, keyword: &str) -> bool {
    matches!(kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
}

pub(super) fn is_reserved(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

pub(super) fn described(kind: &TokenKind) -> String {
    match kind {
        TokenKind::Close => "`)`".to_owned(),
        TokenKind::Comma => "`,`".to_owned(),
        TokenKind::End => "the end".to_owned(),
        TokenKind::Open => "`(`".to_owned(),
        TokenKind::Operator(operator) => format!("`{}`", operator.as_str()),
        TokenKind::Quoted(text) => format!("the text `{}`", quoted(text)),
        TokenKind::Word(word) => format!("`{}`", quoted(word)),
    }
}
