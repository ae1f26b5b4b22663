//! Patterns of pre-tokenizers: a small backtracking matcher for the syntax that they use.
//!
//! Alternatives `a|b`, of which the first that matches counts; groups `(?:...)`; sets `[...]` with ranges, negation and
//! subtraction `[\p{L}--[a-z]]`; `\s`, `\S`, `\p{L}`, `\p{M}`, `\p{N}`, `\p{P}`, `\p{S}`; the quantifiers `?`, `*`, `+`
//! and `{m,n}` after a set, all greedy; `(?:...)?` for an optional group; the lookahead `(?!\S)`; `$`, the end of the text.

use super::categories::{Category, category, is_whitespace};
use crate::error::{Code, Error, Result};

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    alternatives: Vec<Vec<Item>>,
}

#[derive(Debug)]
enum Item {
    /// A set, repeated.
    Set(Set, usize, usize),
    /// Alternatives, which may be missing if the flag is set.
    Group(Vec<Vec<Item>>, bool),
    /// `(?!\S)`.
    NoText,
    /// `$`.
    End,
}

/// A set of code points.
#[derive(Debug, Default)]
struct Set {
    negated: bool,
    ranges: Vec<(u32, u32)>,
    categories: Vec<Category>,
    /// Whitespace (`\s`), and everything else (`\S`).
    space: [bool; 2],
    without: Option<Box<Set>>,
}

impl Set {
    fn has(&self, code: u32) -> bool {
        let listed = self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&code))
            || !self.categories.is_empty() && self.categories.contains(&category(code))
            || self.space != [false; 2] && self.space[usize::from(!is_whitespace(code))];
        listed != self.negated && !self.without.as_ref().is_some_and(|other| other.has(code))
    }
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for other syntax.
    pub fn new(text: &str) -> Result<Pattern> {
        let mut parser = Parser { rest: text.chars().collect(), at: 0 };
        let alternatives = parser.alternatives();
        match alternatives.filter(|_| parser.at == parser.rest.len()) {
            Some(alternatives) => Ok(Pattern { alternatives }),
            None => Err(Error::new(Code::UNSUPPORTED, format!("the pattern '{text}' is not supported"))),
        }
    }

    /// Splits text at the matches. What lies between two matches is a piece too. `each` gets the length of each piece.
    pub fn split(&self, text: &[u32], mut each: impl FnMut(usize)) {
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            match first(&self.alternatives, text, at, &mut |end| Some(end)).filter(|end| *end > at) {
                None => at += 1,
                Some(end) => {
                    if at > start {
                        each(at - start);
                    }
                    each(end - at);
                    (start, at) = (end, end);
                }
            }
        }
        if at > start {
            each(at - start);
        }
    }
}

/// What follows the items so far, tried at a position.
type Rest<'a> = &'a mut dyn FnMut(usize) -> Option<usize>;

fn first(alternatives: &[Vec<Item>], text: &[u32], at: usize, rest: Rest) -> Option<usize> {
    alternatives.iter().find_map(|items| sequence(items, text, at, rest))
}

