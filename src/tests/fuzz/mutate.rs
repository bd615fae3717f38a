//! Changes octets a little, by a random that is the same on every machine.

/// Numbers by xorshift64*.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15 | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }
}

/// Knows a language's words.
#[derive(Debug)]
pub(super) struct Mutator {
    words: Vec<Vec<u8>>,
    alphabet: Vec<u8>,
}

/// Octets that are special somewhere.
const SPECIAL: &[u8] =
    b"\0\t\n\r\x1b \"%&'()*+,-./:;<=>?@[\\]_{|}~\x7f\x80\x85\x9b\xa0\xc3\xe2\xed\xf0\xff019aAzZ";

impl Mutator {
    pub(super) fn new(words: &[&str]) -> Self {
        let mut alphabet: Vec<u8> = words.iter().flat_map(|word| word.bytes()).collect();
        alphabet.extend(b"\r\n ");
        alphabet.sort_unstable();
        alphabet.dedup();
        Self { words: words.iter().map(|word| word.as_bytes().to_vec()).collect(), alphabet }
    }

    /// The octets, those that the language doesn't use replaced by ones that it does.
    pub(super) fn in_alphabet(&self, input: &[u8]) -> Vec<u8> {
        let map = |octet: &u8| match self.alphabet.binary_search(octet) {
            Ok(_) => *octet,
            Err(_) => self.alphabet[usize::from(*octet) % self.alphabet.len()],
        };
        input.iter().map(map).collect()
    }

    /// One to eight changes.
    pub(super) fn mutate(&self, input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
        for _ in 0..=random.below(8) {
            self.change(input, pool, random);
        }
    }

    fn change(&self, input: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
        let at = random.below(input.len() + 1);
        let end = (at + 1 + random.below(24)).min(input.len());
        match random.below(10) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = SPECIAL[random.below(SPECIAL.len())],
            2 => input.insert(at, SPECIAL[random.below(SPECIAL.len())]),
            3 | 4 if !self.words.is_empty() => {
                let word = self.words[random.below(self.words.len())].clone();
                input.splice(at..at, word);
            }
            5 => drop(input.drain(at..end)),
            6 => {
                // The same again, once or many times: what is counted or nested grows.
                let piece = input[at..end].to_vec();
                let times = if random.below(8) == 0 { 200 } else { 1 + random.below(3) };
                input.splice(at..at, piece.repeat(times));
            }
            7 => {
                let other = &pool[random.below(pool.len())];
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            8 if at < input.len() => {
                let piece: Vec<u8> = input.drain(at..end).collect();
                let to = random.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            _ => {
                // A number at its edges.
                let number = [
                    "0",
                    "-1",
                    "1",
                    "255",
                    "65536",
                    "4294967295",
                    "4294967296",
                    "18446744073709551615",
                    "99999999999999999999",
                ];
                input.splice(at..at, number[random.below(number.len())].bytes());
            }
        }
    }
}
