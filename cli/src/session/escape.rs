//! The escape sequences of an interactive terminal: the escape character first in a line, then one more.
//!
//! A held-back escape character is sent as soon as the next key says that it was none, so nothing typed is
//! ever lost.

/// What a person asked this side to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Leave; the shell runs on.
    Detach,
    /// Say which sequences there are.
    Help,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Inside,
    Escaped,
}

/// Looks at typed bytes on their way to the session.
#[derive(Debug)]
pub struct Escape {
    character: Option<u8>,
    state: State,
}

impl Escape {
    /// With this escape character; `None` passes everything on.
    #[must_use]
    pub fn new(character: Option<u8>) -> Self {
        Self { character, state: State::LineStart }
    }

    /// Appends to `out` what goes to the session. On a request it returns that, and how many bytes of `typed`
    /// were looked at; the rest was typed after it.
    pub fn pass(&mut self, typed: &[u8], out: &mut Vec<u8>) -> Option<(Ask, usize)> {
        let Some(escape) = self.character else {
            out.extend_from_slice(typed);
            return None;
        };
        for (index, byte) in typed.iter().copied().enumerate() {
            match self.state {
                State::LineStart if byte == escape => {
                    self.state = State::Escaped;
                    continue;
                }
                State::Escaped => {
                    let ask = match byte {
                        b'.' => Some(Ask::Detach),
                        b'?' => Some(Ask::Help),
                        _ => None,
                    };
                    if let Some(ask) = ask {
                        self.state = State::LineStart;
                        return Some((ask, index + 1));
                    }
                    out.push(escape);
                    if byte == escape {
                        // Typed twice it stands for itself.
                        self.state = State::Inside;
                        continue;
                    }
                }
                State::LineStart | State::Inside => {}
            }
            out.push(byte);
            self.state = if matches!(byte, b'\r' | b'\n') { State::LineStart } else { State::Inside };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pass(escape: &mut Escape, typed: &[u8]) -> (Vec<u8>, Option<(Ask, usize)>) {
        let mut out = Vec::new();
        let ask = escape.pass(typed, &mut out);
        (out, ask)
    }

    #[test]
    fn only_first_in_a_line() {
        let mut escape = Escape::new(Some(b'~'));
        assert_eq!(pass(&mut escape, b"ls ~.\r"), (b"ls ~.\r".to_vec(), None));
        assert_eq!(pass(&mut escape, b"~."), (vec![], Some((Ask::Detach, 2))));
        assert_eq!(pass(&mut escape, b"~?~."), (vec![], Some((Ask::Help, 2))));
        assert_eq!(pass(&mut escape, b"~~.\n~a"), (b"~.\n~a".to_vec(), None));
        assert_eq!(pass(&mut escape, b"\r~"), (b"\r".to_vec(), None));
        assert_eq!(pass(&mut escape, b".x"), (vec![], Some((Ask::Detach, 1))));
    }

    #[test]
    fn a_fresh_terminal_is_at_the_start_of_a_line() {
        assert_eq!(pass(&mut Escape::new(Some(b'~')), b"~.").1, Some((Ask::Detach, 2)));
        assert_eq!(pass(&mut Escape::new(None), b"~."), (b"~.".to_vec(), None));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(typed in proptest::collection::vec(prop_oneof![Just(b'~'), Just(b'\r'), Just(b'x'), any::<u8>()], 0..200), cut in 1usize..20) {
            // Without requests in it, however the bytes are cut, the same ones come out, doubled escapes halved.
            let typed: Vec<u8> = typed.into_iter().filter(|byte| !matches!(byte, b'.' | b'?')).collect();
            let (whole, ask) = pass(&mut Escape::new(Some(b'~')), &typed);
            prop_assert_eq!(ask, None);
            let mut escape = Escape::new(Some(b'~'));
            let mut pieces = Vec::new();
            for piece in typed.chunks(cut) { pieces.extend(pass(&mut escape, piece).0); }
            prop_assert_eq!(&pieces, &whole);
            let halved = typed.windows(2).filter(|pair| pair == b"~~").count();
            prop_assert!(whole.len() + 1 + halved >= typed.len());
        }
    }
}