fn sequence(items: &[Item], text: &[u32], at: usize, rest: Rest) -> Option<usize> {
    let Some((item, items)) = items.split_first() else { return rest(at) };
    match item {
        Item::Set(set, least, most) => {
            let run = text[at..].iter().take(*most).take_while(|code| set.has(**code)).count();
            (*least..=run).rev().find_map(|count| sequence(items, text, at + count, rest))
        }
        Item::Group(alternatives, optional) => {
            let found = first(alternatives, text, at, &mut |end| sequence(items, text, end, rest));
            if found.is_none() && *optional { sequence(items, text, at, rest) } else { found }
        }
        Item::NoText if text.get(at).is_some_and(|code| !is_whitespace(*code)) => None,
        Item::End if at < text.len() => None,
        Item::NoText | Item::End => sequence(items, text, at, rest),
    }
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn eat(&mut self, text: &str) -> bool {
        let len = text.chars().count();
        let found = self.rest.get(self.at..self.at + len).is_some_and(|next| next.iter().copied().eq(text.chars()));
        self.at += if found { len } else { 0 };
        found
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.get(self.at).copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn alternatives(&mut self) -> Option<Vec<Vec<Item>>> {
        let mut all = vec![self.items()?];
        while self.eat("|") {
            all.push(self.items()?);
        }
        Some(all)
    }

    fn items(&mut self) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        while let Some(next) = self.rest.get(self.at) {
            if matches!(next, '|' | ')') {
                break;
            }
            items.push(self.item()?);
        }
        Some(items)
    }

    fn item(&mut self) -> Option<Item> {
        if self.eat("(?!\\S)") {
            return Some(Item::NoText);
        }
        if self.eat("$") {
            return Some(Item::End);
        }
        if self.eat("(?:") {
            let alternatives = self.alternatives()?;
            return self.eat(")").then(|| Item::Group(alternatives, self.eat("?")));
        }
        if matches!(self.rest.get(self.at)?, '(' | '*' | '+' | '?' | '{' | '}' | '^' | '.' | ']') {
            return None;
        }
        let mut set = Set::default();
        if self.eat("[") {
            self.set(&mut set)?;
        } else {
            self.member(&mut set)?;
        }
        let (least, most) = match self.rest.get(self.at) {
            Some('?') => (0, 1),
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('{') => {
                let end = self.rest[self.at..].iter().position(|c| *c == '}')?;
                let text: String = self.rest[self.at + 1..self.at + end].iter().collect();
                self.at += end;
                let (least, most) = text.split_once(',').unwrap_or((&text, &text));
                (least.parse().ok()?, most.parse().ok()?)
            }
            _ => return Some(Item::Set(set, 1, 1)),
        };
        self.at += 1;
        Some(Item::Set(set, least, most))
    }

    /// The rest of a set after its opening bracket.
    fn set(&mut self, set: &mut Set) -> Option<()> {
        set.negated = self.eat("^");
        while !self.eat("]") {
            if self.eat("--[") {
                let mut other = Set::default();
                self.set(&mut other)?;
                set.without = Some(Box::new(other));
            } else {
                self.member(set)?;
            }
        }
        Some(())
    }

    /// A character, a class, or in a set a range.
    fn member(&mut self, set: &mut Set) -> Option<()> {
        if self.eat("\\s") {
            set.space[0] = true;
        } else if self.eat("\\S") {
            set.space[1] = true;
        } else if self.eat("\\p{") {
            set.categories.push(Category::by_letter(self.next()?)?);
            return self.eat("}").then_some(());
        } else {
            let from = self.character()?;
            let ranged = self.rest.get(self.at) == Some(&'-') && !matches!(self.rest.get(self.at + 1), Some(']' | '-'));
            let to = if ranged && self.eat("-") { self.character()? } else { from };
            set.ranges.push((from, to));
        }
        Some(())
    }

    fn character(&mut self) -> Option<u32> {
        Some(match self.next()? {
            '\\' => match self.next()? {
                'r' => 13,
                'n' => 10,
                't' => 9,
                escaped if !escaped.is_alphanumeric() => escaped.into(),
                _ => return None,
            },
            plain => plain.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pattern: &str, text: &str) -> Vec<String> {
        let codes: Vec<u32> = text.chars().map(u32::from).collect();
        let mut pieces = Vec::new();
        let mut at = 0;
        Pattern::new(pattern).unwrap().split(&codes, |len| {
            pieces.push(codes[at..at + len].iter().filter_map(|code| char::from_u32(*code)).collect());
            at += len;
        });
        pieces
    }

    #[test]
    fn the_first_alternative_that_matches_counts() {
        assert_eq!(pieces("a|ab|c", "abcd"), ["a", "b", "c", "d"]);
        assert_eq!(pieces("(?:a|ab)c", "abcac"), ["abc", "ac"]);
        assert_eq!(pieces("x(?:'[sS]|'ll)?", "x'Sx'llx'"), ["x'S", "x'll", "x", "'"]);
    }

    #[test]
    fn quantifiers_are_greedy_and_give_back() {
        assert_eq!(pieces(r"\s+(?!\S)|\s+", "a   b "), ["a", "  ", " ", "b", " "]);
        assert_eq!(pieces(r"\s*[\r\n]+", "  \n\n x"), ["  \n\n", " x"]);
        assert_eq!(pieces(r"\p{N}{1,3}", "12345"), ["123", "45"]);
        assert_eq!(pieces(r"[\p{L}--[a-z]]*[\p{L}--[A-Z]]+", "HTMLPage"), ["HTMLPage"]);
        assert_eq!(pieces(r"\s+$", " a  "), [" a", "  "]);
    }

    #[test]
    fn sets_have_ranges_escapes_and_categories() {
        assert_eq!(pieces(r"[\]\-^a-c]+", "x]-^abcd"), ["x", "]-^abc", "d"]);
        assert_eq!(pieces(r"[^\s\p{L}\p{N}]+", "a!?1 \u{301}"), ["a", "!?", "1 ", "\u{301}"]);
    }

    #[test]
    fn other_syntax_is_refused() {
        for text in ["(a)", "a**", "[a", r"\w", r"\p{Q}", "(?=a)", "a{x}", ")"] {
            assert_eq!(Pattern::new(text).unwrap_err().code(), Code::UNSUPPORTED, "{text}");
        }
    }
}
