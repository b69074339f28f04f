//! The ways of writing one list down that mean the same.

use proptest::prelude::*;

/// Choices between spellings. Those that shrink to nothing spell plainly.
#[derive(Clone, Debug)]
pub struct Spelling {
    choices: Vec<u8>,
    at: usize,
}

/// Any spelling.
pub fn spelling() -> impl Strategy<Value = Spelling> {
    prop::collection::vec(any::<u8>(), 0..64).prop_map(|choices| Spelling { choices, at: 0 })
}

impl Spelling {
    /// A number below `bound`, mostly 0 where choices have run out.
    pub fn choose(&mut self, bound: usize) -> usize {
        let choice = self.choices.get(self.at % self.choices.len().max(1)).copied();
        self.at += 1;
        usize::from(choice.unwrap_or(0)) % bound
    }

    /// One of these.
    pub fn one_of<'a>(&mut self, these: &[&'a str]) -> &'a str {
        these[self.choose(these.len())]
    }

    /// The text in some mixture of capitals and small letters.
    pub fn case(&mut self, text: &str) -> String {
        let letter = |letter: char| match self.choose(3) {
            1 => letter.to_ascii_uppercase(),
            2 => letter.to_ascii_lowercase(),
            _ => letter,
        };
        text.chars().map(letter).collect()
    }

    /// The members in some order.
    pub fn shuffled<T>(&mut self, mut members: Vec<T>) -> Vec<T> {
        for at in (1..members.len()).rev() {
            let other = at - self.choose(at + 1);
            members.swap(at, other);
        }
        members
    }

    /// The members in one line or in several, with whitespace and empty members between them (RFC 9110 5.3, 5.6.1.2).
    pub fn lines(&mut self, members: &[String]) -> Vec<String> {
        let mut lines = vec![String::new()];
        for (at, member) in members.iter().enumerate() {
            match self.choose(4) {
                _ if at == 0 => {}
                1 => lines.push(String::new()),
                _ => self.separate(&mut lines),
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(member);
            }
        }
        if self.choose(4) == 1 {
            self.separate(&mut lines);
        }
        lines
    }

    fn separate(&mut self, lines: &mut [String]) {
        let separator = self.one_of(&[", ", ",", " ,\t", ",,", " , , "]);
        if let Some(line) = lines.last_mut() {
            line.push_str(separator);
        }
    }
}
