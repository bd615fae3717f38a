//! How much one batch may take.

use super::Rules;

/// What is left of a batch's limits and of the poll's deletes.
#[derive(Clone, Debug)]
pub struct Budget {
    messages: Option<u32>,
    octets: Option<u64>,
    taken: u32,
    deletes: Option<u32>,
    delete_max: u32,
}

impl Budget {
    /// The whole budget of a poll's first batch.
    pub fn of(rules: &Rules) -> Self {
        Self {
            messages: rules.batch_max,
            octets: rules.batch_max_bytes,
            taken: 0,
            deletes: rules.delete_max_per_poll,
            delete_max: rules.delete_max_per_poll.unwrap_or(u32::MAX),
        }
    }

    /// The budget of the poll's next batch: fetching starts anew, deletes count on.
    pub fn next_batch(&mut self, rules: &Rules) {
        self.messages = rules.batch_max;
        self.octets = rules.batch_max_bytes;
        self.taken = 0;
    }

    /// Takes room for one message of the listed size; false when the batch is full.
    ///
    /// One message always fits, whatever its size, else a large one would wait for ever.
    pub fn take(&mut self, size: u64) -> bool {
        let full = self.messages == Some(0);
        let too_large = self.taken > 0 && self.octets.is_some_and(|left| size > left);
        if full || too_large {
            self.close();
            return false;
        }
        self.taken = self.taken.saturating_add(1);
        self.messages = self.messages.map(|left| left.saturating_sub(1));
        self.octets = self.octets.map(|left| left.saturating_sub(size));
        true
    }

    /// Takes over what another copy of this budget has left for fetching, not for deletes.
    pub fn adopt_fetches(&mut self, other: &Self) {
        let Self { messages, octets, taken, .. } = other;
        (self.messages, self.octets, self.taken) = (*messages, *octets, *taken);
    }

    /// Whether the batch can take no more.
    pub fn is_full(&self) -> bool {
        self.messages == Some(0) || (self.taken > 0 && self.octets == Some(0))
    }

    /// Whether nothing has been taken from this batch yet.
    pub fn is_new(&self, rules: &Rules) -> bool {
        self.taken == 0 && self.messages == rules.batch_max
    }

    /// Ends the batch: what comes after a message that didn't fit must not overtake it.
    pub fn close(&mut self) {
        self.messages = Some(0);
    }

    /// Takes one delete, or says the limit.
    pub(super) fn take_delete(&mut self) -> Result<(), u32> {
        match self.deletes {
            None => Ok(()),
            Some(0) => Err(self.delete_max),
            Some(left) => {
                self.deletes = Some(left.saturating_sub(1));
                Ok(())
            }
        }
    }
}
