//! A line in pieces: words, redirections, ends of commands. What a shell would work out first makes the line
//! opaque, and the reading goes on, so that a person sees as much of it as there is.

/// One piece of a line.
pub(super) enum Piece {
    /// A word, without its quotes.
    Word(String),
    /// A sign such as `>` or `2>&`; the next word is where to.
    Redirect(String),
    /// The end of a command.
    End,
}

/// Reads pieces, each character once.
pub(super) struct Lexer {
    chars: Vec<char>,
    at: usize,
    /// Why the line does not mean what it says.
    pub(super) opaque: Option<String>,
    /// Texts of substitutions.
    pub(super) inside: Vec<String>,
}

/// Signs of which a shell makes something else.
const WORKED_OUT: [char; 6] = ['*', '?', '[', '~', '{', '}'];

impl Lexer {
    pub(super) fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0, opaque: None, inside: Vec::new() }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Whether this `&` is the second sign of `&&` or `|&`.
    fn joined(&self) -> bool {
        self.at
            .checked_sub(1)
            .and_then(|before| self.chars.get(before))
            .is_some_and(|c| matches!(c, '&' | '|'))
    }

    fn mind(&mut self, why: &str) {
        self.opaque.get_or_insert_with(|| why.to_owned());
    }

    /// The next piece.
    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        loop {
            match self.peek(0)? {
                ' ' | '\t' => self.at += 1,
                '\\' if self.peek(1) == Some('\n') => self.at += 2,
                '#' => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\n' | ';' | '|' => {
                    self.at += 1;
                    return Some(Piece::End);
                }
                '&' if self.peek(1) == Some('>') => {
                    self.mind("`&>` is one thing in bash and another in sh");
                    self.at += 1;
                    return Some(Piece::End);
                }
                '&' => {
                    if self.peek(1) != Some('&') && !self.joined() {
                        self.mind("it leaves a program running in the background");
                    }
                    self.at += 1;
                    return Some(Piece::End);
                }
                '(' | ')' => {
                    self.mind("it has brackets");
                    self.at += 1;
                    return Some(Piece::End);
                }
                '<' | '>' => {
                    if self.peek(1) == Some('(') {
                        self.at += 1;
                        self.bracketed();
                        return Some(Piece::Word("…".into()));
                    }
                    return Some(self.redirect(String::new()));
                }
                _ => return Some(self.word()),
            }
        }
    }

    fn redirect(&mut self, mut sign: String) -> Piece {
        while let Some(c) = self.peek(0).filter(|c| matches!(c, '<' | '>' | '&' | '|')) {
            sign.push(c);
            self.at += 1;
            if sign.len() >= 4 {
                break;
            }
        }
        if sign.chars().take_while(char::is_ascii_digit).count() > 1 {
            self.mind("a number of several digits before `<` or `>` is a stream in bash and a word in sh");
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, ';' | '|' | '&' | '(' | ')' | '<' | '>');
        if sign.ends_with('&') && self.peek(0) == Some('-') && !self.peek(1).is_none_or(ends) {
            self.mind("a word that begins right behind `<&-` or `>&-` is one of its own");
        }
        if sign.contains("<<") {
            self.mind("it carries a text for a program's input");
        }
        Piece::Redirect(sign.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned())
    }

    fn word(&mut self) -> Piece {
        let mut word = String::new();
        let mut quoted = false;
        while let Some(c) = self.peek(0) {
            match c {
                ' ' | '\t' | '\n' | ';' | '|' | '&' | '(' | ')' => break,
                // `2>` names a stream; anything else before the sign is a word of its own.
                '<' | '>' if !quoted && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) => {
                    return self.redirect(word);
                }
                '<' | '>' => break,
                '\'' => {
                    quoted = true;
                    self.at += 1;
                    self.single(&mut word);
                }
                '"' => {
                    quoted = true;
                    self.at += 1;
                    self.double(&mut word);
                }
                '\\' => {
                    quoted = true;
                    self.at += 1;
                    match self.peek(0) {
                        Some('\n') => {}
                        Some(c) => {
                            self.hidden(c);
                            word.push(c);
                        }
                        None => self.mind("it ends in the middle of a word"),
                    }
                    self.at += 1;
                }
                '$' | '`' => self.substitution(&mut word),
                c => {
                    self.plain(c);
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        Piece::Word(word)
    }

    /// A character outside of quotes that stands for itself, or should.
    fn plain(&mut self, c: char) {
        if WORKED_OUT.contains(&c) {
            self.mind(&format!("a shell replaces `{c}` by something else first"));
        } else if c.is_control() || (c.is_whitespace() && c != ' ') || crate::base::text::is_invisible(c) {
            self.mind("it has control or invisible characters");
        }
    }

    fn single(&mut self, word: &mut String) {
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '\'' {
                return;
            }
            self.hidden(c);
            word.push(c);
        }
        self.mind("a quote does not end");
    }

    fn double(&mut self, word: &mut String) {
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => match self.peek(1) {
                    Some('\n') => self.at += 2,
                    Some(c @ ('$' | '`' | '"' | '\\')) => {
                        word.push(c);
                        self.at += 2;
                    }
                    _ => {
                        word.push('\\');
                        self.at += 1;
                    }
                },
                '$' | '`' => self.substitution(word),
                c => {
                    self.hidden(c);
                    word.push(c);
                    self.at += 1;
                }
            }
        }
        self.mind("a quote does not end");
    }

    fn hidden(&mut self, c: char) {
        if (c.is_control() && !matches!(c, '\n' | '\t')) || crate::base::text::is_invisible(c) {
            self.mind("it has control or invisible characters");
        }
    }

    /// `$…` and backticks. What stands inside is read as a line of its own.
    fn substitution(&mut self, word: &mut String) {
        self.mind("a shell replaces `$…` and backticks by something else first");
        word.push('…');
        if self.peek(0) == Some('`') {
            self.at += 1;
            let begin = self.at;
            while let Some(c) = self.peek(0) {
                if c == '\\' {
                    self.at += 1;
                } else if c == '`' {
                    break;
                }
                self.at += 1;
            }
            self.keep(begin);
            self.at += 1;
            return;
        }
        self.at += 1;
        match self.peek(0) {
            Some('(') => self.bracketed(),
            // The name, or whatever follows, is read on as a word.
            Some(c) if c.is_alphanumeric() || "_@*#?-$!".contains(c) => self.at += 1,
            _ => {}
        }
    }

    /// From an opening bracket to its closing one.
    fn bracketed(&mut self) {
        self.mind("it has brackets");
        self.at += 1;
        let begin = self.at;
        let mut depth = 1usize;
        let mut quote = None;
        while let Some(c) = self.peek(0) {
            match (quote, c) {
                (_, '\\') if quote != Some('\'') => self.at += 1,
                (Some(q), c) if c == q => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                (None, _) => {}
            }
            self.at += 1;
        }
        self.keep(begin);
        self.at += 1;
    }

    fn keep(&mut self, begin: usize) {
        let end = self.at.min(self.chars.len());
        if let Some(inside) = self.chars.get(begin..end) {
            self.inside.push(inside.iter().collect());
        }
    }
}
