//! No two messages have one folder.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = String> {
    // What makes joined fields alike where their lengths are not written.
    prop_oneof!["[a1/ ]{0,3}", "INBOX", "imap", "pop3", "v1", any::<String>()]
}

fn any_key() -> impl Strategy<Value = MessageKey> {
    let number = || prop_oneof![0_u32..3, any::<u32>()];
    let imap = (word(), number(), number(), 0_u32..3).prop_map(
        |(mailbox, uid_validity, uid, generation)| MessageKey::Imap {
            mailbox,
            uid_validity,
            uid,
            generation,
        },
    );
    let pop3 = (word(), 0_u32..3)
        .prop_map(|(unique_id, occurrence)| MessageKey::Pop3 { unique_id, occurrence });
    prop_oneof![imap, pop3]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn messages_have_one_id_only_if_they_are_one(
        (one, other) in (any_key(), any_key()),
        (account, another) in ("[a-z0-9]{1,3}", "[a-z0-9]{1,3}"),
    ) {
        let same = (&account, &one) == (&another, &other);
        prop_assert_eq!(one.id(&account) == other.id(&another), same);
        prop_assert_eq!(one.id(&account), one.id(&account));
    }
}

#[test]
fn two_hundred_thousand_messages_of_a_second_have_as_many_folders() {
    let site = Site::new();
    let mut folders = HashSet::new();
    for uid in 0..100_000 {
        let pop3 = MessageKey::Pop3 { unique_id: uid.to_string(), occurrence: 0 };
        for key in [key(uid), pop3] {
            assert!(folders.insert(site.archive.path("box", &key, received())), "{key}");
        }
    }
}
